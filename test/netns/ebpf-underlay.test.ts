// What comes from other nodes, frame by frame: natively, and as VXLAN that cw_from_underlay takes out itself; and what goes to pods.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import {
  etherTypes,
  ethernet,
  extension,
  type Ip,
  ipv4,
  ipv6,
  protocols,
  tcp,
  tcpFlags,
  udp,
  vxlan,
  withBytes,
  zeros,
} from './ebpf/frames.ts'
import { families, type Family, told } from './ebpf/families.ts'
import {
  bridgeMac,
  clientPort,
  nodes,
  openConnections,
  type Outcome,
  pods,
  quietlyTranslatedPort,
  routerMac,
  serverPort,
  translatedPort,
  tunnelMac,
  unansweredPort,
  underlayMac,
  vni,
  vtepMac,
  vxlanPort,
  World,
} from './ebpf/world.ts'

const { client, server } = pods
/** Answers of remote pods to the client. */
const answer = { from: serverPort, to: clientPort }
const payload = Uint8Array.from({ length: 32 }, (_, at) => at)
const toNode = { to: underlayMac, from: routerMac }

let world: World
before(async () => {
  world = await World.make()
  openConnections(world)
  for (const [src, dst] of [
    [client.addr4, nodes.tunnel4.addr4],
    [client.addr6, nodes.tunnel4.addr6],
  ] as const)
    world.connections.add({ protocol: 17, src, dst, from: clientPort, to: vxlanPort })
})
beforeEach(() => world.clearTraffic())
after(() => world[Symbol.dispose]())

const underlay = (data: Uint8Array, options = {}): Outcome => world.run('cw_from_underlay', 'eth0', data, options)
const tunnel = (data: Uint8Array): Outcome => world.run('cw_from_tunnel', 'cw-vxlan', data)

/** A packet of a remote pod to the client. */
const inner = (family: Family, change: Partial<Ip> = {}, segment = udp(answer, payload)): Uint8Array =>
  family.packet({ src: family.remote(nodes.tunnel4), dst: family.addr(client), ...change }, segment)

type Outer = {
  readonly ip?: Partial<Ip>
  readonly vni?: number
  readonly flags?: number
  readonly type?: number
  readonly port?: number
}

function tunnelled(family: Family, packet: Uint8Array, outer: Outer = {}): Uint8Array {
  const frame = ethernet({ to: tunnelMac, from: vtepMac }, outer.type ?? family.type, packet)
  const datagram = udp({ from: 50_000, to: outer.port ?? vxlanPort }, vxlan(outer.vni ?? vni, frame, outer.flags))
  return ethernet(
    toNode,
    etherTypes.ipv4,
    ipv4({ src: nodes.tunnel4.addr4, dst: nodes.own.addr4, ...outer.ip }, datagram),
  )
}

/** As the pod has to get it. */
const delivered = (family: Family, packet: Uint8Array): Uint8Array =>
  ethernet({ to: client.mac, from: bridgeMac }, family.type, packet)

test('a running connection’s packets come to the pod with one hop less', () => {
  for (const family of families) {
    for (const [protocol, segment] of [
      [protocols.udp, udp(answer, payload)],
      [protocols.tcp, tcp(answer, payload)],
    ] as const) {
      world.clearTraffic()
      const expected = delivered(family, inner(family, { protocol, hops: 63 }, segment))
      const packet = inner(family, { protocol }, segment)
      const native = underlay(ethernet(toNode, family.type, packet))
      assert.equal(told(native), 'carried', family.name)
      assert.deepEqual(native.frame, expected)
      const taken = underlay(tunnelled(family, packet))
      assert.equal(told(taken), 'carried', family.name)
      assert.deepEqual(taken.frame, expected)
      const byDevice = tunnel(ethernet({ to: tunnelMac, from: vtepMac }, family.type, packet))
      assert.equal(told(byDevice), 'carried', family.name)
      assert.deepEqual(byDevice.frame, expected)
      assert.deepEqual(world.traffic(client), { to_pod_native: 1, to_pod_tunnel: 2 })
    }
  }
})

