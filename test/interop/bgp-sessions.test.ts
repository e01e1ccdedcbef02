// Our speaker with BIRD, FRR and GoBGP at once: each session's kind, routes both ways and through us, and withdrawals.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Family } from '#/lib/addr.ts'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute, established, foreignKinds, noRoute, routerOf } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { type Host, Lan } from './bgp/lan.ts'
import { attributes, update } from './bgp/raw-messages.ts'
import { RawHost } from './bgp/raw-peer.ts'
import { type RouterKind, type RouterNeighbour } from './bgp/router.ts'

type Variant = {
  readonly title: string
  readonly ourAsn: number
  readonly asnOf: (index: number) => number
  readonly transport: Family
  readonly families: readonly Family[]
}

const variants: readonly Variant[] = [
  { title: 'external, IPv4', ourAsn: 65_000, asnOf: (index) => 65_001 + index, transport: 4, families: [4] },
  { title: 'external, IPv6', ourAsn: 65_000, asnOf: (index) => 65_001 + index, transport: 6, families: [6] },
  {
    title: 'external, AS numbers of four octets',
    ourAsn: 4_200_000_000,
    asnOf: (index) => 4_200_000_001 + index,
    transport: 4,
    families: [4],
  },
  { title: 'internal, IPv4', ourAsn: 65_000, asnOf: () => 65_000, transport: 4, families: [4] },
  { title: 'internal, IPv6', ourAsn: 65_000, asnOf: () => 65_000, transport: 6, families: [6] },
]

function addrOf(host: Host, family: Family): string {
  return family === 4 ? host.addr4 : host.addr6
}

function prefixOf(number: number, family: Family): string {
  return family === 4 ? `10.244.${number}.0/24` : `fd10:244:${number}::/64`
}

