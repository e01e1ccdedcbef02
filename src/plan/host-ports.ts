// Host ports of pods: which pod has which port of this node, and the nftables table that translates them. Pure.
import { Addr, Prefix } from '#/lib/addr.ts'
import { hostPortTableName } from '#/model/names.ts'
import { type HostPort, type PodAddress } from '#/model/network.ts'
import { type PortMapping } from '#/wire/cni/index.ts'
import { type NftChain, type NftMatch, type NftRule, type NftTable } from '#/wire/nftables/ruleset.ts'

/** Right after NF_IP_PRI_NAT_DST (dstnat of nft), where proxies of Services translate: they come first. */
const translatePriority = -99
/** NF_IP_PRI_NAT_SRC, which nft calls srcnat. */
const srcnatPriority = 100
const loopback = Prefix.parse('127.0.0.0/8')
/** The kernel has no way from it to a pod: what the node itself has there stays. */
const loopback6 = Addr.parse('::1')

/** What one pod asks for. */
export type HostPortWish = {
  readonly hostDevice: string
  readonly pod: string
  readonly createdMs: number
  readonly addrs: readonly PodAddress[]
  readonly portMappings: readonly PortMapping[]
}

/** A port that a pod asks for and another one has. */
export type HostPortRefusal = {
  readonly port: string
  readonly pod: string
  readonly holder: string
}

export type HostPortShares = {
  /** What each pod gets, by its host device. */
  readonly granted: ReadonlyMap<string, readonly HostPort[]>
  readonly refused: readonly HostPortRefusal[]
}

/** Whether a packet to some address of the node could be meant for both. */
function overlaps(one: HostPort, other: HostPort): boolean {
  if (one.protocol !== other.protocol || one.port !== other.port || one.to.family !== other.to.family) return false
  return one.hostAddr === undefined || other.hostAddr === undefined || one.hostAddr.equals(other.hostAddr)
}

/** The translations of one mapping: to the pod's address of each family that the mapping is for. */
function translations({ addrs }: HostPortWish, mapping: PortMapping): HostPort[] {
  const { protocol, hostPort: port, containerPort: toPort, hostIP } = mapping
  return addrs
    .filter(({ addr }) => hostIP === undefined || hostIP.family === addr.family)
    .map(({ addr: to }) => ({
      protocol,
      port,
      // 0.0.0.0 and :: stand for every address of their family
      ...(hostIP !== undefined && hostIP.value !== 0n && { hostAddr: hostIP }),
      to,
      toPort,
    }))
}

/**
 * Gives each port to the pod that has asked for it longest, so that a newcomer takes nothing from a pod that runs. Of several sandboxes of
 * one pod the newest has it: an older one has ended, or is about to.
 */
export function shareHostPorts(wishes: readonly HostPortWish[]): HostPortShares {
  const granted = new Map<string, HostPort[]>()
  const taken: { readonly hostPort: HostPort; readonly pod: string }[] = []
  const refused: HostPortRefusal[] = []
  const sinceMs = new Map<string, number>()
  for (const { pod, createdMs } of wishes) sinceMs.set(pod, Math.min(createdMs, sinceMs.get(pod) ?? Infinity))
  const inOrder = wishes.toSorted(
    (a, b) =>
      sinceMs.get(a.pod)! - sinceMs.get(b.pod)! || b.createdMs - a.createdMs || (a.hostDevice < b.hostDevice ? -1 : 1),
  )
  for (const wish of inOrder) {
    const own: HostPort[] = []
    for (const mapping of wish.portMappings) {
      const wanted = translations(wish, mapping)
      const holder = taken.find(({ hostPort }) => wanted.some((each) => overlaps(each, hostPort)))
      if (holder?.pod === wish.pod) continue
      if (holder) refused.push({ port: `${mapping.hostPort}/${mapping.protocol}`, pod: wish.pod, holder: holder.pod })
      else own.push(...wanted)
    }
    taken.push(...own.map((hostPort) => ({ hostPort, pod: wish.pod })))
    if (own.length > 0) granted.set(wish.hostDevice, own)
  }
  return { granted, refused }
}

