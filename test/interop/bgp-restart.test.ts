// Graceful restart (RFC 4724) in both roles: the process is killed, so that nobody says goodbye. Routes stay, marked as stale, until
// the one that is back has told all that it still has.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute, established, foreignKinds, noRoute, routerOf } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { Lan } from './bgp/lan.ts'
import { type Router, type RouteView } from './bgp/router.ts'

const families = [4] as const
const gracefulRestart = { restartTimeSeconds: 120 }
const staying = '10.244.1.0/24'
const leaving = '10.244.2.0/24'
const pollMs = 20
/** LLGR_STALE, 0xffff0006, as BIRD tells it and as we do. */
const longLivedStale = ['65535:6', 'llgr-stale']

/** Looks all the time whether a router has a route, until stopped; fails if it ever had not. */
function watching(router: Router, prefix: string, other: Router): { stop: () => Promise<void> } {
  const stopped = new AbortController()
  const look = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const routes = await router.routes(4)
      assert.ok(
        routes.some((route) => route.prefix === prefix && route.isBest),
        `${router.kind} had no route to ${prefix} for a moment:\n${router.logTail()}\n${other.logTail()}`,
      )
      await sleep(pollMs)
    }
  }
  const looked = look()
  // told by stop()
  looked.catch(() => {})
  return {
    stop: async () => {
      stopped.abort()
      await looked
    },
  }
}

/** `killed` loses its process and is back without one of its routes; `helper` never loses the other one. */
async function killAndRestart(killed: Router, helper: Router): Promise<void> {
  await bestRoute(helper, staying, undefined, killed)
  await bestRoute(helper, leaving, undefined, killed)
  const watched = watching(helper, staying, killed)
  await killed.kill()
  await killed.withdraw(leaving)
  await eventually(
    'the session gone',
    () => helper.neighbours(),
    ([neighbour]) => neighbour!.state !== 'Established',
  )
  await bestRoute(helper, staying, ({ isStale = true }) => isStale)
  await killed.start({ isRestarting: true })
  await established(helper, killed)
  await noRoute(helper, leaving, killed)
  await bestRoute(helper, staying, ({ isStale }) => isStale !== true, killed)
  await watched.stop()
}

suite('graceful restart', { concurrency: 2 }, () => {
  for (const kind of foreignKinds) {
    test(`${kind} is killed: its routes stay here until it is back`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families, gracefulRestart }],
        originated: [{ prefix: staying }, { prefix: leaving }],
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families, gracefulRestart }],
      })
      await Promise.all([ours.start(), other.start()])
      await killAndRestart(other, ours)
    })

    test(`we are killed: our routes stay at ${kind} until we are back`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families, gracefulRestart }],
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families, gracefulRestart }],
        originated: [{ prefix: staying }, { prefix: leaving }],
      })
      await Promise.all([ours.start(), other.start()])
      await killAndRestart(ours, other)
    })

    test(`we end for good: ${kind} drops our routes at once`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families, gracefulRestart }],
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families, gracefulRestart }],
        originated: [{ prefix: staying }],
      })
      await Promise.all([ours.start(), other.start()])
      await bestRoute(other, staying, undefined, ours)
      await ours.stop()
      await noRoute(other, staying)
    })
  }

  test('a neighbour that does not come back: its routes go after the restart time', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    const short = { restartTimeSeconds: 10 }
    await using other = routerOf('bird', host, {
      asn: 65_001,
      neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families, gracefulRestart: short }],
      originated: [{ prefix: staying }],
    })
    await using ours = new Causeway(home, {
      asn: 65_000,
      neighbours: [{ name: 'bird', addr: host.addr4, asn: 65_001, families, gracefulRestart }],
    })
    await Promise.all([ours.start(), other.start()])
    await bestRoute(ours, staying, undefined, other)
    await other.kill()
    await bestRoute(ours, staying, ({ isStale }) => isStale === true)
    await noRoute(ours, staying)
  })

  for (const isOurs of [false, true]) {
    const what = isOurs ? 'we do not come back: bird keeps our routes' : 'bird does not come back: we keep its routes'
    test(`long-lived (RFC 9494), ${what} as a last resort, until we speak again`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      const longLived = { restartTimeSeconds: 2, longLivedStaleTimeSeconds: 600 }
      const common = { families, gracefulRestart: longLived }
      const originated = [{ prefix: staying }, { prefix: leaving }]
      await using bird = routerOf('bird', host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, ...common }],
        ...(!isOurs && { originated }),
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: 'bird', addr: host.addr4, asn: 65_001, ...common }],
        ...(isOurs && { originated }),
      })
      const [killed, helper] = isOurs ? [ours, bird] : [bird, ours]
      await Promise.all([ours.start(), bird.start()])
      await bestRoute(helper, leaving, undefined, killed)
      await bestRoute(helper, staying, undefined, killed)
      await killed.kill()
      await killed.withdraw(leaving)
      const isLastResort = ({ communities = [] }: RouteView): boolean =>
        longLivedStale.some((each) => communities.includes(each))
      await bestRoute(helper, staying, isLastResort, killed)
      await bestRoute(helper, leaving, isLastResort, killed)
      await killed.start({ isRestarting: true })
      await noRoute(helper, leaving, killed)
      await bestRoute(helper, staying, (route) => !isLastResort(route), killed)
    })
  }
})
