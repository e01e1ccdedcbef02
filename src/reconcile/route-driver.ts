// Routes to remote pod CIDRs and whatever else BGP tells. Ownership: rtm_protocol (model/names.ts), in the main table. At one prefix
// there may be several of ours for a moment, told apart by their metrics: another way is made before the former one goes.
import { setImmediate } from 'node:timers/promises'
import { type Addr, Prefix } from '#/lib/addr.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink, type Operation } from '#/kernel/netlink.ts'
import { listRoutesInTurns, routeAdd, routeDelete, routeReplace, routeText } from '#/kernel/routes.ts'
import { blackholeMetric, isOurDevice, nativeMetric, routeProtocol } from '#/model/names.ts'
import { type DesiredNetwork, type DesiredRoute, type NetworkDelta, routeKey } from '#/model/network.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route, sameRoute } from '#/wire/netlink/route.ts'
import { type Change, changeOf, type CompareOptions, type Comparison, type Driver } from './driver.ts'
import { nodeAddrsIn, routeInTheWay } from './route-in-the-way.ts'
import { missingDevice } from './missing-device.ts'
import { type Failure } from './status.ts'

const comparedPerTurn = 500

function devicesOf(desired: DesiredRoute): readonly string[] {
  switch (desired.kind) {
    case 'overlay':
      return [desired.device]
    case 'native':
      return desired.nextHops.map(({ device }) => device)
    case 'blackhole':
      return []
    default:
      return desired satisfies never
  }
}

/** Of a route that BGP may have told; all else has another metric there. */
function isNativeMetric(prefix: string, metric: number): boolean {
  return metric === nativeMetric(Prefix.parse(prefix))
}

type Names = { readonly indexOf: ReadonlyMap<string, number>; readonly nameOf: (index: number) => string }

function toRoute(desired: DesiredRoute, { indexOf }: Names): Route {
  const base = {
    dst: desired.dst,
    type: desired.kind === 'blackhole' ? 'blackhole' : 'unicast',
    protocol: routeProtocol,
    table: RT_TABLE_MAIN,
    metric: desired.metric,
    scope: RT_SCOPE_UNIVERSE,
  } as const
  if (desired.kind === 'blackhole') return { ...base, nextHops: [] }
  const { preferredSource } = desired
  const more = preferredSource && { preferredSource }
  if (desired.kind === 'native') {
    const nextHops = desired.nextHops.map(({ device, gateway }) => ({ oif: indexOf.get(device) ?? 0, gateway }))
    return { ...base, nextHops, ...more }
  }
  const { device, gateway, mtuBytes, encap } = desired
  return { ...base, nextHops: [{ oif: indexOf.get(device) ?? 0, gateway, onlink: true }], mtuBytes, encap, ...more }
}

/** Whether we know a route of ours because it was there, or because we made it. */
type Origin = 'found' | 'made'

