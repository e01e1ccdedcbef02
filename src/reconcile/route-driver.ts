// Routes to remote pod CIDRs. Ownership: rtm_protocol (model/names.ts), in the main table.
import { setImmediate } from 'node:timers/promises'
import { Prefix } from '#/lib/addr.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { listRoutesInTurns, routeAdd, routeDelete, routeReplace, routeText } from '#/kernel/routes.ts'
import { overlayMetric, routeProtocol } from '#/model/names.ts'
import { type DesiredNetwork, type DesiredRoute, type NetworkDelta, routeKey } from '#/model/network.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route, sameRoute } from '#/wire/netlink/route.ts'
import { type Change, changeOf, compareByKey, type Comparison, type Driver } from './driver.ts'

const comparedPerTurn = 500

function toRoute(desired: DesiredRoute, oif: number): Route {
  return {
    dst: desired.dst,
    type: 'unicast',
    protocol: routeProtocol,
    table: RT_TABLE_MAIN,
    metric: desired.metric,
    scope: RT_SCOPE_UNIVERSE,
    nextHops: [{ oif, gateway: desired.gateway, onlink: true }],
    mtuBytes: desired.mtuBytes,
    encap: desired.encap,
    ...(desired.preferredSource && { preferredSource: desired.preferredSource }),
  }
}

/** Several of our routes to one prefix can only be leftovers with another metric: they have keys of their own. */
function keyOf({ dst, metric }: Route): string {
  return metric === overlayMetric(dst) ? String(dst) : `${dst} metric ${metric}`
}

export class RouteDriver implements Driver {
  readonly kind = 'route'
  readonly #netlink: Netlink
  /** Prefixes at which our own route was seen: another's route there now took its place, and that is undone. */
  readonly #held = new Set<string>()
  /** By name, as of the last comparison; a device that is made anew causes another one. */
  #indexOf: ReadonlyMap<string, number> | undefined

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  async compare({ routes }: DesiredNetwork): Promise<Comparison> {
    const links = listLinks(this.#netlink)
    const indexOf = new Map(links.map(({ name, index }) => [name, index]))
    const names = new Map(links.map(({ name, index }) => [index, name]))
    const nameOf = (index: number): string => names.get(index) ?? `if${index}`
    this.#indexOf = indexOf
    const desired = new Map(routes.map((each) => [routeKey(each), each]))
    const actual = new Map<string, Route>()
    const failures = new Map<string, string>()
    const inTheWay = new Set<string>()
    for (const found of await listRoutesInTurns(this.#netlink)) {
      const key = found.protocol === routeProtocol ? keyOf(found) : String(found.dst)
      const wanted = desired.get(key)
      if (found.protocol === routeProtocol) {
        actual.set(key, found)
        if (wanted) this.#held.add(key)
      } else if (wanted && found.metric <= wanted.metric && !(found.metric === wanted.metric && this.#held.has(key))) {
        const text = routeText(found, nameOf)
        failures.set(key, `another's route stands in the way: ${text}; remove it: ip route del ${text}`)
        if (found.metric === wanted.metric) inTheWay.add(key)
      }
    }
    // thousands that are as they should be are passed over in portions; what is left is nearly always little
    const right = new Set<string>()
    let seen = 0
    for (const [key, each] of desired) {
      const found = actual.get(key)
      if (found && sameRoute(toRoute(each, indexOf.get(each.device) ?? 0), found)) right.add(key)
      if (++seen % comparedPerTurn === 0) await setImmediate()
    }
    const comparison = compareByKey({
      desired,
      actual,
      same: (each) => right.has(routeKey(each)),
      add: (each) => [this.#make(each)],
      change: (each) => [routeReplace(toRoute(each, indexOf.get(each.device) ?? 0), () => each.device)],
      remove: (found) => [routeDelete(found, nameOf)],
      obstacle: (each) => {
        if (!indexOf.has(each.device)) return `device ${each.device} is missing`
        return inTheWay.has(routeKey(each)) ? failures.get(routeKey(each)) : undefined
      },
    })
    return { ...comparison, failures: new Map([...comparison.failures, ...failures]) }
  }

  fromDelta({ routes }: NetworkDelta): Comparison | undefined {
    const indexOf = this.#indexOf
    if (indexOf === undefined || [...routes.values()].some((each) => each && !indexOf.has(each.device)))
      return undefined
    const changes: Change[] = []
    const leftovers: Change[] = []
    for (const [key, each] of routes) {
      if (each === undefined) leftovers.push(this.#forget(key))
      else {
        const verb = this.#held.has(key) ? 'change' : 'add'
        changes.push(changeOf(verb, key, [this.#make(each)], { done: () => this.#held.add(key) }))
      }
    }
    return { keys: changes.map(({ key }) => key), changes, leftovers, failures: new Map() }
  }

  #make(desired: DesiredRoute) {
    const make = this.#held.has(routeKey(desired)) ? routeReplace : routeAdd
    return make(toRoute(desired, this.#indexOf?.get(desired.device) ?? 0), () => desired.device)
  }

  /** What is ours at that key, gone. No more of it is needed to delete it, and another's route to the prefix stays. */
  #forget(key: string): Change {
    const dst = Prefix.parse(key)
    const route: Route = {
      dst,
      type: 'unicast',
      protocol: routeProtocol,
      table: RT_TABLE_MAIN,
      metric: overlayMetric(dst),
      scope: RT_SCOPE_UNIVERSE,
      nextHops: [],
    }
    return changeOf('delete', key, [routeDelete(route, String)], { done: () => this.#held.delete(key) })
  }
}
