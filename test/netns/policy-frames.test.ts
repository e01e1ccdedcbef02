// What pods send that is no common first packet: other people's addresses, tags, fragments, errors, groups. With the policy tables in place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { families } from '#/lib/addr.ts'
import { tcp } from '#/plan/policy/testing/form.ts'
import {
  arp,
  be16,
  be32,
  broadcastMac,
  etherTypes,
  ethernet,
  ipv4,
  ipv6,
  join,
  neighbour,
  neighbourTypes,
  option,
  protocols,
  solicitedNode,
  tcpFlags,
  udp,
  withChecksum,
} from './ebpf/frames.ts'
import { addrOf, bridgeMac, TableNode, type TestPod } from './policy/table-node.ts'

/** Pod a (2) may be reached by b (3) at port 80 of TCP and SCTP; c (4) is anybody. */
async function threePods(): Promise<{ node: TableNode; a: TestPod; b: TestPod; c: TestPod }> {
  const node = new TableNode()
  const ports = { ranges: [...tcp(80).ranges, { protocol: 'SCTP', first: 80, last: 80 } as const] }
  node.form
    .pods('b', addrOf(4, 3), addrOf(6, 3))
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['b'], ports })
    .class('c1', 'ingress', ['p1'])
  const [a, b, c] = [node.add(2, { ingress: 'c1' }), node.add(3), node.add(4)]
  await node.settle()
  return { node, a, b, c }
}

const refusals = async (node: TableNode): Promise<Record<string, number>> => {
  const { refused } = await node.tables.readCounters(node.form)
  return Object.fromEntries(refused.filter(({ packets }) => packets > 0).map(({ why, packets }) => [why, packets]))
}

test('a pod sends from its own addresses only', async () => {
  const { node, a, b, c } = await threePods()
  using _ = node
  for (const family of families) {
    // c as b would be let in
    assert.equal(await node.arrives({ family, from: c, to: a, src: addrOf(family, 3) }), false)
    assert.equal(await node.arrives({ family, from: c, to: a, src: addrOf(family, 3), mac: bridgeMac }), false)
    assert.equal(await node.arrives({ family, from: c, to: node.other, src: addrOf(family, 77) }), false)
    assert.equal(await node.arrives({ family, from: b, to: a }), true)
  }
  assert.deepEqual(await refusals(node), {
    'not an address of the pod (IPv4)': 3,
    'not an address of the pod (IPv6)': 3,
  })
})

test('SCTP has ports', async () => {
  const { node, a, b, c } = await threePods()
  using _ = node
  for (const family of families) {
    const cell = (from: TestPod, port: number) => node.arrives({ family, from, to: a, port, protocol: protocols.sctp })
    assert.deepEqual([await cell(b, 80), await cell(b, 81), await cell(c, 80)], [true, false, false])
    assert.equal(await node.arrives({ family, from: b, to: a, protocol: protocols.udp }), false)
  }
})

test('frames with a VLAN tag, of other protocols and to groups do not go from pod to pod', async () => {
  const { node, a, b, c } = await threePods()
  using _ = node
  const text = (mark: string): Uint8Array => new TextEncoder().encode(mark)
  const marks = new Set<string>()
  const send = (mark: string, make: (payload: Uint8Array) => Uint8Array): void => {
    marks.add(mark)
    c.port.send(make(text(mark)))
  }
  const packet = (dst: string, payload: Uint8Array) =>
    ipv4({ src: addrOf(4, 4), dst, protocol: protocols.udp }, udp({ from: 1000, to: 80 }, payload))
  for (const tag of [0, 5]) {
    const tagged = (type: number, payload: Uint8Array): Uint8Array =>
      ethernet({ to: b.port.mac, from: c.port.mac }, etherTypes.vlan, join(be16(tag), be16(type), payload))
    if (tag !== 0) send(`tag-${tag}-udp`, (payload) => tagged(etherTypes.ipv4, packet(addrOf(4, 3), payload)))
    send(`tag-${tag}-lldp`, (payload) => tagged(etherTypes.lldp, payload))
  }
  send('rarp', (payload) => ethernet({ to: b.port.mac, from: c.port.mac }, etherTypes.rarp, payload))
  send('broadcast', (payload) =>
    ethernet({ to: broadcastMac, from: c.port.mac }, etherTypes.ipv4, packet('255.255.255.255', payload)),
  )
  send('group', (payload) =>
    ethernet({ to: '01:00:5e:00:00:fb', from: c.port.mac }, etherTypes.ipv4, packet('224.0.0.251', payload)),
  )
  // to all ports, and to a's address: a would take it
  send('to all', (payload) =>
    ethernet({ to: broadcastMac, from: c.port.mac }, etherTypes.ipv4, packet(addrOf(4, 2), payload)),
  )
  const linkLocal = (address: string): string => `fe80::${address}`
  send('link-local', (payload) => {
    const [src, dst] = [linkLocal('4'), linkLocal('3')]
    const message = withChecksum({ src, dst }, protocols.udp, udp({ from: 1000, to: 80 }, payload), 6)
    return ethernet({ to: b.port.mac, from: c.port.mac }, etherTypes.ipv6, ipv6({ src, dst }, message))
  })
  send('from link-local', (payload) => {
    const [src, dst] = [linkLocal('4'), addrOf(6, 2)]
    const message = withChecksum({ src, dst }, protocols.udp, udp({ from: 1000, to: 80 }, payload), 6)
    return ethernet({ to: a.port.mac, from: c.port.mac }, etherTypes.ipv6, ipv6({ src, dst }, message))
  })
  send('advertisement', (payload) => {
    const [src, dst] = [linkLocal('4'), 'ff02::1']
    const message = neighbour({ src, dst, type: neighbourTypes.routerAdvertisement, options: [payload] })
    return ethernet(
      { to: '33:33:00:00:00:01', from: c.port.mac },
      etherTypes.ipv6,
      ipv6({ src, dst, hops: 255, protocol: protocols.icmpv6 }, message),
    )
  })
  // this comes last, and comes
  const { addr: dst, mac } = solicitedNode(addrOf(6, 3))
  const solicitation = neighbour({
    src: addrOf(6, 4),
    dst,
    type: neighbourTypes.solicitation,
    target: addrOf(6, 3),
    options: [option.sourceMac(c.port.mac), text('neighbour')],
  })
  const ip = ipv6({ src: addrOf(6, 4), dst, hops: 255, protocol: protocols.icmpv6 }, solicitation)
  c.port.send(ethernet({ to: mac, from: c.port.mac }, etherTypes.ipv6, ip))
  const who = arp({ sender: [c.port.mac, addrOf(4, 4)], target: ['00:00:00:00:00:00', addrOf(4, 3)] })
  c.port.send(ethernet({ to: broadcastMac, from: c.port.mac }, etherTypes.arp, join(who, text('who has'))))
  const seen = await b.port.collect(100)
  const got = (mark: string): boolean => seen.some((frame) => Buffer.from(frame).includes(mark))
  assert.deepEqual([...marks].filter(got), [])
  assert.deepEqual([got('neighbour'), got('who has')], [true, true])
  const atA = await a.port.collect(10)
  assert.deepEqual(
    [...marks].filter((mark) => atA.some((frame) => Buffer.from(frame).includes(mark))),
    [],
  )
})

