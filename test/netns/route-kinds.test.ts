// Routes of every kind, one in place of another, in both families: read and compared, and as a difference alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { blackholeMetric, nativeMetric, overlayMetric } from '#/model/names.ts'
import { type DesiredRoute, emptyNetwork, type NetworkDelta, routeKey, routeKeyAt } from '#/model/network.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { RouteDriver } from '#/reconcile/route-driver.ts'
import { TestNetns } from './namespace.ts'

const prefixes = { 4: Prefix.parse('10.244.2.0/24'), 6: Prefix.parse('fd10:244:0:2::/64') } as const
const gateways = { 4: ['172.30.1.2', '172.30.1.3'], 6: ['fd30::2', 'fd30::3'] } as const
const tunnel = { 4: ['172.30.1.1', '172.30.1.2'], 6: ['fd30::1', 'fd30::2'] } as const
const kinds = ['none', 'overlay', 'one', 'two', 'blackhole'] as const
type Kind = (typeof kinds)[number]

function routeOf(kind: Kind, family: Family): DesiredRoute | undefined {
  const dst = prefixes[family]
  const nextHops = gateways[family].map((gateway) => ({ device: 'eth0', gateway: Addr.parse(gateway) }))
  const [src, end] = tunnel[family].map(Addr.parse) as [Addr, Addr]
  const native = { kind: 'native', dst, metric: nativeMetric(dst), origin: 'bgp' } as const
  switch (kind) {
    case 'none':
      return undefined
    case 'one':
      return { ...native, nextHops: nextHops.slice(1) }
    case 'two':
      return { ...native, nextHops }
    case 'blackhole':
      return { kind, dst, metric: blackholeMetric }
    case 'overlay':
      return {
        kind,
        dst,
        metric: overlayMetric(dst),
        device: 'cw-vxlan',
        gateway: Addr.parse(family === 4 ? '169.254.42.1' : 'fe80::4243'),
        mtuBytes: 1400,
        encap: { vni: 1, src, dst: end },
        node: 'node-2',
      }
    default:
      return kind satisfies never
  }
}

class Host implements Disposable {
  readonly netns = new TestNetns()
  readonly netlink = new Netlink(0, this.netns.netns)
  readonly reconciler = new Reconciler({
    netlink: this.netlink,
    drivers: [new RouteDriver(this.netlink)],
    log: silent,
    nowMs: Date.now,
  })

  constructor() {
    this.netns
      .sh(`ip link set lo up; ip link add eth0 type veth peer name wire; ip link set eth0 up; ip link set wire up
      ip link add cw-vxlan address 02:43:00:00:00:01 up type vxlan external dstport 8472
      ip addr add 172.30.1.1/24 dev eth0; ip addr add fd30::1/64 dev eth0 nodad`)
  }

  async compare(kind: Kind): Promise<number> {
    const routes = ([4, 6] as const).flatMap((family) => routeOf(kind, family) ?? [])
    const { changed, failed } = await this.reconciler.apply({ ...emptyNetwork, routes }, { isComplete: true })
    assert.equal(failed, 0, JSON.stringify(this.reconciler.failures))
    return changed
  }

  async difference(kind: Kind): Promise<void> {
    // a blackhole has a key of its own
    const routes = ([4, 6] as const).flatMap((family) => {
      const route = routeOf(kind, family)
      return [nativeMetric(prefixes[family]), blackholeMetric].map((metric) => {
        const key = routeKeyAt(String(prefixes[family]), metric)
        return [key, route && routeKey(route) === key ? route : undefined] as const
      })
    })
    const delta: NetworkDelta = { routes: new Map(routes), neighbours: new Map(), tunnelEnds: new Map() }
    const { failed } = await this.reconciler.applyDelta(delta, { isComplete: true })
    assert.equal(failed, 0, JSON.stringify(this.reconciler.failures))
  }

  count(): number {
    return (
      this.netns.sh('ip route show proto 67; ip -6 route show proto 67').match(/^\S*(10\.244|fd10|blackhole)/gm)
        ?.length ?? 0
    )
  }

  [Symbol.dispose](): void {
    this.netlink[Symbol.dispose]()
    this.netns[Symbol.dispose]()
  }
}

const pairs = kinds.flatMap((before) => kinds.flatMap((after) => (before === after ? [] : [[before, after] as const])))

for (const way of ['compare', 'difference'] as const) {
  test(`any kind of route takes the place of any other: ${way}`, async () => {
    using host = new Host()
    await host.compare('none')
    for (const [before, after] of pairs) {
      await host[way](before)
      await host[way](after)
      assert.equal(host.count(), after === 'none' ? 0 : 2, `${before} to ${after}`)
      assert.equal(await host.compare(after), 0, `${before} to ${after}: as desired, read anew`)
    }
  })
}

