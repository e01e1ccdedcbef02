// What a lab consists of: its size, families and CIDRs, and every name and address that follows from them. Pure.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type Routing } from '#/model/routing.ts'

export type LabFamilies = 'ipv4' | 'ipv6' | 'dual'

/** nodeMesh of the object BGPConfiguration: sessions between all nodes, none, or what fits their number. */
export const meshes = ['full', 'none', 'auto'] as const
export type LabMesh = (typeof meshes)[number]

export const routerKinds = ['bird', 'frr'] as const
export type RouterKind = (typeof routerKinds)[number]

/** 'one': all nodes are in the same AS; 'rack': those of a rack are. */
export const asnPlans = ['one', 'rack'] as const
export type AsnPlan = (typeof asnPlans)[number]

/** Racks with routers that speak BGP; what follows from these is in routers/fabric.ts. */
export type LabRacks = {
  readonly count: number
  /** Top-of-rack routers of each. */
  readonly tors: number
  readonly router: RouterKind
  readonly nodeAsns: AsnPlan
  readonly bfd: boolean
}

export type LabSpec = {
  /** Part of every name that the lab makes; lower-case letters and digits. */
  readonly name: string
  readonly nodes: number
  readonly families: LabFamilies
  readonly clusterCIDRs: readonly Prefix[]
  readonly underlayMtuBytes: number
  /** Underlay subnets; with more than one, packets between them cross the router. With racks: one for each. */
  readonly subnets: number
  readonly racks?: LabRacks
  readonly routing: Routing
  /** Absent: meshOf says. */
  readonly mesh?: LabMesh
  readonly podsPerNode: number
}

export class LabError extends Error {
  override name = 'LabError'
}

/** Routers of racks tell all that a mesh would, and with VXLAN nobody needs one. */
export function meshOf({ mesh, racks, routing }: LabSpec): LabMesh {
  return mesh ?? (racks || routing === 'vxlan' ? 'none' : 'auto')
}

export const defaultClusterCIDRs = { 4: '10.244.0.0/16', 6: 'fd10:244::/48' } as const
export const nodeMaskSizes = { 4: 24, 6: 64 } as const
const maxNodes = 200
const maxSubnets = 50
const maxTors = 2
/** IPv6 needs 1280 bytes inside of the tunnel, and the tunnel 70 around them. */
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

export function isLabName(name: string): boolean {
  return /^[a-z0-9]{1,12}$/.test(name)
}

/** Each option that is fixed while a lab is up, with its value as a user gives it. */
function fixedOptions({ families, clusterCIDRs, underlayMtuBytes, subnets, racks }: LabSpec): [string, string][] {
  return [
    ['--racks', racks ? String(racks.count) : 'none'],
    ...(racks ? [] : [['--subnets', String(subnets)] satisfies [string, string]]),
    ['--families', families],
    ['--cluster-cidrs', clusterCIDRs.join(',')],
    ['--mtu', String(underlayMtuBytes)],
    ['--tors', String(racks?.tors)],
    ['--router', String(racks?.router)],
    ['--node-asns', String(racks?.nodeAsns)],
    ['--bfd', racks?.bfd ? 'on' : 'off'],
  ]
}

/** Throws LabError about the first option that is to change although it cannot while the lab is up. */
export function checkChange(before: LabSpec, spec: LabSpec): void {
  const now = new Map(fixedOptions(before))
  const changed = fixedOptions(spec).find(([option, value]) => now.has(option) && now.get(option) !== value)
  if (changed === undefined) return
  const [option, value] = changed
  throw new LabError(
    `${option} cannot become ${value} while lab "${spec.name}" is up: it is ${now.get(option)}; first take the lab down: causeway lab down --name ${spec.name}`,
  )
}

/** Throws LabError with one line about the first thing that cannot be. */
export function checkSpec(spec: LabSpec): void {
  if (!isLabName(spec.name)) {
    throw new LabError(`--name "${spec.name}": expected 1 to 12 lower-case letters and digits`)
  }
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
  within('--pods', spec.podsPerNode, 0, 20)
  within('--mtu', spec.underlayMtuBytes, minUnderlayMtuBytes[spec.families], maxUnderlayMtuBytes)
  for (const family of familiesOf(spec)) {
    const cidrs = spec.clusterCIDRs.filter((cidr) => cidr.family === family)
    if (cidrs.length === 0)
      throw new LabError(`--cluster-cidrs has no IPv${family} CIDR, but the lab is ${spec.families}`)
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

/** Subnets are numbered from 1. */
export function subnetCIDR(family: Family, subnet: number): Prefix {
  return family === 4
    ? new Prefix(underlays[4].addr.plus(subnet << 8), 24)
    : new Prefix(underlays[6].addr.plus(BigInt(subnet) << 64n), 64)
}

/** The router's address in a subnet; where there are two, they are numbered from 1. */
export function routerAddr(family: Family, subnet: number, router = 1): Addr {
  return subnetCIDR(family, subnet).at(router)
}

/** What a node has as default gateways, by family. */
export function gatewaysOf(spec: LabSpec, family: Family, subnet: number): Addr[] {
  return Array.from({ length: spec.racks?.tors ?? 1 }, (_, index) => routerAddr(family, subnet, index + 1))
}

export type LabNode = {
  readonly name: string
  readonly subnet: number
  /** Absent in a lab without racks; else the subnet's number. */
  readonly rack?: number
  readonly addrs: readonly Addr[]
}

const firstNodeHost = 11

/** Node names count from 1, in a fixed order: node n is the same one in a lab of any size. */
export function labNodes(spec: LabSpec): LabNode[] {
  return Array.from({ length: spec.nodes }, (_, index) => {
    const subnet = (index % spec.subnets) + 1
    const addrs = familiesOf(spec).map((family) => subnetCIDR(family, subnet).at(firstNodeHost + index))
    return { name: `node-${index + 1}`, subnet, addrs, ...(spec.racks && { rack: subnet }) }
  })
}

const apiLoopbacks = { 4: underlays[4].addr.plus(255 * 256 + 1), 6: underlays[6].addr.plus((255n << 64n) + 1n) }

/**
 * Where the API of the lab is reached from inside of its nodes: at the router. With racks that is the spine, and these are
 * addresses of its loopback device, which the racks learn by BGP.
 */
export function apiAddrs(spec: LabSpec): Addr[] {
  return familiesOf(spec).map((family) => (spec.racks ? apiLoopbacks[family] : routerAddr(family, 1)))
}

export const apiPort = 6443

/** All namespaces of a lab begin with this. */
export function netnsPrefix(lab: string): string {
  return `cw-${lab}-`
}

export function routerNetns(lab: string): string {
  return `${netnsPrefix(lab)}router`
}

/** With racks: the switches to which nodes and routers of a rack are plugged. */
export function switchesNetns(lab: string): string {
  return `${netnsPrefix(lab)}switches`
}

export function nodeNetns(lab: string, node: string): string {
  return `${netnsPrefix(lab)}${node}`
}

export function podNetns(lab: string, namespace: string, pod: string): string {
  return `${netnsPrefix(lab)}pod-${namespace}-${pod}`
}

export function encodeSpec(spec: LabSpec): string {
  return JSON.stringify(spec, undefined, 2)
}

export function decodeSpec(text: string): LabSpec {
  const saved = JSON.parse(text) as Omit<LabSpec, 'clusterCIDRs'> & { clusterCIDRs: string[] }
  return { ...saved, clusterCIDRs: saved.clusterCIDRs.map((cidr) => Prefix.parse(cidr)) }
}
