// The kernel state that flannel makes on a node, as commands: of its daemon (backends vxlan and host-gw), and of the bridge plugin that its own
// hands pods to. Each makes sure of a state that may be there already. Pure.
import { type Addr, type Family, families, type Prefix } from '#/lib/addr.ts'
import { flannelDevice } from '#/model/flannel.ts'
import { fnv1a } from '#/model/names.ts'

export type FlannelBackend = 'vxlan' | 'host-gw'

export const flannelVni = 1
/** flannel takes 50 bytes off the MTU of the underlay for both families. */
const overheadBytes = 50
const bridge = 'cni0'
const anyMulticast = { 4: '224.0.0.0/4', 6: 'ff00::/8' } as const

export type FlannelHost = {
  readonly name: string
  readonly addrs: readonly Addr[]
  readonly podCIDRs: readonly Prefix[]
}

export type FlannelPlan = {
  readonly backend: FlannelBackend
  readonly clusterCIDRs: readonly Prefix[]
  readonly underlayMtuBytes: number
}

const hex = (value: number): string =>
  [24, 16, 8, 0].map((at) => ((value >>> at) & 0xff).toString(16).padStart(2, '0')).join(':')

/** flannel takes a random one when it first comes; a lab's stays the same. */
export function vtepMac(node: string, family: Family): string {
  return `9e:0${family}:${hex(fnv1a(`flannel ${node}`))}`
}

/** The MTU of pods, of their bridge, and of the tunnel's device. */
export function podMtuBytes({ backend, underlayMtuBytes }: FlannelPlan): number {
  return backend === 'vxlan' ? underlayMtuBytes - overheadBytes : underlayMtuBytes
}

const addrOf = ({ addrs }: FlannelHost, family: Family): Addr | undefined =>
  addrs.find((each) => each.family === family)
const cidrOf = ({ podCIDRs }: FlannelHost, family: Family): Prefix | undefined =>
  podCIDRs.find((each) => each.family === family)

/** What flannel writes on a Node object. */
export function flannelAnnotationsOf(host: FlannelHost, backend: FlannelBackend): Record<string, string> {
  const prefix = 'flannel.alpha.coreos.com'
  const annotations: Record<string, string> = {
    [`${prefix}/kube-subnet-manager`]: 'true',
    [`${prefix}/backend-type`]: backend,
  }
  for (const family of families) {
    const addr = addrOf(host, family)
    const data = backend === 'vxlan' && addr ? { VNI: flannelVni, VtepMAC: vtepMac(host.name, family) } : null
    annotations[`${prefix}/${family === 4 ? 'backend-data' : 'backend-v6-data'}`] = JSON.stringify(data)
    if (addr) annotations[`${prefix}/${family === 4 ? 'public-ip' : 'public-ipv6'}`] = String(addr)
  }
  return annotations
}

function deviceCommands(host: FlannelHost, family: Family, plan: FlannelPlan): string[] {
  const [local, cidr] = [addrOf(host, family), cidrOf(host, family)]
  if (local === undefined || cidr === undefined || plan.backend !== 'vxlan') return []
  const name = flannelDevice(family, flannelVni)
  const kind = `vxlan id ${flannelVni} local ${local} dev eth0 dstport 8472 nolearning`
  return [
    `ip link show ${name} >/dev/null 2>&1 || ip link add ${name} address ${vtepMac(host.name, family)} mtu ${podMtuBytes(plan)} type ${kind}`,
    `sysctl -qw net.ipv6.conf.${name.replaceAll('.', '/')}.accept_ra=0`,
    `ip addr replace ${cidr.addr}/${cidr.addr.bits} dev ${name}${family === 6 ? ' nodad' : ''}`,
    `ip link set ${name} up`,
  ]
}

/** To one other node, in flannel's order. */
export function remoteCommands(other: FlannelHost, family: Family, backend: FlannelBackend): string[] {
  const [remote, cidr] = [addrOf(other, family), cidrOf(other, family)]
  if (remote === undefined || cidr === undefined) return []
  const route = `ip -${family} route replace ${cidr}`
  if (backend === 'host-gw') return [`${route} via ${remote} dev eth0`]
  const [device, mac] = [flannelDevice(family, flannelVni), vtepMac(other.name, family)]
  return [
    `ip neigh replace ${cidr.addr} lladdr ${mac} dev ${device} nud permanent`,
    `bridge fdb replace ${mac} dev ${device} dst ${remote} self permanent`,
    `${route} via ${cidr.addr} dev ${device} onlink`,
  ]
}

