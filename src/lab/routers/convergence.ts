// Whether the routers of a lab have told each other of their racks.
import { Prefix } from '#/lib/addr.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listRoutes } from '#/kernel/routes.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { type LabSpec } from '../spec.ts'
import { routersOf, underlayPrefixes } from './fabric.ts'

export type MissingRoute = { readonly router: string; readonly prefix: Prefix }

/** What kernels of routers do not know yet of the others' subnets, and of the API. */
export function missingRoutes(spec: LabSpec): MissingRoute[] {
  const wanted = underlayPrefixes(spec)
  return routersOf(spec).flatMap((router) => {
    using netns = new Netns(netnsPath(router.netns))
    using netlink = new Netlink(NETLINK_ROUTE, netns)
    const known = [...router.loopbacks.map((addr) => Prefix.host(addr)), ...listRoutes(netlink).map(({ dst }) => dst)]
    return wanted
      .filter((prefix) => !known.some((each) => each.equals(prefix)))
      .map((prefix) => ({ router: router.name, prefix }))
  })
}
