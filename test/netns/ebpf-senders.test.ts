// What a pod may send at all: cw_from_pod drops what is under a foreign name, and what pods have no business to send.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, beforeEach, test } from 'node:test'
import { broadcastMac, be16, etherTypes, ethernet, ipv4, ipv6, join, udp, vxlan, zeros } from './ebpf/frames.ts'
import { families, told } from './ebpf/families.ts'
import {
  bridgeMac,
  clientPort,
  nodes,
  type Outcome,
  pods,
  serverPort,
  tunnelMac,
  unknownDevice,
  vni,
  vtepMac,
  vxlanPort,
  World,
} from './ebpf/world.ts'

const { client, server } = pods
const ports = { from: clientPort, to: serverPort }
const payload = Uint8Array.from({ length: 32 }, (_, at) => at)
const toGateway = { to: bridgeMac, from: client.mac }

let world: World
before(async () => void (world = await World.make()))
beforeEach(() => world.clearBudgets())
after(() => world[Symbol.dispose]())

const fromClient = (data: Uint8Array): Outcome => world.run('cw_from_pod', client.device, data)

test('a foreign source address or MAC is dropped', () => {
  const segment = udp(ports, payload)
  const cases: [string, Uint8Array, string][] = []
  for (const family of families) {
    const send = (
      name: string,
      src: string,
      expected: string,
      from = client.mac,
      dst = family.addr(server),
      to = bridgeMac,
    ) =>
      cases.push([
        `${family.name}: ${name}`,
        ethernet({ to, from }, family.type, family.packet({ src, dst }, segment)),
        expected,
      ])
    const own = family.addr(client)
    const is4 = family.name === 'IPv4'
    const many = is4 ? '224.0.0.251' : 'ff02::fb'
    send("another pod's address", family.addr(server), 'source_address')
    send("another pod's address, to itself", family.addr(server), 'source_address', client.mac, own)
    send("a remote pod's address", family.remote(nodes.native), 'source_address')
    send("the gateway's address", is4 ? '10.244.1.1' : 'fd10:244:0:1::1', 'source_address')
    send("the node's address", family.end(nodes.own), 'source_address')
    send('an address of nobody', is4 ? '203.0.113.9' : '2001:db8::9', 'source_address')
    send('no address', is4 ? '0.0.0.0' : '::', 'source_address')
    send('a foreign address to many', family.addr(server), 'source_address', client.mac, many, '01:00:5e:00:00:fb')
    send("another pod's MAC", own, 'source_mac', server.mac)
    send("the gateway's MAC", own, 'source_mac', bridgeMac)
    send("another pod's MAC, to many", own, 'source_mac', server.mac, many, '01:00:5e:00:00:fb')
    send("another pod's MAC, to the world", own, 'source_mac', server.mac, is4 ? '192.0.2.1' : '2001:db8::1')
    if (!is4) send("the gateway's link-local address", 'fe80::43:57ff:fe00:1', 'source_address', client.mac, 'fe80::1')
  }
  for (const [name, frame, reason] of cases) assert.equal(told(fromClient(frame)), `dropped: ${reason}`, name)
})

test('frames of other protocols are dropped', () => {
  for (const type of [etherTypes.vlan, etherTypes.rarp, etherTypes.lldp, 0x88a8, 0x8847, 0x0800 + 1, 0x0026])
    for (const to of [bridgeMac, broadcastMac, '01:80:c2:00:00:0e'])
      assert.equal(
        told(fromClient(ethernet({ to, from: client.mac }, type, zeros(60)))),
        'dropped: protocol',
        `type ${type}`,
      )
  const tagged = join(
    be16(5),
    be16(etherTypes.ipv4),
    ipv4({ src: client.addr4, dst: server.addr4 }, udp(ports, payload)),
  )
  assert.equal(told(fromClient(ethernet(toGateway, etherTypes.vlan, tagged))), 'dropped: protocol')
})

test('a port that the maps do not tell of is not judged', () => {
  for (const family of families) {
    const sent = ethernet(
      toGateway,
      family.type,
      family.packet({ src: family.addr(client), dst: family.addr(server) }, udp(ports, payload)),
    )
    assert.equal(told(world.run('cw_from_pod', unknownDevice, sent)), 'stack')
  }
  for (const type of [etherTypes.vlan, etherTypes.arp, etherTypes.lldp])
    assert.equal(told(world.run('cw_from_pod', unknownDevice, ethernet(toGateway, type, zeros(60)))), 'stack')
})

test('a pod sends no VXLAN to nodes, however it addresses the frame, and to others it may', () => {
  const packet = vxlan(vni, ethernet({ to: vtepMac, from: tunnelMac }, etherTypes.ipv4, zeros(40)))
  const port = { from: clientPort, to: vxlanPort }
  for (const family of families) {
    const send = (dst: string, to = bridgeMac) =>
      told(
        fromClient(
          ethernet(
            { to, from: client.mac },
            family.type,
            family.packet({ src: family.addr(client), dst }, udp(port, packet)),
          ),
        ),
      )
    for (const node of Object.values(nodes)) {
      const end = family.end(node)
      assert.equal(send(end), 'dropped: tunnel_from_pod', `${family.name} to node ${node.number}`)
      for (const to of [broadcastMac, '33:33:00:00:00:01', server.mac])
        assert.equal(send(end, to), 'dropped: tunnel_from_pod', `${family.name} to node ${node.number}, ${to}`)
    }
    assert.equal(send(family.addr(server)), 'stack')
    assert.equal(send(family.name === 'IPv4' ? '192.0.2.1' : '2001:db8::1'), 'stack')
  }
})

test('a pod sends at most 1,000 packets a second to many from each processor', () => {
  // each processor counts for itself, so this thread stays on one
  execFileSync('taskset', ['-p', '1', String(process.pid)])
  const many = ethernet(
    { to: '01:00:5e:00:00:fb', from: client.mac },
    etherTypes.ipv4,
    ipv4({ src: client.addr4, dst: '224.0.0.251' }, udp(ports, payload)),
  )
  const many6 = ethernet(
    { to: '33:33:00:00:00:fb', from: client.mac },
    etherTypes.ipv6,
    ipv6({ src: client.addr6, dst: 'ff02::fb' }, udp(ports, payload)),
  )
  world.maps.clearDrops()
  // a second may begin in between: then up to 1,000 more pass from there on
  const verdicts = world.inside(() =>
    Array.from(
      { length: 2200 },
      (_, at) => world.runInside('cw_from_pod', client.device, at % 2 ? many : many6).verdict,
    ),
  )
  const passed = verdicts.filter((verdict) => verdict === 'stack').length
  const begins = verdicts.filter((verdict, at) => verdict === 'stack' && at > 0 && verdicts[at - 1] !== 'stack').length
  assert.ok(passed >= 1000 && passed <= 2000 && begins <= 1, `${passed} passed, ${begins} times anew`)
  assert.deepEqual(Object.fromEntries(world.maps.drops()), { multicast_budget: 2200 - passed })
  // its own budget only
  const others = ethernet(
    { to: '01:00:5e:00:00:fb', from: server.mac },
    etherTypes.ipv4,
    ipv4({ src: server.addr4, dst: '224.0.0.251' }, udp(ports, payload)),
  )
  assert.equal(told(world.run('cw_from_pod', server.device, others)), 'stack')
})