/** The chains of flannel: what leaves for outside is masqueraded, what is forwarded for pods accepted. */
function ruleCommands(host: FlannelHost, family: Family, { clusterCIDRs }: FlannelPlan): string[] {
  const [network, own] = [clusterCIDRs.find((each) => each.family === family), cidrOf(host, family)]
  if (network === undefined || own === undefined) return []
  const tool = family === 4 ? 'iptables' : 'ip6tables'
  const comment = "-m comment --comment 'flanneld masq'"
  const chain = (table: string, name: string, from: string, rules: readonly string[]): string[] => [
    `${tool} -w -t ${table} -N ${name} 2>/dev/null || ${tool} -w -t ${table} -F ${name}`,
    ...rules.map((rule) => `${tool} -w -t ${table} -A ${name} ${rule}`),
    `${tool} -w -t ${table} -C ${from} ${comment} -j ${name} 2>/dev/null || ${tool} -w -t ${table} -A ${from} ${comment} -j ${name}`,
  ]
  return [
    ...chain('nat', 'FLANNEL-POSTRTG', 'POSTROUTING', [
      '-m mark --mark 0x4000/0x4000 -j RETURN',
      `-s ${own} -d ${network} -j RETURN`,
      `-s ${network} -d ${own} -j RETURN`,
      `! -s ${network} -d ${own} -j RETURN`,
      `-s ${network} ! -d ${anyMulticast[family]} -j MASQUERADE --random-fully`,
      `! -s ${network} -d ${network} -j MASQUERADE --random-fully`,
    ]),
    ...chain('filter', 'FLANNEL-FWD', 'FORWARD', [`-s ${network} -j ACCEPT`, `-d ${network} -j ACCEPT`]),
  ]
}

/** The bridge of pods, with the gateway's addresses. */
function bridgeCommands({ podCIDRs }: FlannelHost, plan: FlannelPlan): string[] {
  return [
    `ip link show ${bridge} >/dev/null 2>&1 || ip link add ${bridge} type bridge`,
    `ip link set ${bridge} mtu ${podMtuBytes(plan)} up`,
    `sysctl -qw net.ipv6.conf.${bridge}.accept_dad=0`,
    ...podCIDRs.map((cidr) => `ip addr replace ${cidr.at(1)}/${cidr.length} dev ${bridge}`),
  ]
}

/** All state of a node. */
export function nodeCommands(host: FlannelHost, others: readonly FlannelHost[], plan: FlannelPlan): string[] {
  return [
    'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0',
    ...families.flatMap((family) => deviceCommands(host, family, plan)),
    ...others.flatMap((other) => families.flatMap((family) => remoteCommands(other, family, plan.backend))),
    ...bridgeCommands(host, plan),
    ...families.flatMap((family) => ruleCommands(host, family, plan)),
  ]
}

export type FlannelPod = {
  /** The name of the pod's namespace, in the folder of ip-netns(8). */
  readonly netns: string
  readonly hostDevice: string
  readonly addrs: readonly Addr[]
}

/** A pod's network, as the bridge plugin makes it: run in the node's namespace. */
export function podCommands({ netns, hostDevice, addrs }: FlannelPod, host: FlannelHost, plan: FlannelPlan): string[] {
  const inside = (command: string): string => `ip netns exec ${netns} ${command}`
  return [
    `ip link del ${hostDevice} 2>/dev/null || true`,
    inside('sysctl -qw net.ipv6.conf.default.accept_dad=0'),
    `ip link add ${hostDevice} mtu ${podMtuBytes(plan)} type veth peer name eth0 mtu ${podMtuBytes(plan)} netns ${netns}`,
    inside('ip link set lo up'),
    inside('ip link set eth0 up'),
    `ip link set ${hostDevice} master ${bridge} up`,
    ...addrs.flatMap((addr) => {
      const cidr = cidrOf(host, addr.family)!
      return [
        inside(`ip addr add ${addr}/${cidr.length} dev eth0${addr.family === 6 ? ' nodad' : ''}`),
        inside(`ip -${addr.family} route add default via ${cidr.at(1)}`),
      ]
    }),
  ]
}
