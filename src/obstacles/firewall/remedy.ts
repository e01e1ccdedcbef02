// What lets packets pass a firewall of others: the command or setting of that very firewall. Pure.
import { families, type Family, type Prefix } from '#/lib/addr.ts'
import { portPrefix } from '#/model/names.ts'
import { type NeededPassage } from '#/model/network.ts'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { type NftFamilyName } from '#/wire/nftables/messages.ts'
import { type Purpose } from './passages.ts'

export type DropPlace = {
  readonly tool: 'nft' | 'legacy'
  readonly family: NftFamilyName
  readonly table: string
  readonly baseChain: string
  /** The rules of the base chain: whose chains they jump to shows who wrote them. */
  readonly baseRules: readonly ForeignRule[]
  /** Whether the base chain is on ingress or egress of a device. */
  readonly isOfDevice: boolean
  /** The chain that drops: the base chain, or one that it jumps to. */
  readonly chain: string
  /** Absent when the policy of the base chain drops. */
  readonly rule?: { readonly handle: bigint; readonly number: number }
}

type Needed = Pick<NeededPassage, 'podDevices' | 'clusterCIDRs' | 'tunnel'>

/** The remedy for one purpose; all of it leaves the firewall in place. */
export function remedyFor(place: DropPlace, purpose: Purpose, needed: Needed): string {
  switch (managerOf(place)) {
    case 'firewalld':
      return firewalld(purpose, needed)
    case 'ufw':
      return ufw(purpose, needed)
    case 'iptables':
      return lasting(iptablesCommands(place, purpose, needed))
    case 'nft':
      return lasting(nftCommands(place, purpose, needed))
    default:
      throw new Error('no such firewall')
  }
}

function lasting(commands: readonly string[]): string {
  return `let them pass before it: ${commands.join(' && ')}; and write the same where that firewall keeps its rules`
}

type Manager = 'firewalld' | 'ufw' | 'iptables' | 'nft'

const iptablesTables = ['filter', 'mangle', 'raw', 'security', 'nat']
const iptablesChains = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']

/** Who manages the chain, by the names that its table and the chains it jumps to have. */
function managerOf({ tool, family, table, baseChain, baseRules }: DropPlace): Manager {
  if (table === 'firewalld') return 'firewalld'
  const jumps = baseRules.flatMap(({ expressions }) =>
    expressions.flatMap((each) => (each.name === 'immediate' ? (each.attrs.data?.verdict?.chain ?? []) : [])),
  )
  if (jumps.some((chain) => /_ZONES(_SOURCE)?$|^(INPUT|FORWARD|OUTPUT)_direct$/.test(chain))) return 'firewalld'
  if (jumps.some((chain) => /^ufw6?-/.test(chain))) return 'ufw'
  const isIptables =
    (family === 'ip' || family === 'ip6') && iptablesTables.includes(table) && iptablesChains.includes(baseChain)
  return tool === 'legacy' || isIptables ? 'iptables' : 'nft'
}

/** Packets between pods, by their addresses. */
function betweenPods(clusterCIDRs: Needed['clusterCIDRs'], family: Family): [src: Prefix, dst: Prefix][] {
  const ours = clusterCIDRs.filter((cidr) => cidr.family === family)
  return ours.flatMap((src) => ours.map((dst): [Prefix, Prefix] => [src, dst]))
}

function firewalld(purpose: Purpose, { clusterCIDRs, tunnel }: Needed): string {
  if (purpose === 'source' || purpose === 'destination')
    return 'have the zone of firewalld that is named here leave out packets to and from the cluster CIDRs: in place of --add-masquerade or --add-forward-port, a rich rule that names the sources and destinations it is for'
  const changes =
    purpose === 'tunnel' && tunnel
      ? [`--add-port=${tunnel.port}/udp`]
      : clusterCIDRs.map((cidr) => `--zone=trusted --add-source=${cidr}`)
  return `tell firewalld: ${[...changes.map((change) => `firewall-cmd --permanent ${change}`), 'firewall-cmd --reload'].join(' && ')}`
}

function ufw(purpose: Purpose, { podDevices, tunnel }: Needed): string {
  const commands = {
    pods: podDevices.flatMap((device) => [`ufw route allow in on ${device}`, `ufw route allow out on ${device}`]),
    bridged: podDevices.map((device) => `ufw route allow in on ${device} out on ${device}`),
    node: podDevices.map((device) => `ufw allow in on ${device}`),
    tunnel: tunnel ? [`ufw allow ${tunnel.port}/udp`] : [],
    // ufw has no command for addresses: its rules for them are in files
    source: [],
    destination: [],
  }[purpose]
  return `tell ufw: ${commands.join(' && ')}`
}

function iptablesCommands(place: DropPlace, purpose: Purpose, { podDevices, clusterCIDRs, tunnel }: Needed): string[] {
  const { tool, family, table, chain, rule } = place
  const program = `${family === 'ip6' ? 'ip6tables' : 'iptables'}${tool === 'legacy' ? '-legacy' : ''}`
  const at = rule ? `-I ${chain} ${rule.number}` : `-A ${chain}`
  const addresses = betweenPods(clusterCIDRs, family === 'ip6' ? 6 : 4).map(([src, dst]) => `-s ${src} -d ${dst}`)
  const matches = {
    pods: podDevices.flatMap((device) => [`-i ${device}`, `-o ${device}`]),
    bridged: podDevices.map((device) => `-i ${device} -o ${device}`),
    node: podDevices.map((device) => `-i ${device}`),
    tunnel: tunnel ? [`-p udp --dport ${tunnel.port}`] : [],
    source: addresses,
    destination: addresses,
  }[purpose]
  return matches.map((match) => `${program}${table === 'filter' ? '' : ` -t ${table}`} ${at} ${match} -j ACCEPT`)
}

/** A chain of a device sees no other device, so that packets of pods are known by their addresses. */
function nftDeviceMatches(clusterCIDRs: Needed['clusterCIDRs']): string[] {
  return clusterCIDRs.map((cidr) => `${cidr.family === 4 ? 'ip' : 'ip6'} saddr ${cidr}`)
}

function nftCommands(place: DropPlace, purpose: Purpose, { podDevices, clusterCIDRs, tunnel }: Needed): string[] {
  const { family, table, chain, rule, isOfDevice } = place
  const addresses = families
    .filter((each) => family === 'inet' || family === (each === 4 ? 'ip' : 'ip6'))
    .flatMap((each) => betweenPods(clusterCIDRs, each))
    .map(([src, dst]) => (src.family === 4 ? `ip saddr ${src} ip daddr ${dst}` : `ip6 saddr ${src} ip6 daddr ${dst}`))
  const at = rule
    ? `insert rule ${family} ${table} ${chain} handle ${rule.handle}`
    : `add rule ${family} ${table} ${chain}`
  const matches = {
    // a chain of the family bridge sees the ports of the bridge, not the bridge
    pods:
      family === 'bridge'
        ? [`iifname '${portPrefix}*'`]
        : isOfDevice
          ? nftDeviceMatches(clusterCIDRs)
          : podDevices.flatMap((device) => [`iifname ${device}`, `oifname ${device}`]),
    bridged: podDevices.map((device) => `iifname ${device} oifname ${device}`),
    node: podDevices.map((device) => `iifname ${device}`),
    tunnel: tunnel ? [`udp dport ${tunnel.port}`] : [],
    source: addresses,
    destination: addresses,
  }[purpose]
  return matches.map((match) => `nft ${at} ${match} accept`)
}
