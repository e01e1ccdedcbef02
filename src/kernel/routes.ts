// Routes: of the main table, and those of all tables that a caller picks.
import { setImmediate } from 'node:timers/promises'
import { type Family } from '#/lib/addr.ts'
import { type Message, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '#/wire/netlink/message.ts'
import {
  type AnyRoute,
  decodeAnyRoute,
  decodeRoute,
  encodeRoute,
  isRouteOf,
  type Route,
  RT_TABLE_MAIN,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from '#/wire/netlink/route.ts'
import { routeText } from '#/wire/netlink/route-text.ts'
import { AF_INET, AF_INET6 } from '#/wire/netlink/family.ts'
import { type Netlink, type Operation } from './netlink.ts'

const routeHeaderBytes = 12

const families = [AF_INET, AF_INET6] as const
const decodedPerTurn = 250

function dumpRequest(family: number): Operation {
  const payload = new Uint8Array(routeHeaderBytes)
  payload[0] = family
  return { what: 'ip route show', type: RTM_GETROUTE, payload }
}

function routesIn(messages: readonly Message[]): Route[] {
  return messages.flatMap(({ type, payload }) => (type === RTM_NEWROUTE ? (decodeRoute(payload) ?? []) : []))
}

/** Whether the main table has a route with this protocol, in either family. */
export function hasRoutesOf(netlink: Netlink, protocol: number): boolean {
  const skips = (payload: Uint8Array, kept: number): boolean => kept > 0 || !isRouteOf(payload, protocol, RT_TABLE_MAIN)
  return families.some((family) => netlink.dump(dumpRequest(family), skips).length > 0)
}

/** All routes in the main table: of both families, or of those given. */
export function listRoutes(netlink: Netlink, only: readonly Family[] = [4, 6]): Route[] {
  return families
    .filter((family) => only.includes(family === AF_INET ? 4 : 6))
    .flatMap((family) => routesIn(netlink.dump(dumpRequest(family))))
    .filter(({ table }) => table === RT_TABLE_MAIN)
}

/** Lists routes as listRoutes does, giving the event loop a turn after each piece: for tables that may hold thousands. */
export async function listRoutesInTurns(netlink: Netlink): Promise<Route[]> {
  const routes: Route[] = []
  await visitRoutesInTurns(netlink, (route) => {
    if (route.table === RT_TABLE_MAIN) routes.push(route)
  })
  return routes
}

/**
 * Calls `visit` for every route of all tables and both families, giving the event loop its turns as listRoutesInTurns does. Routes whose
 * message `skips` are not even copied.
 */
export async function visitRoutesInTurns(
  netlink: Netlink,
  visit: (route: Route) => void,
  skips?: (payload: Uint8Array) => boolean,
): Promise<void> {
  for (const family of families) {
    const messages = await netlink.dumpInTurns(dumpRequest(family), skips)
    for (let start = 0; start < messages.length; start += decodedPerTurn) {
      for (const route of routesIn(messages.slice(start, start + decodedPerTurn))) visit(route)
      await setImmediate()
    }
  }
}

/**
 * Calls `visit` for every route of any type, of all tables and both families, giving the event loop its turns, until it returns false: what is left is
 * not decoded. Returns how many that is.
 */
export async function visitAllRoutesInTurns(netlink: Netlink, visit: (route: AnyRoute) => boolean): Promise<number> {
  let left = 0
  let isDone = false
  for (const family of families) {
    const messages = await netlink.dumpInTurns(dumpRequest(family))
    for (const [index, { payload }] of messages.entries()) {
      if (index % decodedPerTurn === 0) await setImmediate()
      const route: AnyRoute | undefined = isDone ? undefined : decodeAnyRoute(payload)
      isDone ||= route !== undefined && !visit(route)
      if (isDone) left++
    }
  }
  return left
}

/**
 * One change of a route. Its text, which is a command, is made only when somebody reads it: hardly one of thousands of routes is ever reported.
 * The message is made when it is sent: of the routes that were found but are not wanted, hardly one is ever deleted. (A class, because an
 * object with getters of its own is many times as large.)
 */
class RouteOperation implements Operation {
  readonly #verb: 'add' | 'replace' | 'del'
  readonly #route: Route
  readonly #deviceName: (index: number) => string

  constructor(verb: 'add' | 'replace' | 'del', route: Route, deviceName: (index: number) => string) {
    this.#verb = verb
    this.#route = route
    this.#deviceName = deviceName
  }

  get what(): string {
    const family = this.#route.dst.family === 6 ? '-6 ' : ''
    return `ip ${family}route ${this.#verb} ${routeText(this.#route, this.#deviceName)}`
  }

  get type(): number {
    return this.#verb === 'del' ? RTM_DELROUTE : RTM_NEWROUTE
  }

  get flags(): number {
    if (this.#verb === 'del') return 0
    return NLM_F_CREATE | (this.#verb === 'add' ? NLM_F_EXCL : NLM_F_REPLACE)
  }

  get payload(): Uint8Array {
    return encodeRoute(this.#route)
  }
}

/** Adds a route. EEXIST when there is a route with that prefix and metric, whoever made it. */
export function routeAdd(route: Route, deviceName: (index: number) => string): Operation {
  return new RouteOperation('add', route, deviceName)
}

/** Adds a route, or replaces the one with that prefix and metric, whoever made it. */
export function routeReplace(route: Route, deviceName: (index: number) => string): Operation {
  return new RouteOperation('replace', route, deviceName)
}

/** Deletes a route. The request names protocol and metric too, so that a route of another program to the same prefix stays. */
export function routeDelete(route: Route, deviceName: (index: number) => string): Operation {
  return new RouteOperation('del', route, deviceName)
}
