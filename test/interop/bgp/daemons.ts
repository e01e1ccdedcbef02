// Routers by kind, and what tests wait for with each of them.
import { type Family } from '#/lib/addr.ts'
import { Bird } from './bird.ts'
import { Causeway } from './causeway.ts'
import { eventually } from './eventually.ts'
import { Frr } from './frr.ts'
import { Gobgp } from './gobgp.ts'
import { type Host } from './lan.ts'
import { type Router, type RouterKind, type RouterSettings, type RouteView } from './router.ts'

export const foreignKinds = ['bird', 'frr', 'gobgp'] as const

export function routerOf(kind: RouterKind, host: Host, settings: RouterSettings): Router {
  switch (kind) {
    case 'causeway':
      return new Causeway(host, settings)
    case 'bird':
      return new Bird(host, settings)
    case 'frr':
      return new Frr(host, settings)
    case 'gobgp':
      return new Gobgp(host, settings)
  }
}

/** What each of these has logged, for a failure. */
function logsOf(routers: readonly Router[]): () => string {
  return () => routers.map((router) => `--- ${router.kind}:\n${router.logTail()}`).join('\n')
}

/** Waits until all sessions of a router are established. */
export async function established(router: Router, ...others: readonly Router[]): Promise<void> {
  await eventually(
    `all sessions of ${router.kind}`,
    () => router.neighbours(),
    (neighbours) => neighbours.length > 0 && neighbours.every(({ state }) => state === 'Established'),
    { explain: logsOf([router, ...others]) },
  )
}

export function familyOf(prefix: string): Family {
  return prefix.includes(':') ? 6 : 4
}

/** Waits until the router's best route to a prefix is as wanted, and returns it. */
export async function bestRoute(
  router: Router,
  prefix: string,
  isIt: (route: RouteView) => boolean = () => true,
  ...others: readonly Router[]
): Promise<RouteView> {
  const found = await eventually(
    `best route of ${router.kind} to ${prefix}`,
    async () => (await router.routes(familyOf(prefix))).filter((route) => route.prefix === prefix),
    (routes) => routes.some((route) => route.isBest && isIt(route)),
    { explain: logsOf([router, ...others]) },
  )
  return found.find(({ isBest }) => isBest)!
}

/** Waits until the router has no route to a prefix. */
export async function noRoute(router: Router, prefix: string, ...others: readonly Router[]): Promise<void> {
  await eventually(
    `${router.kind} without ${prefix}`,
    async () => (await router.routes(familyOf(prefix))).filter((route) => route.prefix === prefix),
    (routes) => routes.length === 0,
    { explain: logsOf([router, ...others]) },
  )
}