test('what is not known to be a plain running connection goes to the stack as it came, by each way', () => {
  for (const family of families) {
    const tcpOf = (flags: number, from = serverPort) =>
      inner(family, { protocol: protocols.tcp }, tcp({ from, to: clientPort }, payload, flags))
    const udpOf = (from: number, change: Partial<Ip> = {}) =>
      inner(family, change, udp({ from, to: clientPort }, payload))
    const cases: [string, Uint8Array][] = [
      ['another port', udpOf(9)],
      ['not answered', udpOf(unansweredPort)],
      ['translated', udpOf(translatedPort)],
      ['translated as by IPVS', udpOf(quietlyTranslatedPort)],
      ['translated, TCP', tcpOf(tcpFlags.ack, translatedPort)],
      ['SYN', tcpOf(tcpFlags.syn)],
      ['SYN and ACK', tcpOf(tcpFlags.syn | tcpFlags.ack)],
      ['no hop left', udpOf(serverPort, { hops: 1 })],
      ['no hop at all', udpOf(serverPort, { hops: 0 })],
      ['SCTP', udpOf(serverPort, { protocol: protocols.sctp })],
      ['ICMP', udpOf(serverPort, { protocol: family.name === 'IPv4' ? protocols.icmp : protocols.icmpv6 })],
      ['too large for the pod', inner(family, {}, udp(answer, zeros(1451 - 8 - family.headerBytes)))],
      ['to nobody here', udpOf(serverPort, { dst: family.remote(nodes.own) })],
      ['to a bridged pod', udpOf(serverPort, { dst: family.addr(pods.bridged) })],
      ...(family.name === 'IPv4'
        ? ([
            ['options', udpOf(serverPort, { options: Uint8Array.of(1, 1, 1, 1) })],
            ['a first fragment', udpOf(serverPort, { fragment: 0x2000 })],
            ['a later fragment', udpOf(serverPort, { fragment: 0x00a0 })],
          ] as [string, Uint8Array][])
        : ([
            ['hop-by-hop options', udpOf(serverPort, { extensions: [extension.hopByHop] })],
            ['a first fragment', udpOf(serverPort, { extensions: [extension.fragment] })],
          ] as [string, Uint8Array][])),
    ]
    for (const [name, packet] of cases) {
      for (const [way, frame] of [
        ['native', ethernet(toNode, family.type, packet)],
        ['tunnel', tunnelled(family, packet)],
      ] as const) {
        const outcome = underlay(frame)
        assert.equal(told(outcome), 'stack', `${family.name}, ${way}: ${name}`)
        assert.deepEqual(outcome.frame, frame, `${family.name}, ${way}: ${name}`)
      }
      const frame = ethernet({ to: tunnelMac, from: vtepMac }, family.type, packet)
      const outcome = tunnel(frame)
      assert.equal(told(outcome), 'stack', `${family.name}, device: ${name}`)
      assert.deepEqual(outcome.frame, frame, `${family.name}, device: ${name}`)
    }
  }
})

test('VXLAN is taken from the node that owns the inner source only, and only as this cluster sends it', () => {
  for (const family of families) {
    const cases: [string, Outer, Partial<Ip>?][] = [
      ['of another node', { ip: { src: nodes.native.addr4 } }],
      ['of nobody', { ip: { src: '203.0.113.1' } }],
      ['of this node', { ip: { src: nodes.own.addr4 } }],
      ['of a pod of this node', { ip: { src: client.addr4 } }],
      ['for a pod of another node', {}, { src: family.remote(nodes.native) }],
      ['as a pod of this node', {}, { src: family.addr(server) }],
      ['as nobody', {}, { src: family.name === 'IPv4' ? '192.0.2.1' : '2001:db8::1' }],
      ['another VNI', { vni: vni + 1 }],
      ['no VNI', { flags: 0 }],
      ['flags of an extension', { flags: 0x0c }],
      ['another port', { port: vxlanPort + 1 }],
      ['a first fragment outside', { ip: { fragment: 0x2000 } }],
      ['a later fragment outside', { ip: { fragment: 0x00a0 } }],
      ['options outside', { ip: { options: Uint8Array.of(1, 1, 1, 1) } }],
      ['ARP within', { type: etherTypes.arp }],
      ['a VLAN tag within', { type: etherTypes.vlan }],
      ['the other family within', { type: family.name === 'IPv4' ? etherTypes.ipv6 : etherTypes.ipv4 }],
      ['a mark of congestion outside, ECN within', { ip: { ecn: 3 } }, { ecn: 2 }],
      ['a mark of congestion outside, none within', { ip: { ecn: 3 } }],
      ['another mark outside', { ip: { ecn: 1 } }, { ecn: 2 }],
    ]
    for (const [name, outer, change = {}] of cases) {
      const frame = tunnelled(family, inner(family, change), outer)
      const outcome = underlay(frame)
      assert.equal(told(outcome), 'stack', `${family.name}: ${name}`)
      assert.deepEqual(outcome.frame, frame, `${family.name}: ${name}`)
    }
    for (const ecn of [0, 1, 2, 3]) {
      const both = underlay(tunnelled(family, inner(family, { ecn }), { ip: { ecn } }))
      assert.deepEqual([told(both), both.frame], ['carried', delivered(family, inner(family, { ecn, hops: 63 }))])
      assert.equal(told(underlay(tunnelled(family, inner(family, { ecn })))), 'carried')
    }
    // its own queue needs the packet by the device
    const limited = inner(family, { dst: family.addr(pods.limited) })
    assert.equal(told(underlay(tunnelled(family, limited))), 'stack')
  }
})

