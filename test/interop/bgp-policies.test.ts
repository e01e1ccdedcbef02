// What is taken and given: nothing without a policy (RFC 8212), policies' rules, well-known communities (RFC 1997), and answers to those
// who ask again (RFC 2918, RFC 7313).
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute, established, foreignKinds, noRoute, routerOf } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { Lan } from './bgp/lan.ts'
import {
  attributes,
  capabilities,
  capability,
  endOfRib,
  refresh,
  refreshType,
  update,
  updateType,
} from './bgp/raw-messages.ts'
import { RawHost } from './bgp/raw-peer.ts'

const families = [4] as const
const own = '10.244.1.0/24'

suite('policies', { concurrency: 2 }, () => {
  test('an external neighbour without policies is given nothing, and nothing is taken from it', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    await using ours = new Causeway(
      home,
      {
        asn: 65_000,
        neighbours: [{ name: 'raw', addr: host.addr4, asn: 65_001, families, mode: 'passive' }],
        originated: [{ prefix: own }],
      },
      { peer: { importPolicy: undefined, exportPolicy: undefined } },
    )
    await using raw = await RawHost.start(host)
    await ours.start()
    const peer = await raw.session(home.addr4, { asn: 65_001, routerId: host.addr4 })
    const path = [attributes.origin(0), attributes.asPath([65_001]), attributes.nextHop(host.addr4)]
    peer.send(update({ attributes: path, announced: ['10.7.0.0/16'] }), endOfRib(4))
    await eventually('End-of-RIB', () => peer.endOfRibs.has(4), Boolean)
    const paths = await eventually(
      'the route, refused',
      () => ours.paths(),
      (all) => all.some(({ prefix }) => prefix === '10.7.0.0/16'),
    )
    assert.equal(paths.find(({ prefix }) => prefix === '10.7.0.0/16')!.isRefused, true)
    assert.equal(peer.rib.size, 0)
  })

  test('import: by prefix and community, with what it sets; export: by prefix, prepended and tagged', async () => {
    using lan = new Lan()
    const home = lan.host()
    const hosts = foreignKinds.map(() => lan.host())
    const importPolicy = {
      rules: [
        { name: 'bad', match: { communities: ['65001:666'] }, action: 'reject' },
        {
          name: 'pods',
          match: { prefixes: [{ prefix: '10.0.0.0/8', minLength: 24, maxLength: 24 }] },
          action: 'accept',
          set: { localPreference: 300, addCommunities: ['65000:1'] },
        },
      ],
      otherwise: 'reject',
    }
    const exportPolicy = {
      rules: [
        {
          match: { prefixes: [{ prefix: own }] },
          action: 'accept',
          set: { prependTimes: 2, addCommunities: ['65000:42', '65000:1:2'], med: 50 },
        },
      ],
      otherwise: 'reject',
    }
    await using stack = new AsyncDisposableStack()
    const others = foreignKinds.map((kind, index) =>
      stack.use(
        routerOf(kind, hosts[index]!, {
          asn: 65_001 + index,
          neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families }],
          originated: [
            { prefix: `10.${index}.1.0/24` },
            { prefix: `10.${index}.2.0/24`, communities: ['65001:666'] },
            { prefix: `10.${index}.4.0/23` },
          ],
        }),
      ),
    )
    const neighbours = foreignKinds.map((kind, index) => ({
      name: kind,
      addr: hosts[index]!.addr4,
      asn: 65_001 + index,
      families,
    }))
    const settings = { asn: 65_000, neighbours, originated: [{ prefix: own }, { prefix: '10.244.9.0/24' }] }
    const ours = stack.use(new Causeway(home, settings, { peer: { importPolicy, exportPolicy } }))
    await Promise.all([ours, ...others].map((router) => router.start()))
    await established(ours, ...others)
    for (const [index, other] of others.entries()) {
      const taken = await bestRoute(ours, `10.${index}.1.0/24`, undefined, other)
      assert.deepEqual(taken.communities, ['65000:1'])
      const path = (await ours.paths()).find(({ prefix }) => prefix === `10.${index}.1.0/24`)
      assert.equal(path!.localPreference, 300)
      await noRoute(ours, `10.${index}.2.0/24`)
      await noRoute(ours, `10.${index}.4.0/23`)
      const given = await bestRoute(other, own, undefined, ours)
      assert.equal(given.asPath, '65000 65000 65000', other.kind)
      if (given.communities) assert.deepEqual(given.communities, ['65000:1:2', '65000:42'], other.kind)
      await noRoute(other, '10.244.9.0/24')
    }
    // another policy, without a new session: what it lets in comes without being asked for by anybody
    await ours.configure(settings, { peer: { exportPolicy } })
    for (const [index, other] of others.entries()) await bestRoute(ours, `10.${index}.2.0/24`, undefined, other)
    for (const { state } of await ours.neighbours()) assert.equal(state, 'Established')
    for (const { flaps } of (await ours.report()).peers) assert.equal(flaps, 0)
  })

  test('no-export and no-advertise are kept to by us', async () => {
    using lan = new Lan()
    const [home, host, far] = [lan.host(), lan.host(), lan.host()]
    const neighbour = (name: string, addr: string, asn: number) => ({
      name,
      addr,
      asn,
      families,
      mode: 'passive' as const,
    })
    await using ours = new Causeway(home, {
      asn: 65_000,
      neighbours: [neighbour('near', host.addr4, 65_001), neighbour('far', far.addr4, 65_002)],
    })
    await using near = await RawHost.start(host)
    await using beyond = await RawHost.start(far)
    await ours.start()
    const from = await near.session(home.addr4, { asn: 65_001, routerId: host.addr4 })
    const to = await beyond.session(home.addr4, { asn: 65_002, routerId: far.addr4 })
    const path = [attributes.origin(0), attributes.asPath([65_001]), attributes.nextHop(host.addr4)]
    from.send(
      update({ attributes: [...path, attributes.communities(['65535:65281'])], announced: ['10.1.0.0/16'] }),
      update({ attributes: [...path, attributes.communities(['65535:65282'])], announced: ['10.2.0.0/16'] }),
      update({ attributes: path, announced: ['10.3.0.0/16'] }),
    )
    await eventually('the route without', () => to.rib.has('10.3.0.0/16'), Boolean)
    assert.deepEqual([...to.rib.keys()], ['10.3.0.0/16'])
    assert.equal((await ours.routes(4)).length, 3)
  })
})

