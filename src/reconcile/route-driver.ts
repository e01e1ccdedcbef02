// Routes to remote pod CIDRs and to whatever else BGP announces. Ownership: rtm_protocol (model/names.ts), in the main table. A prefix
// may have several of our routes for a moment, told apart by their metrics: a new way is made before the former one is deleted.
import { setImmediate } from 'node:timers/promises'
import { type Addr, Prefix } from '#/lib/addr.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink, type Operation } from '#/kernel/netlink.ts'
import { listRoutesInTurns, routeAdd, routeDelete, routeReplace } from '#/kernel/routes.ts'
import { routeText } from '#/wire/netlink/route-text.ts'
import { blackholeMetric, isOurDevice, isOwnLink, nativeMetric, routeProtocol } from '#/model/names.ts'
import { type DesiredNetwork, type DesiredRoute, type NetworkDelta, routeKey, routeKeyAt } from '#/model/network.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route, sameRoute } from '#/wire/netlink/route.ts'
import { type Change, changeOf, type CompareOptions, type Comparison, type Driver } from './driver.ts'
import { nodeAddrsIn, routeInTheWay } from '#/obstacles/route-in-the-way.ts'
import { missingDevice, stoppedDevice } from './missing-device.ts'
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

/** Whether a route of ours with this metric may come from BGP; all other routes have another metric at the prefix. */
function isNativeMetric(prefix: string, metric: number): boolean {
  return metric === nativeMetric(Prefix.parse(prefix))
}

type Names = {
  readonly indexOf: ReadonlyMap<string, number>
  readonly nameOf: (index: number) => string
  readonly stopped: ReadonlySet<string>
}

function deviceFailure(devices: readonly string[], { indexOf, stopped }: Names): Failure | undefined {
  const missing = devices.find((device) => !indexOf.has(device))
  if (missing !== undefined) return missingDevice(missing)
  const down = devices.find((device) => stopped.has(device))
  return down === undefined ? undefined : stoppedDevice(down)
}

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
    const nextHops = desired.nextHops.map(({ device, gateway, onlink }) => ({
      oif: indexOf.get(device) ?? 0,
      gateway,
      ...(onlink && { onlink }),
    }))
    return { ...base, nextHops, ...more }
  }
  const { device, gateway, mtuBytes, encap } = desired
  return { ...base, nextHops: [{ oif: indexOf.get(device) ?? 0, gateway, onlink: true }], mtuBytes, encap, ...more }
}

/** How this agent knows a route of ours: found in the kernel, or made by this agent. */
type Origin = 'found' | 'made'

