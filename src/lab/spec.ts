// The spec of a lab: its size, families and CIDRs, and every name and address derived from them. Pure.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type DatapathName, datapathNames } from '#/model/datapath.ts'
import { neverPods } from '#/model/special-ranges.ts'
import { type Routing } from '#/model/routing.ts'

export type LabFamilies = 'ipv4' | 'ipv6' | 'dual'

/** nodeMesh of the object BGPConfiguration: sessions between all nodes, none, or chosen by the number of nodes. */
export const meshes = ['full', 'none', 'auto'] as const
export type LabMesh = (typeof meshes)[number]

export const routerKinds = ['bird', 'frr'] as const
export type RouterKind = (typeof routerKinds)[number]

/** 'one': all nodes are in the same AS; 'rack': each rack has its own. */
export const asnPlans = ['one', 'rack'] as const
export type AsnPlan = (typeof asnPlans)[number]

/** 'mixed': in each subnet every other node has eBPF, beginning with the first; the others have the bridge. */
export const labDatapaths = [...datapathNames, 'mixed'] as const
export type LabDatapath = (typeof labDatapaths)[number]

/** Whose network the nodes have, where that is not Causeway's. */
export const foreignNetworks = ['flannel-vxlan', 'flannel-host-gw'] as const
export type ForeignNetwork = (typeof foreignNetworks)[number]
export const labNetworks = ['causeway', ...foreignNetworks] as const

/** Racks with routers that speak BGP; routers/fabric.ts derives the rest from these. */
export type LabRacks = {
  readonly count: number
  /** The number of top-of-rack routers in each rack. */
  readonly tors: number
  readonly router: RouterKind
  readonly nodeAsns: AsnPlan
  readonly bfd: boolean
}

export type LabSpec = {
  /** A part of every name that the lab makes: lower-case letters and digits. */
  readonly name: string
  readonly nodes: number
  readonly families: LabFamilies
  readonly clusterCIDRs: readonly Prefix[]
  readonly underlayMtuBytes: number
  /** The number of underlay subnets; with several, packets between them cross the router. With racks: one for each. */
  readonly subnets: number
  readonly racks?: LabRacks
  /** Absent: Causeway's. */
  readonly network?: ForeignNetwork
  readonly routing: Routing
  readonly datapath: LabDatapath
  /** Absent: meshOf decides. */
  readonly mesh?: LabMesh
  readonly podsPerNode: number
}

export class LabError extends Error {
  override name = 'LabError'
}

/** The mesh of a lab. It is 'none' by default where the racks' routers distribute all routes, or where VXLAN needs no BGP. */
export function meshOf({ mesh, racks, routing }: LabSpec): LabMesh {
  return mesh ?? (racks || routing === 'vxlan' ? 'none' : 'auto')
}

export const defaultClusterCIDRs = { 4: '10.244.0.0/16', 6: 'fd10:244::/48' } as const
export const nodeMaskSizes = { 4: 24, 6: 64 } as const
const maxNodes = 200
const maxSubnets = 50
const maxTors = 2
/** The least underlay MTU: IPv6 needs 1280 bytes inside the tunnel, and the tunnel adds 70. */
const minUnderlayMtuBytes = { ipv4: 576, ipv6: 1350, dual: 1350 } as const
const maxUnderlayMtuBytes = 9216

export function familiesOf({ families }: Pick<LabSpec, 'families'>): Family[] {
  return families === 'ipv4' ? [4] : families === 'ipv6' ? [6] : [4, 6]
}

function within(what: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new LabError(`${what} ${value}: expected a whole number from ${min} to ${max}`)
  }
}

/** Throws LabError for a name that cannot be a part of the names of files and namespaces. */
export function checkLabName(name: string): void {
  if (!/^[a-z0-9]{1,12}$/.test(name))
    throw new LabError(`--name "${name}": expected 1 to 12 lower-case letters and digits`)
}

function checkNetwork({ network, racks, routing, datapath, subnets }: LabSpec): void {
  if (network === undefined) return
  if (racks || routing !== 'vxlan' || datapath !== 'bridge')
    throw new LabError(`--network ${network}: its nodes have no agent, which --racks, --routing and --datapath are for`)
  if (network === 'flannel-host-gw' && subnets > 1)
    throw new LabError(`--network ${network} with --subnets: nodes of different subnets do not reach each other's pods`)
}

/** Throws LabError with one line about the first impossible value. */
export function checkSpec(spec: LabSpec): void {
  checkLabName(spec.name)
  within('--nodes', spec.nodes, 1, maxNodes)
  if (spec.racks) {
    within('--racks', spec.racks.count, 1, maxSubnets)
    within('--tors', spec.racks.tors, 1, maxTors)
  }
  within('--subnets', spec.subnets, 1, maxSubnets)
  if (spec.routing === 'native' && spec.subnets > 1 && !spec.racks) {
    throw new LabError(
      '--routing native with --subnets: the router between them knows no pods; try --routing auto, or --racks N',
    )
  }
  checkNetwork(spec)
  within('--pods', spec.podsPerNode, 0, 20)
  within('--mtu', spec.underlayMtuBytes, minUnderlayMtuBytes[spec.families], maxUnderlayMtuBytes)
  for (const cidr of spec.clusterCIDRs) {
    const special = neverPods.find(({ prefix: range }) => range.overlaps(cidr))
    if (special)
      throw new LabError(`--cluster-cidrs: ${cidr} overlaps ${special.prefix}, ${special.what}: no pod can have one`)
  }
  for (const family of familiesOf(spec)) {
    const cidrs = spec.clusterCIDRs.filter((cidr) => cidr.family === family)
    if (cidrs.length === 0)
      throw new LabError(`--cluster-cidrs has no IPv${family} CIDR, but the lab is ${spec.families}; see --families`)
    const tooSmall = cidrs.find(({ length }) => length > nodeMaskSizes[family])
    if (tooSmall)
      throw new LabError(`--cluster-cidrs: ${tooSmall} is smaller than one node's /${nodeMaskSizes[family]}`)
    const room = cidrs.reduce((sum, { length }) => sum + 2 ** (nodeMaskSizes[family] - length), 0)
    if (room < spec.nodes) {
      throw new LabError(
        `--cluster-cidrs: ${cidrs.join(',')} holds ${room} node CIDRs of /${nodeMaskSizes[family]}, too few for ${spec.nodes} nodes`,
      )
    }
  }
  const other = spec.clusterCIDRs.find(({ family }) => !familiesOf(spec).includes(family))
  if (other) throw new LabError(`--cluster-cidrs: ${other} does not fit a lab that is ${spec.families}`)
  const underlay = [underlayCIDR(4), underlayCIDR(6)]
  for (const [index, cidr] of spec.clusterCIDRs.entries()) {
    const clash = [...underlay, ...spec.clusterCIDRs.slice(0, index)].find((each) => each.overlaps(cidr))
    if (clash)
      throw new LabError(
        `--cluster-cidrs: ${cidr} overlaps ${clash}${underlay.includes(clash) ? ', the underlay' : ''}`,
      )
  }
}