suite('route refresh', { concurrency: 2 }, () => {
  test('we answer with everything, between a beginning and an end for those who know of them', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    const originated = [{ prefix: own }, { prefix: '10.244.2.0/24' }]
    await using ours = new Causeway(home, {
      asn: 65_000,
      neighbours: [{ name: 'raw', addr: host.addr4, asn: 65_001, families, mode: 'passive' }],
      originated,
    })
    await using raw = await RawHost.start(host)
    await ours.start()
    for (const isEnhanced of [false, true]) {
      const more = [capabilities.routeRefresh, ...(isEnhanced ? [capability(70)] : [])]
      const peer = await raw.session(home.addr4, { asn: 65_001, routerId: host.addr4, more })
      await eventually('End-of-RIB', () => peer.endOfRibs.has(4), Boolean)
      assert.equal(peer.rib.size, 2)
      peer.rib.clear()
      const before = peer.messages.length
      peer.send(refresh(4))
      await eventually(
        'all routes again',
        () => peer.rib.size,
        (size) => size === 2,
      )
      const brackets = (): (number | undefined)[] =>
        peer.messages.slice(before).flatMap(({ type, body }) => (type === refreshType ? [body[2]] : []))
      if (isEnhanced) await eventually('their brackets', brackets, (kinds) => kinds.join() === '1,2')
      else assert.deepEqual(brackets(), [])
      peer.end()
      await peer.closed
    }
  })

  test('we ask, and forget what is not told again', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    await using ours = new Causeway(home, {
      asn: 65_000,
      neighbours: [{ name: 'raw', addr: host.addr4, asn: 65_001, families, mode: 'passive' }],
    })
    await using raw = await RawHost.start(host)
    await ours.start()
    const more = [capabilities.routeRefresh, capability(70)]
    const peer = await raw.session(home.addr4, { asn: 65_001, routerId: host.addr4, more })
    const path = [attributes.origin(0), attributes.asPath([65_001]), attributes.nextHop(host.addr4)]
    peer.send(update({ attributes: path, announced: ['10.1.0.0/16', '10.2.0.0/16'] }), endOfRib(4))
    await bestRoute(ours, '10.2.0.0/16')
    await ours.askRefresh('raw')
    const { body } = await peer.first(refreshType)
    assert.deepEqual([...body], [0, 1, 0, 1])
    peer.send(refresh(4, 1), update({ attributes: path, announced: ['10.1.0.0/16'] }), refresh(4, 2))
    await noRoute(ours, '10.2.0.0/16')
    await bestRoute(ours, '10.1.0.0/16')
    assert.ok(peer.messages.some(({ type }) => type === updateType))
  })

  for (const kind of foreignKinds) {
    test(`${kind} asks us and we ask ${kind}: nothing is lost`, async () => {
      using lan = new Lan()
      const [home, host] = [lan.host(), lan.host()]
      await using other = routerOf(kind, host, {
        asn: 65_001,
        neighbours: [{ name: 'us', addr: home.addr4, asn: 65_000, families }],
        originated: [{ prefix: '10.244.2.0/24' }],
      })
      await using ours = new Causeway(home, {
        asn: 65_000,
        neighbours: [{ name: kind, addr: host.addr4, asn: 65_001, families }],
        originated: [{ prefix: own }],
      })
      await Promise.all([ours.start(), other.start()])
      await bestRoute(other, own, undefined, ours)
      await bestRoute(ours, '10.244.2.0/24', undefined, other)
      await other.askRefresh('us')
      await ours.askRefresh(kind)
      // what comes after the answers shows that they are over
      await ours.announce({ prefix: '10.244.3.0/24' })
      await other.announce({ prefix: '10.244.4.0/24' })
      await bestRoute(other, '10.244.3.0/24', undefined, ours)
      await bestRoute(ours, '10.244.4.0/24', undefined, other)
      await bestRoute(other, own, undefined, ours)
      await bestRoute(ours, '10.244.2.0/24', undefined, other)
      assert.equal((await ours.report()).peers[0]!.flaps, 0)
    })
  }
})
