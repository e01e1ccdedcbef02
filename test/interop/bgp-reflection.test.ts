// Route reflection (RFC 4456): by us for the others, by each of the others for us, and what never comes back to where it came from.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute, established, foreignKinds, noRoute, routerOf } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { Lan } from './bgp/lan.ts'
import { attributes, update } from './bgp/raw-messages.ts'
import { RawHost } from './bgp/raw-peer.ts'

const asn = 65_000
const families = [4] as const
const clusterId = '192.0.2.1'

suite('route reflection', { concurrency: 2 }, () => {
  test('we reflect between BIRD, FRR and GoBGP, and an observer sees where a route began', async () => {
    using lan = new Lan()
    const home = lan.host()
    const hosts = foreignKinds.map(() => lan.host())
    const observerHost = lan.host()
    await using stack = new AsyncDisposableStack()
    const clients = foreignKinds.map((kind, index) =>
      stack.use(
        routerOf(kind, hosts[index]!, {
          asn,
          neighbours: [{ name: 'us', addr: home.addr4, asn, families }],
          originated: [{ prefix: `10.244.${hosts[index]!.number}.0/24` }],
        }),
      ),
    )
    const clientNeighbours = foreignKinds.map((kind, index) => ({
      name: kind,
      addr: hosts[index]!.addr4,
      asn,
      families,
      isReflectorClient: true,
    }))
    const observer = { name: 'observer', addr: observerHost.addr4, asn, families, mode: 'passive' as const }
    const ours = stack.use(new Causeway(home, { asn, clusterId, neighbours: [...clientNeighbours, observer] }))
    await Promise.all([ours, ...clients].map((router) => router.start()))
    await using raw = await RawHost.start(observerHost)
    const peer = await raw.session(home.addr4, { asn, routerId: observerHost.addr4 })
    await established(ours, ...clients)
    for (const client of clients) {
      for (const other of clients.filter((each) => each !== client)) {
        const route = await bestRoute(client, `10.244.${other.host.number}.0/24`, undefined, ours)
        // a reflector leaves next hops alone (section 10)
        assert.deepEqual(route.nextHops, [other.host.addr4], `${client.kind} of ${other.kind}`)
      }
      const seen = await eventually(
        `${client.kind}'s route at the observer`,
        () => peer.rib.get(`10.244.${client.host.number}.0/24`),
        (path) => path !== undefined,
      )
      assert.equal(seen!.originatorId, client.host.addr4, client.kind)
      assert.deepEqual(seen!.clusterList, [clusterId], client.kind)
      assert.equal(seen!.asPath, '', client.kind)
    }
    // the observer is no client: what it announces goes to clients only
    const path = [
      attributes.origin(0),
      attributes.asPath([]),
      attributes.nextHop(observerHost.addr4),
      attributes.localPreference(100),
    ]
    peer.send(update({ attributes: path, announced: ['10.9.0.0/16'] }))
    for (const client of clients) await bestRoute(client, '10.9.0.0/16', undefined, ours)
  })

  test('we take no route that has our cluster or our router id in it', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    await using ours = new Causeway(home, {
      asn,
      clusterId,
      neighbours: [{ name: 'raw', addr: host.addr4, asn, families, mode: 'passive', isReflectorClient: true }],
    })
    await using raw = await RawHost.start(host)
    await ours.start()
    const peer = await raw.session(home.addr4, { asn, routerId: host.addr4 })
    const plain = [
      attributes.origin(0),
      attributes.asPath([]),
      attributes.nextHop(host.addr4),
      attributes.localPreference(100),
    ]
    peer.send(
      update({ attributes: [...plain, attributes.clusterList(['192.0.2.9', clusterId])], announced: ['10.1.0.0/16'] }),
      update({ attributes: [...plain, attributes.originatorId(home.addr4)], announced: ['10.2.0.0/16'] }),
      update({
        attributes: [...plain, attributes.originatorId('192.0.2.7'), attributes.clusterList(['192.0.2.9'])],
        announced: ['10.3.0.0/16'],
      }),
    )
    await bestRoute(ours, '10.3.0.0/16')
    await noRoute(ours, '10.1.0.0/16')
    await noRoute(ours, '10.2.0.0/16')
  })

  for (const kind of foreignKinds) {
    test(`${kind} reflects: we learn the other client's route, and ours reaches it`, async () => {
      using lan = new Lan()
      const [home, host, far] = [lan.host(), lan.host(), lan.host()]
      await using reflector = routerOf(kind, host, {
        asn,
        clusterId,
        neighbours: [
          { name: 'us', addr: home.addr4, asn, families, isReflectorClient: true },
          { name: 'far', addr: far.addr4, asn, families, isReflectorClient: true, mode: 'passive' },
        ],
      })
      await using ours = new Causeway(home, {
        asn,
        neighbours: [{ name: kind, addr: host.addr4, asn, families }],
        originated: [{ prefix: '10.244.1.0/24' }],
      })
      await using raw = await RawHost.start(far)
      await Promise.all([ours.start(), reflector.start()])
      const peer = await raw.session(host.addr4, { asn, routerId: far.addr4 })
      const path = [
        attributes.origin(0),
        attributes.asPath([]),
        attributes.nextHop(far.addr4),
        attributes.localPreference(100),
      ]
      peer.send(update({ attributes: path, announced: ['10.244.3.0/24'] }))
      const route = await bestRoute(ours, '10.244.3.0/24', undefined, reflector)
      assert.deepEqual(route.nextHops, [far.addr4])
      const seen = await eventually(
        'our route behind the reflector',
        () => peer.rib.get('10.244.1.0/24'),
        (found) => found !== undefined,
        { explain: () => reflector.logTail() },
      )
      assert.equal(seen!.originatorId, home.addr4)
      assert.equal(seen!.nextHop, home.addr4)
    })
  }
})