suite('sessions', { concurrency: 2 }, () => {
  for (const { title, ourAsn, asnOf, transport, families } of variants) {
    test(`${title}: routes both ways, on to the others where they may, and away again`, async () => {
      using lan = new Lan()
      const home = lan.host()
      const hosts = foreignKinds.map(() => lan.host())
      const originated = (host: Host) =>
        families.map((family) => ({ prefix: prefixOf(host.number, family), communities: ['65000:7'] }))
      const us: RouterNeighbour = { name: 'us', addr: addrOf(home, transport), asn: ourAsn, families }
      await using stack = new AsyncDisposableStack()
      const others = foreignKinds.map((kind, index) =>
        stack.use(
          routerOf(kind, hosts[index]!, { asn: asnOf(index), neighbours: [us], originated: originated(hosts[index]!) }),
        ),
      )
      const neighbours = foreignKinds.map((kind, index) => ({
        name: kind,
        addr: addrOf(hosts[index]!, transport),
        asn: asnOf(index),
        families,
      }))
      const ours = stack.use(new Causeway(home, { asn: ourAsn, neighbours, originated: originated(home) }))
      await Promise.all([ours, ...others].map((router) => router.start()))
      await established(ours, ...others)
      const isInternal = asnOf(0) === ourAsn
      for (const [index, other] of others.entries()) {
        for (const family of families) {
          const mine = await bestRoute(other, prefixOf(home.number, family), undefined, ours)
          assert.equal(mine.asPath, isInternal ? '' : String(ourAsn), other.kind)
          assert.equal(mine.nextHops[0], addrOf(home, family), other.kind)
          if (mine.communities) assert.deepEqual(mine.communities, ['65000:7'], other.kind)
          const theirs = await bestRoute(ours, prefixOf(other.host.number, family), undefined, other)
          assert.equal(theirs.from, other.kind)
          assert.equal(theirs.asPath, isInternal ? '' : String(asnOf(index)), other.kind)
          assert.deepEqual(theirs.nextHops.slice(0, 1), [addrOf(other.host, family)], other.kind)
          assert.deepEqual(theirs.communities, ['65000:7'], other.kind)
        }
      }
      for (const [index, other] of others.entries()) {
        const next = others[(index + 1) % others.length]!
        for (const family of families) {
          const prefix = prefixOf(next.host.number, family)
          // internal routes are not passed on to internal neighbours (RFC 4271 section 9.2)
          if (isInternal) await noRoute(other, prefix)
          else {
            const { asPath } = await bestRoute(other, prefix, undefined, ours)
            assert.equal(asPath, `${ourAsn} ${asnOf((index + 1) % others.length)}`, `${other.kind} of ${next.kind}`)
          }
        }
      }
      for (const family of families) {
        await ours.withdraw(prefixOf(home.number, family))
        for (const other of others) await other.withdraw(prefixOf(other.host.number, family))
      }
      for (const family of families) {
        for (const other of others) {
          await noRoute(other, prefixOf(home.number, family), ours)
          await noRoute(ours, prefixOf(other.host.number, family), other)
        }
      }
    })
  }

  test('an old speaker that knows AS numbers of two octets only (RFC 6793)', async () => {
    using lan = new Lan()
    const [home, host, beyond] = [lan.host(), lan.host(), lan.host()]
    const ourAsn = 4_200_000_000
    const neighbour = (name: string, addr: string, asn: number) =>
      ({ name, addr, asn, families: [4], mode: 'passive' }) as const
    await using ours = new Causeway(home, {
      asn: ourAsn,
      neighbours: [neighbour('old', host.addr4, 65_001), neighbour('new', beyond.addr4, 4_200_000_009)],
      originated: [{ prefix: '10.244.1.0/24' }],
    })
    await using oldHost = await RawHost.start(host)
    await using newHost = await RawHost.start(beyond)
    await ours.start()
    const old = await oldHost.session(home.addr4, { asn: 65_001, routerId: host.addr4, isOld: true })
    const fresh = await newHost.session(home.addr4, { asn: 4_200_000_009, routerId: beyond.addr4 })
    // AS_TRANS stands for what does not fit, and AS4_PATH says what it stands for
    const asTrans = 23_456
    const told = await eventually('our route at the old one', () => old.rib.get('10.244.1.0/24'), Boolean)
    assert.equal(told!.asPath, String(asTrans))
    assert.deepEqual(told!.as4Path, String(ourAsn))
    const path = [attributes.origin(0), attributes.asPath([65_001, asTrans, 65_007], 2), attributes.nextHop(host.addr4)]
    old.send(update({ attributes: [...path, attributes.as4Path([4_200_000_005, 65_007])], announced: ['10.7.0.0/16'] }))
    const route = await bestRoute(ours, '10.7.0.0/16')
    assert.equal(route.asPath, '65001 4200000005 65007')
    const passed = await eventually('its route at the new one', () => fresh.rib.get('10.7.0.0/16'), Boolean)
    assert.equal(passed!.asPath, `${ourAsn} 65001 4200000005 65007`)
    assert.equal(passed!.as4Path, undefined)
  })

  test('where BIRD of the same node has the port, it is named, sessions that we begin are up, and the port is taken when BIRD ends', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    const neighbours = [{ name: 'us', addr: home.addr4, asn: 65_000, families: [4] as const }]
    const nobody = { name: 'nobody', addr: '10.0.0.99', asn: 65_002, families: [4] as const, mode: 'passive' as const }
    await using bird = routerOf('bird', home, { asn: 65_009, neighbours: [nobody] })
    await using other = routerOf('gobgp', host, { asn: 65_001, neighbours, originated: [{ prefix: '10.244.2.0/24' }] })
    await using ours = new Causeway(home, {
      asn: 65_000,
      neighbours: [{ name: 'other', addr: host.addr4, asn: 65_001, families: [4] }],
    })
    await Promise.all([bird.start(), other.start()])
    await ours.start()
    await bestRoute(ours, '10.244.2.0/24', undefined, other)
    const told = async () => (await ours.report()).portTroubles
    const troubles = await eventually('the port is taken', told, (each) => each !== undefined)
    assert.match(troubles!.join(), /^cannot listen on TCP port 179: EADDRINUSE: .*: bird \(process \d+\) has it; /)
    await bird.kill()
    await eventually('the port is ours', told, (each) => each === undefined)
    await using raw = await RawHost.start(host)
    await raw.connect(home.addr4)
  })

  const dual: readonly { kind: RouterKind; transport: Family }[] = [
    { kind: 'bird', transport: 4 },
    { kind: 'bird', transport: 6 },
    { kind: 'frr', transport: 4 },
  ]
  for (const { kind, transport } of dual) {
    test(`both families in one session over IPv${transport} with ${kind}`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      const families = transport === 4 ? ([4, 6] as const) : ([6, 4] as const)
      const extendedNextHop = transport === 6
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: addrOf(home, transport), asn: 65_000, families, extendedNextHop }],
        originated: families.map((family) => ({ prefix: prefixOf(2, family) })),
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: addrOf(host, transport), asn: 65_001, families, extendedNextHop }],
        originated: families.map((family) => ({ prefix: prefixOf(1, family) })),
      })
      await Promise.all([ours.start(), other.start()])
      for (const family of families) {
        const theirs = await bestRoute(ours, prefixOf(2, family), undefined, other)
        // over IPv6 IPv4 routes may have an IPv6 next hop (RFC 8950): BIRD gives its own, we one of IPv4 where the link has one
        assert.equal(theirs.nextHops[0], addrOf(host, transport === 6 ? 6 : family))
        const mine = await bestRoute(other, prefixOf(1, family), undefined, ours)
        assert.equal(mine.nextHops[0], addrOf(home, family))
      }
    })
  }
})