test('a fragmented packet is judged whole', async () => {
  const { node, a, b, c } = await threePods()
  using _ = node
  for (const [from, isAllowed] of [
    [b, true],
    [c, false],
  ] as const) {
    const [src, dst] = [addrOf(4, from.number), addrOf(4, 2)]
    const mark = `fragments of ${from.number}`
    const payload = join(new TextEncoder().encode(mark.padEnd(40)), new Uint8Array(1200))
    const segment = withChecksum({ src, dst }, protocols.tcp, tcpSegment(20_000 + from.number, 80, payload), 16)
    const send = (bytes: Uint8Array, fragment: number): void =>
      from.port.send(
        ethernet(
          { to: a.port.mac, from: from.port.mac },
          etherTypes.ipv4,
          ipv4({ src, dst, protocol: 6, fragment }, bytes),
        ),
      )
    // the last one first: it has no ports
    send(segment.subarray(800), 100)
    send(segment.subarray(0, 800), 0x2000)
    assert.equal(await a.port.gets(mark), isAllowed)
  }
})

function tcpSegment(from: number, to: number, payload: Uint8Array): Uint8Array {
  return join(be16(from), be16(to), be32(1000), be32(0), [0x50, tcpFlags.syn], be16(501), [0, 0, 0, 0], payload)
}

test('errors about a connection that was allowed come through, others do not', async () => {
  const { node, a } = await threePods()
  using _ = node
  // a calls the other node, and a router on the way says that its packets are too large
  for (const family of families) {
    const [src, dst] = [addrOf(family, 2), addrOf(family, 9, true)]
    const known = { family, from: a, to: node.other, protocol: protocols.udp, sourcePort: 40_000 }
    assert.equal(await node.arrives(known), true)
    const error = (sourcePort: number, mark: string): Uint8Array => {
      const head = udp({ from: sourcePort, to: 80 }, new TextEncoder().encode(mark))
      const router = family === 4 ? '172.30.1.2' : 'fd30::2'
      if (family === 4) {
        const message = withIcmpChecksum(join([3, 4, 0, 0, 0, 0], be16(1400), ipv4({ src, dst }, head)))
        return ethernet(node.uplink, etherTypes.ipv4, ipv4({ src: router, dst: src, protocol: 1 }, message))
      }
      const inner = ipv6({ src, dst }, head)
      const message = withChecksum({ src: router, dst: src }, 58, join([2, 0, 0, 0], be32(1400), inner), 2)
      return ethernet(node.uplink, etherTypes.ipv6, ipv6({ src: router, dst: src, protocol: 58 }, message))
    }
    node.other.port.send(error(40_000, `known ${family}`))
    assert.equal(await a.port.gets(`known ${family}`), true, `IPv${family}`)
    node.other.port.send(error(40_001, `unknown ${family}`))
    assert.equal(await a.port.gets(`unknown ${family}`), false, `IPv${family}`)
  }
})

function withIcmpChecksum(message: Uint8Array): Uint8Array {
  let sum = 0
  for (let at = 0; at < message.length; at += 2) sum += (message[at]! << 8) | (message[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return join(message.subarray(0, 2), be16(~sum & 0xffff), message.subarray(4))
}