export class RouteDriver implements Driver {
  readonly kind = 'route'
  readonly #netlink: Netlink
  /**
   * Our own routes by prefix and metric, as of the last comparison and the changes since. When the kernel now has somebody else's
   * route at such a prefix and metric, it replaced ours, and the driver replaces it in turn.
   */
  readonly #held = new Map<string, Map<number, Origin>>()
  /** Device names and indexes as of the last comparison; a device that is made anew causes another comparison. */
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
      // compares in portions, as there may be thousands of routes; few of them need a change
      if (++seen % comparedPerTurn === 0) await setImmediate()
      const found = actual.get(key)
      if (found && sameRoute(toRoute(each, names), found)) {
        // from now on the route counts as made by this agent, and is deleted once it is no longer wanted
        this.#hold(String(each.dst), each.metric, 'made')
        continue
      }
      // keeps a route from BGP, which is better than the direct one and will be announced again
      const isDirect = each.kind === 'native' && each.origin === 'direct'
      if (found && keepsLearned && isDirect && this.#mayBeLearned(found)) continue
      const failure = deviceFailure(devicesOf(each), names)
      if (failure) failures.set(key, failure)
      else if (!inTheWay.get(key)?.isSameMetric) {
        const isLost = found === undefined && this.#held.get(String(each.dst))?.get(each.metric) === 'made'
        changes.push(this.#change(found ? 'change' : 'add', each, names, isLost))
      }
    }
    const leftovers = [...actual]
      .filter(([key, found]) => !desired.has(key) && !(keepsLearned && this.#mayBeLearned(found)))
      .map(([key, found]) =>
        changeOf('delete', key, [routeDelete(found, names.nameOf)], {
          successor: routeKeyAt(String(found.dst), found.metric),
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
      const prefix = key.split(' ').at(-1)!
      const held = this.#held.get(prefix)
      if (each) changes.push(this.#change(held?.has(each.metric) ? 'change' : 'add', each, names))
      for (const [metric, origin] of held ?? []) {
        if (routeKeyAt(prefix, metric) !== key) continue
        const isKept = keepsLearned && origin === 'found' && isNativeMetric(prefix, metric)
        if (metric !== each?.metric && !isKept) leftovers.push(this.#removal(key, prefix, metric, each === undefined))
      }
    }
    return { keys: changes.map(({ key }) => key), changes, leftovers, failures: new Map() }
  }

  #readNames(): Names {
    const links = listLinks(this.#netlink)
    const names = new Map(links.map(({ name, index }) => [index, name]))
    this.#names = {
      // no route leads over a device of others that has the name of ours
      indexOf: new Map(
        links.flatMap((link) => (isOurDevice(link.name) && !isOwnLink(link) ? [] : [[link.name, link.index]])),
      ),
      nameOf: (index) => names.get(index) ?? `if${index}`,
      stopped: new Set(links.flatMap(({ name, isUp }) => (isUp ? [] : [name]))),
    }
    return this.#names
  }

  /** Reads our routes by key, and the routes by others that keep a desired route from its work or from being made at all. */
  async #read(desired: ReadonlyMap<string, DesiredRoute>, { nameOf }: Names) {
    let lifelines: { readonly nodes: readonly Addr[]; readonly own: readonly Addr[] } | undefined
    const actual = new Map<string, Route>()
    const inTheWay = new Map<string, { readonly failure: Failure; readonly isSameMetric: boolean }>()
    const routes = await listRoutesInTurns(this.#netlink)
    const before = new Map(this.#held)
    this.#held.clear()
    for (const found of routes) {
      const prefix = String(found.dst)
      const key = routeKeyAt(prefix, found.metric)
      const wanted = desired.get(key)
      if (found.protocol === routeProtocol) {
        // one of several routes at a prefix has the prefix as its key; the others are leftovers, with their metric in the key
        const isIt = wanted ? wanted.metric === found.metric : !actual.has(key)
        actual.set(isIt ? key : `${prefix} metric ${found.metric}`, found)
        this.#hold(prefix, found.metric, before.get(prefix)?.get(found.metric) ?? 'found')
      } else if (wanted) {
        const isSameMetric = found.metric === wanted.metric
        if (isSameMetric ? before.get(prefix)?.has(found.metric) : found.metric > wanted.metric) continue
        lifelines ??= { nodes: nodeAddrsIn(desired.values()), own: this.#ownAddrs(nameOf) }
        const failure = routeInTheWay(found, wanted, { ...lifelines, text: routeText(found, nameOf) })
        inTheWay.set(key, { failure, isSameMetric: isSameMetric || inTheWay.get(key)?.isSameMetric === true })
      }
    }
    // a route by somebody else that replaced ours may be replaced by ours again
    for (const [prefix, held] of before)
      for (const [metric, origin] of held)
        if (desired.get(routeKeyAt(prefix, metric))?.metric === metric) this.#hold(prefix, metric, origin)
    return { actual, inTheWay }
  }

  /** Addresses of this node's devices, without Causeway's own devices. */
  #ownAddrs(nameOf: Names['nameOf']): Addr[] {
    return listAddresses(this.#netlink)
      .filter(({ index }) => !isOurDevice(nameOf(index)))
      .map(({ addr }) => addr)
  }

  #change(verb: 'add' | 'change', desired: DesiredRoute, names: Names, isRestoration = false): Change {
    const key = routeKey(desired)
    const done = (): void => this.#hold(String(desired.dst), desired.metric, 'made')
    return changeOf(verb, key, [this.#make(desired, names)], { done, isRestoration })
  }

  #make(desired: DesiredRoute, names: Names): Operation {
    const isOurs = this.#held.get(String(desired.dst))?.has(desired.metric) ?? false
    return (isOurs ? routeReplace : routeAdd)(toRoute(desired, names), names.nameOf)
  }

  /** Deletes our route at a prefix and metric. The kernel needs no more to find it, and routes by others to the prefix stay. */
  #removal(key: string, prefix: string, metric: number, isLast: boolean): Change {
    const route: Route = {
      dst: Prefix.parse(prefix),
      type: metric === blackholeMetric ? 'blackhole' : 'unicast',
      protocol: routeProtocol,
      table: RT_TABLE_MAIN,
      metric,
      scope: RT_SCOPE_UNIVERSE,
      nextHops: [],
    }
    return changeOf('delete', isLast ? key : `${prefix} metric ${metric}`, [routeDelete(route, String)], {
      successor: key,
      done: () => this.#forget(prefix, metric),
    })
  }

  #hold(prefix: string, metric: number, origin: Origin): void {
    const held = this.#held.get(prefix)
    if (held) held.set(metric, origin)
    else this.#held.set(prefix, new Map([[metric, origin]]))
  }

  /** Whether an earlier agent may have learned the route by BGP. */
  #mayBeLearned({ dst, metric, type, encap }: Route): boolean {
    return type === 'unicast' && encap === undefined && this.#held.get(String(dst))?.get(metric) === 'found'
  }

  #forget(prefix: string, metric: number): void {
    const held = this.#held.get(prefix)
    if (held?.delete(metric) && held.size === 0) this.#held.delete(prefix)
  }
}