export class RouteDriver implements Driver {
  readonly kind = 'route'
  readonly #netlink: Netlink
  /**
   * By prefix, our own routes there by metric, as of the last comparison and of what was done since. Another's route there now took
   * the place of ours, and that is undone.
   */
  readonly #held = new Map<string, Map<number, Origin>>()
  /** As of the last comparison; a device that is made anew causes another one. */
  #names: Names | undefined

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  async compare({ routes }: DesiredNetwork, { keepsLearned = false }: CompareOptions): Promise<Comparison> {
    const names = this.#readNames()
    const desired = new Map(routes.map((each) => [routeKey(each), each]))
    const { actual, inTheWay } = await this.#read(desired, names)
    const changes: Change[] = []
    const failures = new Map([...inTheWay].map(([key, { failure }]) => [key, failure]))
    let seen = 0
    for (const [key, each] of desired) {
      // thousands that are as they should be are passed over in portions; what is left is nearly always little
      if (++seen % comparedPerTurn === 0) await setImmediate()
      const found = actual.get(key)
      if (found && sameRoute(toRoute(each, names), found)) {
        // from now on it is there because it is wanted, and goes when it is not any more
        this.#hold(key, each.metric, 'made')
        continue
      }
      // BGP's is better, and will be told again
      const isDirect = each.kind === 'native' && each.origin === 'direct'
      if (found && keepsLearned && isDirect && this.#mayBeLearned(found)) continue
      const missing = devicesOf(each).find((device) => !names.indexOf.has(device))
      if (missing !== undefined) failures.set(key, missingDevice(missing))
      else if (!inTheWay.get(key)?.isSameMetric) changes.push(this.#change(found ? 'change' : 'add', each, names))
    }
    const leftovers = [...actual]
      .filter(([key, found]) => !desired.has(key) && !(keepsLearned && this.#mayBeLearned(found)))
      .map(([key, found]) =>
        changeOf('delete', key, [routeDelete(found, names.nameOf)], {
          successor: String(found.dst),
          done: () => this.#forget(String(found.dst), found.metric),
        }),
      )
    return { keys: [...desired.keys()], changes, leftovers, failures }
  }

  fromDelta({ routes }: NetworkDelta, { keepsLearned = false }: CompareOptions): Comparison | undefined {
    const names = this.#names
    const devices = [...routes.values()].flatMap((each) => (each ? devicesOf(each) : []))
    if (names === undefined || devices.some((device) => !names.indexOf.has(device))) return undefined
    const changes: Change[] = []
    const leftovers: Change[] = []
    for (const [key, each] of routes) {
      const held = this.#held.get(key)
      if (each) changes.push(this.#change(held?.has(each.metric) ? 'change' : 'add', each, names))
      for (const [metric, origin] of held ?? []) {
        const isKept = keepsLearned && origin === 'found' && isNativeMetric(key, metric)
        if (metric !== each?.metric && !isKept) leftovers.push(this.#removal(key, metric, each === undefined))
      }
    }
    return { keys: changes.map(({ key }) => key), changes, leftovers, failures: new Map() }
  }

  #readNames(): Names {
    const links = listLinks(this.#netlink)
    const names = new Map(links.map(({ name, index }) => [index, name]))
    this.#names = {
      indexOf: new Map(links.map(({ name, index }) => [name, index])),
      nameOf: (index) => names.get(index) ?? `if${index}`,
    }
    return this.#names
  }

  /** Ours by key, and what of others keeps a desired route from its work, or from being made at all. */
  async #read(desired: ReadonlyMap<string, DesiredRoute>, { nameOf }: Names) {
    let lifelines: { readonly nodes: readonly Addr[]; readonly own: readonly Addr[] } | undefined
    const actual = new Map<string, Route>()
    const inTheWay = new Map<string, { readonly failure: Failure; readonly isSameMetric: boolean }>()
    const routes = await listRoutesInTurns(this.#netlink)
    const before = new Map(this.#held)
    this.#held.clear()
    for (const found of routes) {
      const prefix = String(found.dst)
      const wanted = desired.get(prefix)
      if (found.protocol === routeProtocol) {
        // of several at one prefix the others are leftovers, which have keys of their own
        const isIt = wanted ? wanted.metric === found.metric : !actual.has(prefix)
        actual.set(isIt ? prefix : `${prefix} metric ${found.metric}`, found)
        this.#hold(prefix, found.metric, before.get(prefix)?.get(found.metric) ?? 'found')
      } else if (wanted) {
        const isSameMetric = found.metric === wanted.metric
        const isBetter = found.metric < wanted.metric && wanted.metric !== blackholeMetric
        if (isSameMetric ? before.get(prefix)?.has(found.metric) : !isBetter) continue
        lifelines ??= { nodes: nodeAddrsIn(desired.values()), own: this.#ownAddrs(nameOf) }
        const failure = routeInTheWay(found, wanted, { ...lifelines, text: routeText(found, nameOf) })
        inTheWay.set(prefix, { failure, isSameMetric: isSameMetric || inTheWay.get(prefix)?.isSameMetric === true })
      }
    }
    // where another's took the place of ours, it is ours to take
    for (const [prefix, held] of before) {
      const metric = desired.get(prefix)?.metric
      const origin = metric === undefined ? undefined : held.get(metric)
      if (metric !== undefined && origin !== undefined) this.#hold(prefix, metric, origin)
    }
    return { actual, inTheWay }
  }

  /** Addresses of this node's devices, without those that Causeway gave. */
  #ownAddrs(nameOf: Names['nameOf']): Addr[] {
    return listAddresses(this.#netlink)
      .filter(({ index }) => !isOurDevice(nameOf(index)))
      .map(({ addr }) => addr)
  }

  #change(verb: 'add' | 'change', desired: DesiredRoute, names: Names): Change {
    const key = routeKey(desired)
    return changeOf(verb, key, [this.#make(desired, names)], { done: () => this.#hold(key, desired.metric, 'made') })
  }

  #make(desired: DesiredRoute, names: Names): Operation {
    const isOurs = this.#held.get(routeKey(desired))?.has(desired.metric) ?? false
    return (isOurs ? routeReplace : routeAdd)(toRoute(desired, names), names.nameOf)
  }

  /** What is ours at a prefix and metric, gone. No more of it is needed to delete it, and another's route to the prefix stays. */
  #removal(prefix: string, metric: number, isLast: boolean): Change {
    const route: Route = {
      dst: Prefix.parse(prefix),
      type: metric === blackholeMetric ? 'blackhole' : 'unicast',
      protocol: routeProtocol,
      table: RT_TABLE_MAIN,
      metric,
      scope: RT_SCOPE_UNIVERSE,
      nextHops: [],
    }
    const key = isLast ? prefix : `${prefix} metric ${metric}`
    return changeOf('delete', key, [routeDelete(route, String)], {
      successor: prefix,
      done: () => this.#forget(prefix, metric),
    })
  }

  #hold(prefix: string, metric: number, origin: Origin): void {
    const held = this.#held.get(prefix)
    if (held) held.set(metric, origin)
    else this.#held.set(prefix, new Map([[metric, origin]]))
  }

  /** Whether it may be one that BGP told an earlier agent. */
  #mayBeLearned({ dst, metric, type, encap }: Route): boolean {
    return type === 'unicast' && encap === undefined && this.#held.get(String(dst))?.get(metric) === 'found'
  }

  #forget(prefix: string, metric: number): void {
    const held = this.#held.get(prefix)
    if (held?.delete(metric) && held.size === 0) this.#held.delete(prefix)
  }
}
