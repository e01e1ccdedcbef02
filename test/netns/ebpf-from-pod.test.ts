// What cw_from_pod makes of single frames (BPF_PROG_TEST_RUN): who may send what, and which packets are carried. docs/ebpf.md has the table.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { configFlags } from '#/wire/bpf/maps.ts'
import {
  addrOf,
  be16,
  ethernet,
  extension,
  type Ip,
  ipv4,
  macOf,
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
  serverPort,
  translatedPort,
  tunnelMac,
  unansweredPort,
  vni,
  vtepMac,
  vxlanPort,
  World,
} from './ebpf/world.ts'

const { client, server, limited, bridged, narrow } = pods
const ports = { from: clientPort, to: serverPort }
const payload = Uint8Array.from({ length: 32 }, (_, at) => at)
const toGateway = { to: bridgeMac, from: client.mac }

let world: World
before(async () => {
  world = await World.make()
  openConnections(world)
})
beforeEach(() => {
  world.clearTraffic()
  world.clearBudgets()
})
after(() => world[Symbol.dispose]())

const fromClient = (data: Uint8Array): Outcome => world.run('cw_from_pod', client.device, data)

/** The frame with one hop less, and in IPv4 with the checksum for that. */
function hopped({ packet }: Family, ip: Ip, bytes: Uint8Array): Uint8Array {
  return packet({ ...ip, hops: (ip.hops ?? 64) - 1 }, bytes)
}

test('a running connection between pods of the node is carried, byte for byte as it has to arrive', () => {
  for (const family of families) {
    for (const [protocol, segment] of [
      [protocols.udp, udp(ports, payload)],
      [protocols.tcp, tcp(ports, payload)],
    ] as const) {
      for (const to of [server, limited, narrow]) {
        world.clearTraffic()
        const ip = { src: family.addr(client), dst: family.addr(to), protocol }
        const sent = ethernet(toGateway, family.type, family.packet(ip, segment))
        const { verdict, frame } = fromClient(sent)
        assert.equal(verdict, 'carried', `${family.name} ${protocol} to ${to.device}`)
        assert.deepEqual(frame, ethernet({ to: to.mac, from: bridgeMac }, family.type, hopped(family, ip, segment)))
        assert.deepEqual(world.traffic(client), { from_pod_local: 1 })
        assert.deepEqual(world.traffic(to), { to_pod_local: 1 })
      }
    }
  }
})

test('a running connection to another node is carried its way', () => {
  for (const family of families) {
    const ipTo = (dst: string): Ip => ({ src: family.addr(client), dst, ecn: 1 })
    const segment = udp(ports, payload)
    const native = ipTo(family.remote(nodes.native))
    const routed = fromClient(ethernet(toGateway, family.type, family.packet(native, segment)))
    assert.equal(routed.verdict, 'carried')
    assert.deepEqual(routed.frame.subarray(14), hopped(family, native, segment))

    const tunnel4 = ipTo(family.remote(nodes.tunnel4))
    const { verdict, frame } = fromClient(ethernet(toGateway, family.type, family.packet(tunnel4, segment)))
    assert.equal(verdict, 'carried')
    const inner = ethernet({ to: vtepMac, from: tunnelMac }, family.type, hopped(family, tunnel4, segment))
    const [identification, sourcePort] = [frame.subarray(18, 20), (frame[34]! << 8) | frame[35]!]
    assert.ok(sourcePort >= 0xc000, `source port ${sourcePort}`)
    const outer = { src: nodes.own.addr4, dst: nodes.tunnel4.addr4, ecn: 1 }
    const expected = ipv4(outer, udp({ from: sourcePort, to: vxlanPort }, vxlan(vni, inner)))
    // the identification is by chance, and the checksum over it; the Ethernet header is made anew on the way out
    const blank = (packet: Uint8Array) => withBytes(withBytes(packet, 4, [0, 0]), 10, [0, 0])
    assert.deepEqual(blank(frame.subarray(14)), blank(expected))
    assert.equal(identification.length, 2)

    const tunnel6 = ipTo(family.remote(nodes.tunnel6))
    const toDevice = fromClient(ethernet(toGateway, family.type, family.packet(tunnel6, segment)))
    assert.equal(toDevice.verdict, 'carried')
    assert.deepEqual(
      toDevice.frame,
      ethernet({ to: vtepMac, from: tunnelMac }, family.type, hopped(family, tunnel6, segment)),
    )
  }
  assert.deepEqual(world.traffic(client), { from_pod_native: 2, from_pod_tunnel: 4 })
})

