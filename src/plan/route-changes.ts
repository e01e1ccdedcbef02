// Collects removed and added routes, and leaves out those that were removed and added again unchanged. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type DesiredHop, type DesiredRoute, routeKey } from '#/model/network.ts'

export class RouteChanges {
  readonly changed = new Map<string, DesiredRoute | undefined>()
  readonly #before = new Map<string, DesiredRoute>()

  remove(route: DesiredRoute): void {
    const key = routeKey(route)
    if (!this.#before.has(key)) this.#before.set(key, route)
    this.changed.set(key, undefined)
  }

  removeUnlessAdded(route: DesiredRoute): void {
    if (this.changed.get(routeKey(route)) === undefined) this.remove(route)
  }

  add(route: DesiredRoute): void {
    const key = routeKey(route)
    const before = this.#before.get(key)
    if (before && sameDesired(before, route)) this.changed.delete(key)
    else this.changed.set(key, route)
  }
}

function sameAddr(a: Addr | undefined, b: Addr | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b))
}

function sameHops(a: readonly DesiredHop[], b: readonly DesiredHop[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ device, gateway, onlink }, index) => {
      const other = b[index]!
      return device === other.device && gateway.equals(other.gateway) && onlink === other.onlink
    })
  )
}

/** Whether two routes to one prefix are equal in every property. */
export function sameDesired(a: DesiredRoute, b: DesiredRoute): boolean {
  if (a === b) return true
  if (a.metric !== b.metric) return false
  switch (a.kind) {
    case 'overlay':
      return (
        b.kind === a.kind &&
        a.node === b.node &&
        a.device === b.device &&
        a.mtuBytes === b.mtuBytes &&
        a.encap.vni === b.encap.vni &&
        sameAddr(a.gateway, b.gateway) &&
        sameAddr(a.preferredSource, b.preferredSource) &&
        sameAddr(a.encap.src, b.encap.src) &&
        sameAddr(a.encap.dst, b.encap.dst)
      )
    case 'native':
      return (
        b.kind === a.kind &&
        a.node === b.node &&
        a.origin === b.origin &&
        sameAddr(a.preferredSource, b.preferredSource) &&
        sameHops(a.nextHops, b.nextHops)
      )
    case 'blackhole':
      return b.kind === a.kind
    default:
      return a satisfies never
  }
}

/** Whether two lists have the same values, as text, in the same order. */
export function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => String(each) === String(b[index]))
}