test('the commands of a preview make the same routes', async () => {
  using host = new Host()
  for (const [before, after] of pairs) {
    await host.compare(before)
    const routes = ([4, 6] as const).flatMap((family) => routeOf(after, family) ?? [])
    const changes = await host.reconciler.preview({ ...emptyNetwork, routes }, { isComplete: true })
    host.netns.sh(changes.flatMap(({ commands }) => commands).join('\n'))
    assert.equal(await host.compare(after), 0, `${before} to ${after}`)
  }
})

test("another's route of our metric stays; where it took the place of ours, ours comes back", async () => {
  using host = new Host()
  const metric = nativeMetric(prefixes[4])
  host.netns.sh(`ip route add 10.244.2.0/24 via 172.30.1.9 metric ${metric} proto static`)
  const routes = [routeOf('one', 4)!]
  const apply = () => host.reconciler.apply({ ...emptyNetwork, routes }, { isComplete: true })
  assert.equal((await apply()).failed, 1)
  assert.match(
    host.reconciler.failures[0]!.message!,
    /another's route stands in the way: 10\.244\.2\.0\/24 via 172\.30\.1\.9/,
  )
  host.netns.sh(`ip route del 10.244.2.0/24 metric ${metric}`)
  assert.equal((await apply()).failed, 0)
  host.netns.sh(`ip route replace 10.244.2.0/24 via 172.30.1.9 metric ${metric} proto static`)
  assert.equal((await apply()).failed, 0)
  assert.match(host.netns.sh('ip route show 10.244.2.0/24'), /via 172\.30\.1\.3 dev eth0 proto 67/)
})

for (const way of ['compare', 'difference'] as const) {
  test(`a way that cannot be made takes the former one from nobody: ${way}`, async () => {
    using host = new Host()
    await host.compare('overlay')
    // the kernel takes no broadcast address for a gateway, and no address of its own
    const refused = { 4: '172.30.1.255', 6: 'fd30::1' } as const
    const routes = ([4, 6] as const).map((family): DesiredRoute => {
      const nextHops = [{ device: 'eth0', gateway: Addr.parse(refused[family]) }]
      const dst = prefixes[family]
      return { kind: 'native', dst, metric: nativeMetric(dst), origin: 'bgp', nextHops }
    })
    const { failed } =
      way === 'compare'
        ? await host.reconciler.apply({ ...emptyNetwork, routes }, { isComplete: true })
        : await host.reconciler.applyDelta(
            {
              routes: new Map(routes.map((route) => [String(route.dst), route])),
              neighbours: new Map(),
              tunnelEnds: new Map(),
            },
            { isComplete: true },
          )
    assert.equal(failed, 2)
    assert.equal(host.netns.sh('ip route show proto 67; ip -6 route show proto 67').match(/dev cw-vxlan/g)?.length, 2)
    await host.compare('one')
    assert.equal(host.count(), 2)
  })
}

test('what was found and is told, and then withdrawn, goes at once, though BGP has not told everything yet', async () => {
  using host = new Host()
  await host.compare('one')
  const restarted = new Reconciler({
    netlink: host.netlink,
    drivers: [new RouteDriver(host.netlink)],
    log: silent,
    nowMs: Date.now,
  })
  const options = { isComplete: true, keepsLearned: true }
  await restarted.apply(emptyNetwork, options)
  assert.equal(host.count(), 2, 'nothing told yet')
  await restarted.apply({ ...emptyNetwork, routes: [routeOf('one', 4)!] }, options)
  await restarted.apply(emptyNetwork, options)
  assert.equal(host.netns.sh('ip route show proto 67'), '')
  assert.match(host.netns.sh('ip -6 route show proto 67'), /^fd10/)
})

test('a route over a device that is down, or that there is none of, says so, with what to do about the device', async () => {
  using host = new Host()
  const tell = async (): Promise<(string | undefined)[]> => {
    const routes = ([4, 6] as const).flatMap((family) => routeOf('one', family) ?? [])
    await host.reconciler.apply({ ...emptyNetwork, routes }, { isComplete: true })
    return host.reconciler.failures.map(({ message, remedy }) => `${message}; ${remedy}`)
  }
  assert.deepEqual(await tell(), [])
  host.netns.sh('ip link set eth0 down')
  const down = 'device eth0 is down; bring the device up where it is configured, or with: ip link set dev eth0 up'
  assert.deepEqual(await tell(), [down, down])
  host.netns.sh('ip link del eth0')
  const missing =
    'device eth0 is missing; bring the device back ("ip link show dev eth0"), or name another one where it is configured'
  assert.deepEqual(await tell(), [missing, missing])
})
