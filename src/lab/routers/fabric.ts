// The routers of a lab with racks: every address, AS number and session derived from its spec. Pure.
//
//   node-1 node-3          node-2 node-4
//      └──┬──┘ nodes          └──┬──┘ nodes     a subnet per rack, 172.30.N.0/24: the switches' namespace joins them
//      rack-1  AS 65001       rack-2  AS 65002  top of rack; with two of them rack-1b, rack-2b
//         └ spine ┐        ┌─ spine ┘           a link each, 172.30.0.2i/31
//                  spine  AS 65000              in the router's namespace, with the API on its loopback device
//
// One session carries both families, over IPv4 when the lab has it. Every router has sessions with its direct neighbours only (eBGP),
// and all its routes to other networks come from these sessions.
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import {
  apiAddrs,
  familiesOf,
  labNodes,
  type LabRacks,
  type LabSpec,
  netnsPrefix,
  routerAddr,
  routerNetns,
  subnetCIDR,
} from '../spec.ts'

/** Private AS numbers of RFC 6996. */
const spineAsn = 65_000
/** The AS number of the nodes, unless each rack has its own. */
export const clusterAsn = 64_512

/** The devices of a top-of-rack router: this one leads to its nodes, `spineDevice` to the spine. */
export const nodesDevice = 'nodes'
export const spineDevice = 'spine'

export type RouterAddress = { readonly addr: Addr; readonly prefixLength: number }
export type RouterLink = { readonly device: string; readonly addrs: readonly RouterAddress[] }

/** Another router, or a node. */
export type RouterNeighbour = {
  readonly name: string
  readonly addr: Addr
  readonly localAddr: Addr
  readonly asn: number
  readonly device: string
}

export type Router = {
  readonly name: string
  readonly netns: string
  readonly asn: number
  /** The router id, also in an IPv6 lab: four bytes in the form of an IPv4 address (RFC 6286). */
  readonly id: Addr
  readonly families: readonly Family[]
  readonly loopbacks: readonly Addr[]
  readonly links: readonly RouterLink[]
  readonly routers: readonly RouterNeighbour[]
  /** Absent on the spine, which has no nodes. */
  readonly rack?: {
    readonly number: number
    /** `subnet` and `routerAddr` are of the family that sessions run over. */
    readonly subnet: Prefix
    readonly routerAddr: Addr
    readonly nodesAsn: number
    readonly nodes: readonly RouterNeighbour[]
  }
  readonly bfd: boolean
}

export function nodeAsn(racks: LabRacks, rack: number): number {
  return racks.nodeAsns === 'one' ? clusterAsn : clusterAsn + rack
}

function torAsn(rack: number): number {
  return spineAsn + rack
}

function torName(rack: number, tor: number): string {
  return `rack-${rack}${tor === 1 ? '' : 'b'}`
}

/** Both ends of the link between the spine and a top-of-rack router: the spine has the even address (RFC 3021, RFC 6164). */
function spineLink(family: Family, racks: LabRacks, rack: number, tor: number): { spine: Addr; tor: Addr } {
  const index = (rack - 1) * racks.tors + tor - 1
  const spine = subnetCIDR(family, 0).at(2 * index)
  return { spine, tor: spine.plus(1) }
}

function linkLength(family: Family): number {
  return family === 4 ? 31 : 127
}

/** The spine, then the top-of-rack routers; empty without racks. */
export function routersOf(spec: LabSpec): Router[] {
  const { racks } = spec
  if (racks === undefined) return []
  const places = Array.from({ length: racks.count }, (_, rack) =>
    Array.from({ length: racks.tors }, (_tor, tor) => ({ rack: rack + 1, tor: tor + 1 })),
  ).flat()
  const tors = places.map(({ rack, tor }) => torOf(spec, racks, rack, tor))
  return [spineOf(spec, racks, places), ...tors]
}

function spineOf(spec: LabSpec, racks: LabRacks, places: readonly { rack: number; tor: number }[]): Router {
  const families = familiesOf(spec)
  return {
    name: 'spine',
    netns: routerNetns(spec.name),
    asn: spineAsn,
    id: subnetCIDR(4, 255).at(1),
    families,
    loopbacks: apiAddrs(spec),
    links: places.map(({ rack, tor }) => ({
      device: torName(rack, tor),
      addrs: families.map((family) => ({
        addr: spineLink(family, racks, rack, tor).spine,
        prefixLength: linkLength(family),
      })),
    })),
    routers: places.map(({ rack, tor }) => {
      const link = spineLink(families[0]!, racks, rack, tor)
      const name = torName(rack, tor)
      return { name, addr: link.tor, localAddr: link.spine, asn: torAsn(rack), device: name }
    }),
    bfd: racks.bfd,
  }
}

function torOf(spec: LabSpec, racks: LabRacks, rack: number, tor: number): Router {
  const families = familiesOf(spec)
  const [family] = families as [Family]
  const link = spineLink(family, racks, rack, tor)
  const nodes = labNodes(spec)
    .filter(({ subnet }) => subnet === rack)
    .map(({ name, addrs }) => ({
      name,
      addr: addrs[0]!,
      localAddr: routerAddr(family, rack, tor),
      asn: nodeAsn(racks, rack),
      device: nodesDevice,
    }))
  return {
    name: torName(rack, tor),
    netns: `${netnsPrefix(spec.name)}${torName(rack, tor)}`,
    asn: torAsn(rack),
    id: routerAddr(4, rack, tor),
    families,
    loopbacks: [],
    links: [
      {
        device: nodesDevice,
        addrs: families.map((each) => ({
          addr: routerAddr(each, rack, tor),
          prefixLength: subnetCIDR(each, rack).length,
        })),
      },
      {
        device: spineDevice,
        addrs: families.map((each) => ({
          addr: spineLink(each, racks, rack, tor).tor,
          prefixLength: linkLength(each),
        })),
      },
    ],
    routers: [{ name: 'spine', addr: link.spine, localAddr: link.tor, asn: spineAsn, device: spineDevice }],
    rack: {
      number: rack,
      subnet: subnetCIDR(family, rack),
      routerAddr: routerAddr(family, rack, tor),
      nodesAsn: nodeAsn(racks, rack),
      nodes,
    },
    bfd: racks.bfd,
  }
}

/** The prefixes that a router learns once all routers are up, apart from pods: the racks' subnets and the API's address. */
export function underlayPrefixes(spec: LabSpec): Prefix[] {
  const racks = Array.from({ length: spec.racks?.count ?? 0 }, (_, index) => index + 1)
  return [
    ...familiesOf(spec).flatMap((family) => racks.map((rack) => subnetCIDR(family, rack))),
    ...apiAddrs(spec).map((addr) => Prefix.host(addr)),
  ]
}