test('what is not known to be a plain running connection goes to the stack, by the gateway', () => {
  for (const family of families) {
    const to = (change: Partial<Ip>, segment: Uint8Array) =>
      family.packet({ src: family.addr(client), dst: family.addr(server), ...change }, segment)
    const plain = udp(ports, payload)
    const tcpTo = (flags: number, port = serverPort) =>
      to({ protocol: protocols.tcp }, tcp({ from: clientPort, to: port }, payload, flags))
    const big = (bytes: number) => new Uint8Array(bytes - (family.name === 'IPv4' ? 28 : 48))
    const cases: [string, Uint8Array][] = [
      ['another port', to({}, udp({ from: clientPort, to: 9 }, payload))],
      ['not answered', to({}, udp({ from: clientPort, to: unansweredPort }, payload))],
      ['not answered, TCP', tcpTo(tcpFlags.ack, unansweredPort)],
      ['translated', to({}, udp({ from: clientPort, to: translatedPort }, payload))],
      ['translated, TCP', tcpTo(tcpFlags.ack, translatedPort)],
      ['translated as by IPVS', to({}, udp({ from: clientPort, to: quietlyTranslatedPort }, payload))],
      ['translated as by IPVS, TCP', tcpTo(tcpFlags.ack, quietlyTranslatedPort)],
      ['SYN', tcpTo(tcpFlags.syn)],
      ['SYN with FIN', tcpTo(tcpFlags.syn | tcpFlags.fin)],
      ['SYN and ACK', tcpTo(tcpFlags.syn | tcpFlags.ack)],
      ['no hop left to take', to({ hops: 1 }, plain)],
      ['no hop at all', to({ hops: 0 }, plain)],
      ['SCTP', to({ protocol: protocols.sctp }, plain)],
      ['ICMP', to({ protocol: family.name === 'IPv4' ? protocols.icmp : protocols.icmpv6 }, plain)],
      ['IP in IP', to({ protocol: 4 }, plain)],
      ['larger than its way', to({ dst: family.addr(narrow) }, udp(ports, big(1301)))],
      ['larger than the way to a node', to({ dst: family.remote(nodes.tunnel6) }, udp(ports, big(1431)))],
      ['to a node without a way', to({ dst: family.remote(nodes.none) }, plain)],
      ['to a node without a route', to({ dst: family.remote(nodes.unrouted) }, plain)],
      ['to an address of nobody here', to({ dst: family.remote(nodes.own) }, plain)],
      ['to the world', to({ dst: family.name === 'IPv4' ? '192.0.2.1' : '2001:db8::1' }, plain)],
    ]
    if (family.name === 'IPv4') {
      cases.push(
        ['options', to({ options: Uint8Array.of(1, 1, 1, 1) }, plain)],
        ['a first fragment', to({ fragment: 0x2000 }, plain)],
        ['a later fragment', to({ fragment: 0x00a0 }, plain)],
        ['a middle fragment', to({ fragment: 0x20a0 }, plain)],
      )
    } else {
      cases.push(
        ['hop-by-hop options', to({ extensions: [extension.hopByHop] }, plain)],
        ['destination options', to({ extensions: [extension.destination] }, plain)],
        ['a first fragment', to({ extensions: [extension.fragment] }, plain)],
        ['a later fragment', to({ extensions: [extension.laterFragment] }, plain)],
      )
    }
    for (const [name, packet] of cases) {
      // whichever MAC a pod has taken for the destination
      const sent = ethernet({ to: server.mac, from: client.mac }, family.type, packet)
      const outcome = fromClient(sent)
      assert.equal(told(outcome), 'stack', `${family.name}: ${name}`)
      assert.deepEqual(outcome.frame, withBytes(sent, 0, macOf(bridgeMac)), `${family.name}: ${name}`)
    }
  }
})

test('the largest packet that fits is carried, and a segmented one by the size of its segments', () => {
  for (const family of families) {
    const headers = family.name === 'IPv4' ? 28 : 48
    const ip = { src: family.addr(client), dst: family.addr(narrow) }
    const whole = ethernet(toGateway, family.type, family.packet(ip, udp(ports, zeros(1300 - headers))))
    assert.equal(told(fromClient(whole)), 'carried')
    const tcpHeaders = headers + 12
    const many = ethernet(
      toGateway,
      family.type,
      family.packet({ ...ip, protocol: protocols.tcp }, tcp(ports, zeros(2600))),
    )
    for (const [gsoBytes, expected] of [
      [1300 - tcpHeaders, 'carried'],
      [1301 - tcpHeaders, 'stack'],
    ] as const) {
      openAgain()
      assert.equal(told(world.run('cw_from_pod', client.device, many, { gsoBytes, segments: 3 })), expected)
    }
  }
})

/** Ends of TCP entries that a packet has been given back for are made anew. */
function openAgain(): void {
  for (const { addr } of families) {
    const entry = { protocol: 6, src: addr(client), dst: addr(narrow), from: clientPort, to: serverPort }
    if (!isTracked(addr(narrow))) world.connections.add(entry)
  }
}

function isTracked(dst: string): boolean {
  const full = [...addrOf(dst)]
  const text =
    full.length === 4
      ? full.join('.')
      : Array.from({ length: 8 }, (_, at) =>
          ((full[2 * at]! << 8) | full[2 * at + 1]!).toString(16).padStart(4, '0'),
        ).join(':')
  return world.netns
    .sh('cat /proc/net/nf_conntrack')
    .split('\n')
    .some((line) => line.includes(' tcp ') && line.includes(`dst=${text} sport=${clientPort} dport=${serverPort} `))
}

