// Routes to remote pod CIDRs. Ownership: rtm_protocol (model/names.ts), in the main table.
import { listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { listRoutes, routeAdd, routeDelete, routeReplace, routeText } from '#/kernel/routes.ts'
import { routeProtocol } from '#/model/names.ts'
import { type DesiredNetwork, type DesiredRoute } from '#/model/network.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { compareByKey, type Comparison, type Driver } from './driver.ts'

/** What the kernel makes of metric 0 for IPv6 (IP6_RT_PRIO_USER). */
const defaultMetric = { 4: 0, 6: 1024 } as const

function toRoute(desired: DesiredRoute, oif: number): Route {
  return {
    dst: desired.dst,
    type: 'unicast',
    protocol: routeProtocol,
    table: RT_TABLE_MAIN,
    metric: defaultMetric[desired.dst.family],
    scope: RT_SCOPE_UNIVERSE,
    nextHops: [{ oif, gateway: desired.gateway, onlink: true }],
    mtuBytes: desired.mtuBytes,
    encap: desired.encap,
    ...(desired.preferredSource && { preferredSource: desired.preferredSource }),
  }
}

export class RouteDriver implements Driver {
  readonly kind = 'route'
  readonly #netlink: Netlink
  /** Prefixes at which our own route was seen: another's route there now took its place, and that is undone. */
  readonly #held = new Set<string>()

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  compare({ routes }: DesiredNetwork): Comparison {
    const links = listLinks(this.#netlink)
    const indexOf = new Map(links.map(({ name, index }) => [name, index]))
    const names = new Map(links.map(({ name, index }) => [index, name]))
    const nameOf = (index: number): string => names.get(index) ?? `if${index}`
    // a device that is still to be made has no index; the text for `causeway plan` needs its name all the same
    const textOf = (route: Route, device?: string): string => routeText(route, device ? () => device : nameOf)
    const all = listRoutes(this.#netlink)
    const actual = all.filter(({ protocol }) => protocol === routeProtocol)
    const foreign = new Map(
      all.filter(({ protocol }) => protocol !== routeProtocol).map((route) => [`${route.dst} ${route.metric}`, route]),
    )
    for (const { dst } of actual) this.#held.add(String(dst))
    // several of our routes to one prefix can only be leftovers with another metric: they have keys of their own
    const keyOf = ({ dst, metric }: { dst: Route['dst']; metric: number }): string =>
      metric === defaultMetric[dst.family] ? String(dst) : `${dst} metric ${metric}`
    return compareByKey({
      desired: new Map(routes.map((each) => [String(each.dst), each])),
      actual: new Map(actual.map((each) => [keyOf(each), each])),
      same: (desired, found) =>
        textOf(toRoute(desired, indexOf.get(desired.device) ?? 0), desired.device) === textOf(found),
      add: (desired) => {
        const make = this.#held.has(String(desired.dst)) ? routeReplace : routeAdd
        return [make(toRoute(desired, indexOf.get(desired.device) ?? 0), () => desired.device)]
      },
      change: (desired) => [routeReplace(toRoute(desired, indexOf.get(desired.device) ?? 0), () => desired.device)],
      remove: (found) => [routeDelete(found, nameOf)],
      obstacle: ({ device, dst }) => {
        if (!indexOf.has(device)) return `device ${device} is missing`
        const other = foreign.get(`${dst} ${defaultMetric[dst.family]}`)
        if (other === undefined || this.#held.has(String(dst))) return undefined
        return `another's route stands in the way: ${textOf(other)}; remove it: ip route del ${textOf(other)}`
      },
    })
  }
}