const underlays = { 4: Prefix.parse('172.30.0.0/16'), 6: Prefix.parse('fd30::/48') }

function underlayCIDR(family: Family): Prefix {
  return underlays[family]
}

/** The CIDR of a subnet; subnets are numbered from 1. */
export function subnetCIDR(family: Family, subnet: number): Prefix {
  return family === 4
    ? new Prefix(underlays[4].addr.plus(subnet << 8), 24)
    : new Prefix(underlays[6].addr.plus(BigInt(subnet) << 64n), 64)
}

/** The router's address in a subnet; two routers are numbered from 1. */
export function routerAddr(family: Family, subnet: number, router = 1): Addr {
  return subnetCIDR(family, subnet).at(router)
}

/** A node's default gateways of a family. */
export function gatewaysOf(spec: LabSpec, family: Family, subnet: number): Addr[] {
  return Array.from({ length: spec.racks?.tors ?? 1 }, (_, index) => routerAddr(family, subnet, index + 1))
}

export type LabNode = {
  readonly name: string
  readonly subnet: number
  /** The number of the node's subnet; absent in a lab without racks. */
  readonly rack?: number
  readonly addrs: readonly Addr[]
}

const firstNodeHost = 11

/** The nodes of a lab. Names count from 1 in a fixed order: node n is the same one in a lab of any size. */
export function labNodes(spec: LabSpec): LabNode[] {
  return Array.from({ length: spec.nodes }, (_, index) => {
    const subnet = (index % spec.subnets) + 1
    const addrs = familiesOf(spec).map((family) => subnetCIDR(family, subnet).at(firstNodeHost + index))
    return { name: `node-${index + 1}`, subnet, addrs, ...(spec.racks && { rack: subnet }) }
  })
}

/** The datapath of the lab's nodes without one of their own. */
export function clusterDatapath({ datapath }: LabSpec): DatapathName {
  return datapath === 'mixed' ? 'ebpf' : datapath
}

/** The datapath that each node is to have, by its name. */
export function nodeDatapaths(spec: LabSpec): Map<string, DatapathName> {
  const isApart = (index: number): boolean => spec.datapath === 'mixed' && Math.floor(index / spec.subnets) % 2 === 1
  return new Map(labNodes(spec).map(({ name }, index) => [name, isApart(index) ? 'bridge' : clusterDatapath(spec)]))
}

const apiLoopbacks = { 4: underlays[4].addr.plus(255 * 256 + 1), 6: underlays[6].addr.plus((255n << 64n) + 1n) }

/**
 * The addresses at which nodes reach the lab's API: the router's. With racks these are addresses of the spine's loopback device, which the
 * racks learn by BGP.
 */
export function apiAddrs(spec: LabSpec): Addr[] {
  return familiesOf(spec).map((family) => (spec.racks ? apiLoopbacks[family] : routerAddr(family, 1)))
}

export const apiPort = 6443

/** The prefix of the names of all namespaces of a lab. */
export function netnsPrefix(lab: string): string {
  return `cw-${lab}-`
}

export function routerNetns(lab: string): string {
  return `${netnsPrefix(lab)}router`
}

/** With racks: the namespace of the switches that connect nodes and routers of a rack. */
export function switchesNetns(lab: string): string {
  return `${netnsPrefix(lab)}switches`
}

export function nodeNetns(lab: string, node: string): string {
  return `${netnsPrefix(lab)}${node}`
}

export function podNetns(lab: string, namespace: string, pod: string): string {
  return `${netnsPrefix(lab)}pod-${namespace}-${pod}`
}

/** How a pod is called where pods of several namespaces are shown: NAME in the namespace "default", else NAMESPACE/NAME. */
export function podTitle({
  namespace = 'default',
  name,
}: {
  readonly namespace?: string
  readonly name: string
}): string {
  return namespace === 'default' ? name : `${namespace}/${name}`
}

export function encodeSpec(spec: LabSpec): string {
  return JSON.stringify(spec, undefined, 2)
}

export function decodeSpec(text: string): LabSpec {
  const saved = JSON.parse(text) as Omit<LabSpec, 'clusterCIDRs' | 'datapath'> & {
    clusterCIDRs: string[]
    datapath?: LabDatapath
  }
  // a lab that an earlier release has made has none in its file
  return { datapath: 'bridge', ...saved, clusterCIDRs: saved.clusterCIDRs.map((cidr) => Prefix.parse(cidr)) }
}
