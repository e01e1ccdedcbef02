// Whether the kernel's tables of neighbours have room for a lab: all its nodes share them with each other and with the machine. Pure.
import { type Family } from '#/lib/addr.ts'
import { limitFor, neighbourSysctls } from '#/model/neighbour-room.ts'
import { type NeighbourTable } from '#/wire/netlink/neigh-table.ts'
import { familiesOf, gatewaysOf, labNodes, type LabSpec } from './spec.ts'

/** The entries of one family that a lab comes to have when all nodes and pods talk to each other. */
export function neededNeighbours(spec: LabSpec, family: Family): number {
  const links = [...Map.groupBy(labNodes(spec), ({ subnet }) => subnet)].map(([subnet, { length: nodes }]) => {
    const routers = gatewaysOf(spec, family, subnet).length
    // each node has the others and the routers, and each router has the nodes
    return nodes * (nodes - 1) + 2 * nodes * routers
  })
  // a pod has its gateway, and its node has the pod
  return links.reduce((sum, entries) => sum + entries, 2 * spec.nodes * spec.podsPerNode)
}

/** What is to be done before a lab that does not fit; undefined when it does, or the kernel does not tell. */
export function neighbourWarning(spec: LabSpec, tables: readonly NeighbourTable[]): string | undefined {
  const small = familiesOf(spec).flatMap((family) => {
    const most = tables.find((table) => table.family === family)?.most
    const needed = neededNeighbours(spec, family)
    return most === undefined || needed <= most ? [] : [{ family, most, needed }]
  })
  if (small.length === 0) return undefined
  const texts = small.map(
    ({ family, most, needed }) => `${most} entries of IPv${family}, of which the lab needs about ${needed}`,
  )
  const sysctls = small.map(({ family, needed }) => neighbourSysctls(family, limitFor(needed)))
  return `the table of neighbours, one for all nodes on this kernel, has room for ${texts.join(', and for ')}: packets will be lost (CW8107) until somebody runs on the host: ${sysctls.join('; ')}`
}
