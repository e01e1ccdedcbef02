// What BGP has told, and how the kernel reaches the next hops of that. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type LearnedRoute, type LearnedRouteChange } from '#/model/bgp.ts'
import { type KernelWay } from '#/model/network.ts'
import { type Told } from './remote-plan.ts'

export class ToldRoutes implements Told {
  readonly learned = new Map<string, LearnedRoute>()
  readonly kernelWays = new Map<string, KernelWay>()

  /** Returns the key of the route. */
  take({ prefix, route }: LearnedRouteChange): string {
    const key = String(prefix)
    if (route) this.learned.set(key, route)
    else this.learned.delete(key)
    return key
  }

  /** Takes ways by address (undefined: nobody needs that one any more). Returns the routes that lead over them. */
  takeWays(ways: ReadonlyMap<string, KernelWay | undefined>): LearnedRouteChange[] {
    for (const [addr, way] of ways)
      if (way) this.kernelWays.set(addr, way)
      else this.kernelWays.delete(addr)
    const concerned = [...this.learned.values()].filter(({ nextHops }) =>
      nextHops.some(({ addr }) => ways.has(String(addr))),
    )
    return concerned.map((route) => ({ prefix: route.prefix, route }))
  }

  /** The addresses of all next hops. */
  *nextHops(): Generator<Addr, void> {
    for (const { nextHops } of this.learned.values()) for (const { addr } of nextHops) yield addr
  }
}