/** An address is one of the node's in any case: a pod may ask for a port at any address, also at one of another machine. */
function translation({ protocol, port, hostAddr, to, toPort }: HostPort): NftRule {
  const { family } = to
  const at: NftMatch[] = hostAddr
    ? [{ kind: 'addr', field: 'daddr', prefix: new Prefix(hostAddr, hostAddr.bits) }]
    : family === 6
      ? [{ kind: 'addr', field: 'daddr', prefix: new Prefix(loopback6, loopback6.bits), not: true }]
      : [{ kind: 'family', family }]
  return {
    comment: `${port}/${protocol} of ${hostAddr ?? 'this node'} to a pod`,
    match: [...at, { kind: 'l4proto', protocol }, { kind: 'dport', port }, { kind: 'daddrLocal' }],
    action: { kind: 'dnat', addr: to, port: toPort },
  }
}

/**
 * Who is on the pod's own link, the pod itself included, would get the reply straight from the pod, with an address that it never sent to:
 * the reply has to come through the node. From 127.0.0.0/8 no reply could come back at all.
 */
function masquerades(hostPort: HostPort, podCIDRs: readonly Prefix[]): NftRule[] {
  const { protocol, port, to } = hostPort
  const neighbours = podCIDRs.filter(({ family }) => family === to.family)
  const sources = to.family === 4 ? [...neighbours, loopback] : neighbours
  return sources.map((source) => ({
    comment: `${port}/${protocol} to a pod, from ${source}`,
    match: [
      { kind: 'addr', field: 'saddr', prefix: source },
      { kind: 'addr', field: 'daddr', prefix: new Prefix(to, to.bits) },
      { kind: 'ctDnat' },
      { kind: 'l4proto', protocol },
      { kind: 'ctOriginalPort', port },
    ] satisfies NftMatch[],
    action: { kind: 'masquerade' },
  }))
}

/** The table that translates host ports; undefined when no pod has one. `podCIDRs` are those of this node's pods. */
export function hostPortTable(hostPorts: readonly HostPort[], podCIDRs: readonly Prefix[]): NftTable | undefined {
  if (hostPorts.length === 0) return undefined
  const text = ({ protocol, port, hostAddr, to }: HostPort): string =>
    // those of one address come before those of all
    `${hostAddr === undefined ? 1 : 0} ${to.family} ${protocol} ${String(port).padStart(5, '0')} ${hostAddr ?? ''} ${to}`
  const sorted = hostPorts
    .filter(({ hostAddr }) => hostAddr?.equals(loopback6) !== true)
    .toSorted((a, b) => (text(a) < text(b) ? -1 : 1))
  const translate = (hook: 'prerouting' | 'output', of: readonly HostPort[]): NftChain => ({
    name: `to-pods-${hook}`,
    hook: { type: 'nat', hook, priority: translatePriority },
    policy: 'accept',
    rules: of.map(translation),
  })
  // what comes from elsewhere to a loopback address is for nobody: the translation would come before the kernel drops it
  const fromElsewhere = sorted.filter(({ hostAddr }) => hostAddr === undefined || !loopback.contains(hostAddr))
  return {
    family: 'inet',
    name: hostPortTableName,
    sets: [],
    chains: [
      translate('prerouting', fromElsewhere),
      translate('output', sorted),
      {
        name: 'back-through-node',
        hook: { type: 'nat', hook: 'postrouting', priority: srcnatPriority },
        policy: 'accept',
        rules: sorted.flatMap((each) => masquerades(each, podCIDRs)),
      },
    ],
  }
}

/** Whether processes of the node may ask for a host port at a loopback address of IPv4. The kernel has no such way in IPv6. */
export function needsLoopback(hostPorts: readonly HostPort[]): boolean {
  return hostPorts.some(({ to, hostAddr }) => to.family === 4 && (!hostAddr || loopback.contains(hostAddr)))
}
