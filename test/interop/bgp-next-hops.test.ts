// Next hops of every kind: unnumbered links (RFC 8950 over link-local addresses), link-local addresses that are configured, and equal
// paths.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute, established, foreignKinds, routerOf } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { Lan } from './bgp/lan.ts'

suite('next hops', { concurrency: 2 }, () => {
  for (const kind of ['bird', 'frr'] as const) {
    test(`${kind} by its link-local address: IPv4 and IPv6 routes over it`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      const device = lan.cable(home, host)
      const families = [4, 6] as const
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.linkLocal, device, asn: 65_000, families, extendedNextHop: true }],
        originated: [{ prefix: '10.244.2.0/24' }, { prefix: 'fd10:2::/64' }],
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.linkLocal, device, asn: 65_001, families }],
        originated: [{ prefix: '10.244.1.0/24' }, { prefix: 'fd10:1::/64' }],
      })
      await Promise.all([ours.start(), other.start()])
      for (const prefix of ['10.244.2.0/24', 'fd10:2::/64']) {
        const { nextHops } = await bestRoute(ours, prefix, undefined, other)
        assert.ok(
          nextHops.some((nextHop) => nextHop.startsWith(host.linkLocal)),
          `${prefix} over ${nextHops.join(' ')}`,
        )
      }
      for (const prefix of ['10.244.1.0/24', 'fd10:1::/64']) {
        const { nextHops } = await bestRoute(other, prefix, undefined, ours)
        assert.ok(nextHops.includes(home.linkLocal), `${kind}: ${prefix} over ${nextHops.join(' ')}`)
      }
    })
  }

  for (const kind of ['bird', 'frr'] as const) {
    test(`${kind} is found at the other end of an unnumbered link`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      const device = lan.cable(home, host)
      const families = [4, 6] as const
      // FRR finds us just as we find it; BIRD can be told only of an address
      const us = kind === 'frr' ? {} : { addr: home.linkLocal, mode: 'passive' as const }
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', device, asn: 65_000, families, extendedNextHop: true, ...us }],
        originated: [{ prefix: '10.244.2.0/24' }, { prefix: 'fd10:2::/64' }],
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, device, asn: 65_001, families }],
        originated: [{ prefix: '10.244.1.0/24' }, { prefix: 'fd10:1::/64' }],
      })
      await Promise.all([ours.start(), other.start()])
      for (const prefix of ['10.244.2.0/24', 'fd10:2::/64']) await bestRoute(ours, prefix, undefined, other)
      for (const prefix of ['10.244.1.0/24', 'fd10:1::/64']) {
        const { nextHops } = await bestRoute(other, prefix, undefined, ours)
        assert.ok(nextHops.includes(home.linkLocal), `${kind}: ${prefix} over ${nextHops.join(' ')}`)
      }
    })
  }

  test('equal paths of three neighbours are used together, one after the other is taken away', async () => {
    using lan = new Lan()
    const home = lan.host()
    const hosts = foreignKinds.map(() => lan.host())
    const families = [4] as const
    const prefix = '10.99.0.0/16'
    await using stack = new AsyncDisposableStack()
    const others = foreignKinds.map((kind, index) =>
      stack.use(
        routerOf(kind, hosts[index]!, {
          asn: 65_001 + index,
          neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families }],
          originated: [{ prefix }],
        }),
      ),
    )
    const ours = stack.use(
      new Causeway(home, {
        asn: 65_000,
        maxPaths: 3,
        neighbours: foreignKinds.map((kind, index) => ({
          name: kind,
          addr: hosts[index]!.addr4,
          asn: 65_001 + index,
          families,
        })),
      }),
    )
    await Promise.all([ours, ...others].map((router) => router.start()))
    await established(ours, ...others)
    const used = async (): Promise<string[]> =>
      (await ours.paths())
        .filter((path) => path.prefix === prefix && (path.isBest || path.isMultipath))
        .map(({ peer }) => peer)
        .sort()
    // GoBGP originates with another ORIGIN than the others, unless told: it loses to them
    const equal = ['bird', 'frr']
    await eventually('the equal paths', used, (peers) => peers.join() === equal.join())
    await others[0]!.withdraw(prefix)
    await eventually('the last of them', used, (peers) => peers.join() === 'frr')
    await others[1]!.withdraw(prefix)
    await eventually('the path that was worse', used, (peers) => peers.join() === 'gobgp')
  })
})