test('a packet that goes back to the stack ends the entry of its TCP connection, and of no other', () => {
  for (const family of families) {
    const dst = family.addr(narrow)
    openAgain()
    const send = (ip: Partial<Ip>, protocol: number, segment: Uint8Array) =>
      fromClient(
        ethernet(toGateway, family.type, family.packet({ src: family.addr(client), dst, protocol, ...ip }, segment)),
      )
    assert.equal(told(send({}, protocols.tcp, tcp(ports, payload))), 'carried')
    // a translated connection is not the programs' to end
    assert.equal(
      told(send({ hops: 1 }, protocols.tcp, tcp({ from: clientPort, to: translatedPort }, payload))),
      'stack',
    )
    assert.ok(isTracked(dst))
    assert.equal(told(send({ hops: 1 }, protocols.tcp, tcp(ports, payload))), 'stack')
    assert.ok(!isTracked(dst))
    assert.equal(told(send({ hops: 1 }, protocols.udp, udp(ports, payload))), 'stack')
    assert.equal(told(send({}, protocols.udp, udp(ports, payload))), 'carried')
    // the way is found to be missing only when the packet is to go it
    const unrouted = family.remote(nodes.unrouted)
    assert.ok(isTracked(unrouted))
    assert.equal(told(send({ dst: unrouted }, protocols.tcp, tcp(ports, payload))), 'stack')
    assert.ok(!isTracked(unrouted))
  }
})

test('while the programs are drained, no packet is carried', () => {
  openAgain()
  world.maps.configure({ flags: configFlags.draining })
  try {
    for (const family of families) {
      const ip = { src: family.addr(client), dst: family.addr(narrow) }
      const send = (protocol: number, segment: Uint8Array) =>
        told(fromClient(ethernet(toGateway, family.type, family.packet({ ...ip, protocol }, segment))))
      assert.equal(send(protocols.udp, udp(ports, payload)), 'stack')
      assert.equal(send(protocols.tcp, tcp(ports, payload)), 'stack')
      assert.ok(!isTracked(ip.dst))
    }
  } finally {
    world.maps.configure({ flags: 0 })
  }
})

test('packets to and from a pod with the bridge datapath go over the bridge, with the MAC of the receiver', () => {
  for (const family of families) {
    for (const [from, to] of [
      [client, bridged],
      [bridged, client],
    ] as const) {
      const ip = { src: family.addr(from), dst: family.addr(to) }
      const macs = { to: bridgeMac, from: from.mac }
      const sent = ethernet(macs, family.type, family.packet(ip, udp(ports, payload)))
      const outcome = world.run('cw_from_pod', from.device, sent)
      assert.equal(told(outcome), 'stack')
      assert.deepEqual(outcome.frame, withBytes(sent, 0, macOf(to.mac)))
    }
  }
})

test('a frame that is cut off, wherever it is, is never carried', () => {
  openAgain()
  for (const family of families) {
    for (const [protocol, segment] of [
      [protocols.udp, udp(ports, payload)],
      [protocols.tcp, tcp(ports, payload)],
    ] as const) {
      for (const dst of [family.addr(server), family.remote(nodes.native), family.remote(nodes.tunnel4)]) {
        const whole = ethernet(
          toGateway,
          family.type,
          family.packet({ src: family.addr(client), dst, protocol }, segment),
        )
        assert.equal(told(fromClient(whole)), 'carried', `${family.name} ${protocol} ${dst}`)
        // the kernel runs programs on no shorter ones: test/netns/ebpf-cut-off.test.ts sends those
        const shortest = 14 + family.headerBytes
        const ends = world.inside(() =>
          Array.from(
            { length: whole.length - shortest },
            (_, at) => world.runInside('cw_from_pod', client.device, whole.subarray(0, shortest + at)).verdict,
          ),
        )
        const carried = ends.flatMap((verdict, at) => (verdict === 'stack' ? [] : [shortest + at]))
        assert.deepEqual(carried, [], `${family.name} ${protocol} to ${dst}`)
      }
    }
  }
})

test('a packet whose header tells another length than it has is not carried when bytes are missing', () => {
  openAgain()
  for (const family of families) {
    const ip = { src: family.addr(client), dst: family.addr(server) }
    const whole = ethernet(toGateway, family.type, family.packet(ip, udp(ports, payload)))
    const [at, most] = family.name === 'IPv4' ? [16, 20 + 8 + 32] : [18, 8 + 32]
    const least = most - 32
    for (const [told16, expected] of [
      [most, 'carried'],
      [most - 1, 'carried'],
      [least, 'carried'],
      [least - 1, 'stack'],
      [0, 'stack'],
      [most + 1, 'stack'],
      [0xffff, 'stack'],
    ] as const)
      assert.equal(told(fromClient(withBytes(whole, at, be16(told16)))), expected, `${family.name}: ${told16}`)
  }
})
