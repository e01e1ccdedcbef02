// What pods send that is no common first packet: other people's addresses, tags, fragments, errors, groups. With the policy tables in place.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { families } from '#/lib/addr.ts'
import { linkLocalOf } from '#/model/names.ts'
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

/** br_netfilter keeps packets between pods of the node on the bridge, and without it they are routed. */
function inBothWays(name: string, run: (brNetfilter: boolean) => Promise<void>): void {
  for (const brNetfilter of [false, true])
    test(`${name}, br_netfilter ${brNetfilter ? 'on' : 'off'}`, () => run(brNetfilter))
}

inBothWays('a pod sends from its own addresses only', async (brNetfilter) => {
  const { node, a, b, c } = await threePods()
  using _ = node
  node.brNetfilter = brNetfilter
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

inBothWays('SCTP has ports', async (brNetfilter) => {
  const { node, a, b, c } = await threePods()
  using _ = node
  node.brNetfilter = brNetfilter
  for (const family of families) {
    const cell = (from: TestPod, port: number) => node.arrives({ family, from, to: a, port, protocol: protocols.sctp })
    assert.deepEqual([await cell(b, 80), await cell(b, 81), await cell(c, 80)], [true, false, false])
    assert.equal(await node.arrives({ family, from: b, to: a, protocol: protocols.udp }), false)
  }
})

const linkLocal = (pod: TestPod): string => `fe80::${pod.number}`

/** Frames that no rule for IP sees, from one pod to another or to all. */
function oddFrames(from: TestPod, to: TestPod): Map<string, (payload: Uint8Array) => Uint8Array> {
  const frame = (mac: string, type: number, payload: Uint8Array) =>
    ethernet({ to: mac, from: from.port.mac }, type, payload)
  const datagram = (dst: string, payload: Uint8Array) =>
    ipv4({ src: addrOf(4, from.number), dst }, udp({ from: 1000, to: 80 }, payload))
  const ends = { src: linkLocal(from), dst: linkLocal(to) }
  return new Map([
    ['tagged', (payload) => frame(to.port.mac, etherTypes.vlan, join(be16(5), be16(etherTypes.lldp), payload))],
    ...families.map((family) => {
      const ips = { src: addrOf(family, from.number), dst: addrOf(family, to.number) }
      const tagged = (payload: Uint8Array): Uint8Array => {
        const segment = withChecksum(ips, protocols.udp, udp({ from: 1000, to: 80 }, payload), 6)
        const packet = family === 4 ? ipv4(ips, segment) : ipv6(ips, segment)
        const type = family === 4 ? etherTypes.ipv4 : etherTypes.ipv6
        return frame(to.port.mac, etherTypes.vlan, join(be16(5), be16(type), packet))
      }
      return [`tagged IPv${family}`, tagged] as const
    }),
    ['rarp', (payload) => frame(to.port.mac, etherTypes.rarp, payload)],
    ['broadcast', (payload) => frame(broadcastMac, etherTypes.ipv4, datagram('255.255.255.255', payload))],
    ['group', (payload) => frame('01:00:5e:00:00:fb', etherTypes.ipv4, datagram('224.0.0.251', payload))],
    // its receiver would take it
    [
      'to its address, to all',
      (payload) => frame(broadcastMac, etherTypes.ipv4, datagram(addrOf(4, to.number), payload)),
    ],
    [
      'link-local',
      (payload) => {
        const message = withChecksum(ends, protocols.udp, udp({ from: 1000, to: 80 }, payload), 6)
        return frame(to.port.mac, etherTypes.ipv6, ipv6(ends, message))
      },
    ],
    [
      'router advertisement',
      (payload) => {
        const pair = { src: linkLocal(from), dst: 'ff02::1' }
        const message = neighbour({ ...pair, type: neighbourTypes.routerAdvertisement, options: [payload] })
        const packet = ipv6({ ...pair, hops: 255, protocol: protocols.icmpv6 }, message)
        return frame('33:33:00:00:00:01', etherTypes.ipv6, packet)
      },
    ],
  ])
}

/** Frames by which pods find each other. */
function neighbourFrames(from: TestPod, to: TestPod): Map<string, (payload: Uint8Array) => Uint8Array> {
  return new Map([
    [
      'who has',
      (payload) => {
        const question = arp({
          sender: [from.port.mac, addrOf(4, from.number)],
          target: ['00:00:00:00:00:00', addrOf(4, to.number)],
        })
        return ethernet({ to: broadcastMac, from: from.port.mac }, etherTypes.arp, join(question, payload))
      },
    ],
    [
      'neighbour',
      (payload) => {
        const [src, target] = [addrOf(6, from.number), addrOf(6, to.number)]
        const { addr: dst, mac } = solicitedNode(target)
        const options = [option.sourceMac(from.port.mac), payload]
        const message = neighbour({ src, dst, type: neighbourTypes.solicitation, target, options })
        const packet = ipv6({ src, dst, hops: 255, protocol: protocols.icmpv6 }, message)
        return ethernet({ to: mac, from: from.port.mac }, etherTypes.ipv6, packet)
      },
    ],
  ])
}

/** The names of the frames that arrive. */
async function arriving(
  frames: Map<string, (payload: Uint8Array) => Uint8Array>,
  from: TestPod,
  to: TestPod,
): Promise<string[]> {
  to.port.take()
  for (const [name, make] of frames) from.port.send(make(new TextEncoder().encode(`<${name}>`)))
  const seen = await to.port.collect(60)
  return [...frames.keys()].filter((name) => seen.some((frame) => Buffer.from(frame).includes(`<${name}>`)))
}

inBothWays('what no rule for IP sees goes on between pods without policies alone', async (brNetfilter) => {
  const { node, a, b, c } = await threePods()
  using _ = node
  node.brNetfilter = brNetfilter
  node.form.policy('p2', 'NetworkPolicy', 'egress', {}).class('c2', 'egress', ['p2'])
  const d = node.add(5, { egress: 'c2' })
  await node.settle()
  const odd = [...oddFrames(b, c).keys()]
  for (const [from, to, expected] of [
    [b, c, odd],
    [c, a, []],
    [a, c, odd],
    [d, c, []],
    [c, d, odd],
  ] as const) {
    assert.deepEqual(await arriving(oddFrames(from, to), from, to), expected, `${from.number} to ${to.number}`)
    assert.deepEqual(await arriving(neighbourFrames(from, to), from, to), ['who has', 'neighbour'])
  }
  const { ['not an address of the pod (IPv4)']: foreign, ...refused } = await refusals(node)
  assert.equal(foreign, undefined)
  assert.deepEqual(
    new Set(Object.keys(refused)),
    new Set(
      ['from', 'to'].flatMap((way) =>
        ['with a VLAN tag', 'groups, link-local addresses, other protocols'].map(
          (what) => `${what}: ${way} a pod with policies`,
        ),
      ),
    ),
  )
})

inBothWays('a packet for a pod is judged whatever its tag, its MAC or its source', async (brNetfilter) => {
  const { node, a, b, c } = await threePods()
  using _ = node
  node.brNetfilter = brNetfilter
  const text = (payload: string): Uint8Array => new TextEncoder().encode(payload)
  const packet = ipv4({ src: addrOf(4, 4), dst: addrOf(4, 2) }, udp({ from: 1000, to: 80 }, text('<tagged>')))
  for (const tag of [0, 5])
    c.port.send(
      ethernet({ to: a.port.mac, from: c.port.mac }, etherTypes.vlan, join(be16(tag), be16(etherTypes.ipv4), packet)),
    )
  // b is on the way to a for whoever takes its MAC
  assert.equal(await node.arrives({ family: 4, from: c, to: a, mac: b.port.mac }), false)
  const pair = { src: linkLocal(c), dst: addrOf(6, 2) }
  const message = withChecksum(pair, protocols.udp, udp({ from: 1000, to: 80 }, text('<link-local>')), 6)
  for (const mac of [a.port.mac, bridgeMac])
    c.port.send(ethernet({ to: mac, from: c.port.mac }, etherTypes.ipv6, ipv6(pair, message)))
  const seen = await a.port.collect(60)
  for (const mark of ['<tagged>', '<link-local>'])
    assert.ok(!seen.some((frame) => Buffer.from(frame).includes(mark)), mark)
})

inBothWays('a fragmented packet is judged whole', async (brNetfilter) => {
  const { node, a, b, c } = await threePods()
  using _ = node
  node.brNetfilter = brNetfilter
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

inBothWays('errors about a connection that was allowed come through, others do not', async (brNetfilter) => {
  const { node, a } = await threePods()
  using _ = node
  node.brNetfilter = brNetfilter
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

test('the node leads no packet to the link-local address of a pod', async () => {
  const { node, a, c } = await threePods()
  using _ = node
  const [{ addr_info: addrs }] = a.netns.ip<{ addr_info: { local: string; scope: string }[] }>(
    '-6 addr show dev eth0',
  ) as [{ addr_info: { local: string; scope: string }[] }]
  const dst = addrs.find(({ scope }) => scope === 'link')!.local
  node.host.sh(`ping -6 -c1 -W2 ${dst}%cw-br0`)
  // the bridge takes in what is for the MAC of any of its ports
  for (const mac of [bridgeMac, node.portMac(c), node.portMac(a)])
    for (const src of [addrOf(6, 4), linkLocal(c)])
      assert.equal(await node.arrives({ family: 6, from: c, to: a, src, dst, mac }), false, `${src} to ${mac}`)
  // that of the node is another matter
  c.netns.sh(`ping -6 -c1 -W2 ${linkLocalOf(bridgeMac)}%eth0`)
})

test('the node keeps its redirects to itself', async () => {
  const { node, b, c } = await threePods()
  using _ = node
  const isRedirect = (frame: Uint8Array): boolean => {
    const [family, protocol, type] = frame[12] === 8 ? [4, frame[23], frame[34]] : [6, frame[20], frame[54]]
    return family === 4 ? protocol === protocols.icmp && type === 5 : protocol === protocols.icmpv6 && type === 137
  }
  /** The redirects for packets that take the gateway, though their receiver is on the same link. */
  const redirects = async (): Promise<number> => {
    b.port.take()
    for (const family of families)
      assert.equal(await node.arrives({ family, from: b, to: c, mac: bridgeMac, protocol: protocols.udp }), true)
    return (await b.port.collect(60)).filter(isRedirect).length
  }
  assert.equal(await redirects(), 0)
  node.nft('flush chain bridge causeway-policy postrouting')
  assert.ok((await redirects()) > 0)
})