test('frames for others, tagged or cut off are not carried', () => {
  for (const family of families) {
    const native = ethernet(toNode, family.type, inner(family))
    const taken = tunnelled(family, inner(family))
    for (const frame of [native, taken]) {
      assert.equal(told(underlay(frame)), 'carried')
      for (const mac of [
        [2, 0, 0, 0, 9, 9],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        [0x33, 0x33, 0, 0, 0, 1],
      ])
        assert.equal(told(underlay(withBytes(frame, 0, mac))), 'stack')
      const shortest = 14 + (frame === taken ? 20 : family.headerBytes)
      for (let bytes = shortest; bytes < frame.length; bytes++)
        assert.equal(told(underlay(frame.subarray(0, bytes))), 'stack', `${family.name}: ${bytes} of ${frame.length}`)
    }
    const byDevice = ethernet({ to: tunnelMac, from: vtepMac }, family.type, inner(family))
    for (let bytes = 14 + family.headerBytes; bytes < byDevice.length; bytes++)
      assert.equal(told(tunnel(byDevice.subarray(0, bytes))), 'stack', `${family.name}: ${bytes}`)
  }
})

test('an inner packet that the tunnel cuts off is not carried', () => {
  // the outer headers tell the truth, the inner one more than there is
  for (const family of families) {
    const packet = inner(family)
    for (let bytes = 0; bytes < packet.length; bytes++)
      assert.equal(told(underlay(tunnelled(family, packet.subarray(0, bytes)))), 'stack', `${family.name}: ${bytes}`)
  }
})

test('what is no IP packet comes out of the tunnel to the stack, and what is malformed to nobody', () => {
  for (const type of [etherTypes.arp, etherTypes.vlan, etherTypes.lldp])
    assert.equal(told(tunnel(ethernet({ to: tunnelMac, from: vtepMac }, type, zeros(60)))), 'stack')
  for (const family of families) {
    const frame = ethernet({ to: tunnelMac, from: vtepMac }, family.type, inner(family))
    for (const version of [0x00, 0x55, 0xff])
      assert.equal(told(tunnel(withBytes(frame, 14, [version]))), 'dropped: malformed', `${family.name} ${version}`)
  }
  const frame = ethernet({ to: tunnelMac, from: vtepMac }, etherTypes.ipv4, inner(families[0]!))
  assert.equal(told(tunnel(withBytes(frame, 14, [0x44]))), 'dropped: malformed')
})

test('what the stack sends to a pod is counted and passed, but for redirects', () => {
  const toPod = (data: Uint8Array) => told(world.run('cw_to_pod', client.device, data))
  const icmp = (type: number) => Uint8Array.of(type, 1, ...zeros(30))
  const from = { to: client.mac, from: bridgeMac }
  const message4 = (type: number, change: Partial<Ip> = {}) =>
    ethernet(
      from,
      etherTypes.ipv4,
      ipv4({ src: '10.244.1.1', dst: client.addr4, protocol: protocols.icmp, ...change }, icmp(type)),
    )
  const message6 = (type: number, change: Partial<Ip> = {}) =>
    ethernet(
      from,
      etherTypes.ipv6,
      ipv6({ src: 'fe80::1', dst: client.addr6, protocol: protocols.icmpv6, ...change }, icmp(type)),
    )
  assert.equal(toPod(message4(5)), 'dropped: redirect')
  assert.equal(toPod(message4(5, { fragment: 0x2000 })), 'dropped: redirect')
  assert.equal(toPod(message6(137)), 'dropped: redirect')
  const passing = [
    ...[0, 3, 8, 11].map((type) => message4(type)),
    // the bytes of an echo, not the type of a message
    message4(5, { fragment: 0x00a0 }),
    message4(5, { fragment: 0x20a0 }),
    message4(5, { protocol: protocols.udp }),
    ...[1, 2, 128, 134, 135, 136].map((type) => message6(type)),
    message6(137, { protocol: protocols.tcp }),
    ethernet(from, etherTypes.arp, zeros(28)),
  ]
  for (const frame of passing) assert.equal(toPod(frame), 'stack')
  assert.deepEqual(world.traffic(client), { to_pod_stack: passing.length })
})
