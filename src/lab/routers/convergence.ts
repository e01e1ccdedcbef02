// Checks whether routers and nodes of a lab have learned their BGP routes.
import { Prefix } from '#/lib/addr.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listRoutes } from '#/kernel/routes.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { labNodes, type LabSpec, nodeNetns } from '../spec.ts'
import { routersOf, underlayPrefixes } from './fabric.ts'

export type MissingRoute = { readonly place: string; readonly prefix: Prefix }

function missingIn(place: string, netnsName: string, wanted: readonly Prefix[]): MissingRoute[] {
  using netns = new Netns(netnsPath(netnsName))
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  const known = new Set(listRoutes(netlink).flatMap(({ dst, type }) => (type === 'unicast' ? [String(dst)] : [])))
  return wanted.filter((prefix) => !known.has(String(prefix))).map((prefix) => ({ place, prefix }))
}

/** The routes to racks and API that routers' kernels lack. */
export function missingUnderlayRoutes(spec: LabSpec): MissingRoute[] {
  const wanted = underlayPrefixes(spec)
  return routersOf(spec).flatMap(({ name, netns, loopbacks }) => {
    const own = new Set(loopbacks.map((addr) => String(Prefix.host(addr))))
    return missingIn(
      name,
      netns,
      wanted.filter((prefix) => !own.has(String(prefix))),
    )
  })
}

/** The routes to pods that kernels of routers and nodes lack. `podCIDRs` are the CIDRs of each node by its name. */
export function missingPodRoutes(spec: LabSpec, podCIDRs: ReadonlyMap<string, readonly Prefix[]>): MissingRoute[] {
  const all = [...podCIDRs.values()].flat()
  const others = (node: string) => [...podCIDRs].flatMap(([name, prefixes]) => (name === node ? [] : prefixes))
  return [
    ...routersOf(spec).flatMap(({ name, netns }) => missingIn(name, netns, all)),
    ...labNodes(spec).flatMap(({ name }) => missingIn(name, nodeNetns(spec.name, name), others(name))),
  ]
}
