// A pod that may write any frame tries to reach one that policies keep from it, and to get what is for another.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { families, type Family } from '#/lib/addr.ts'
import {
  arp,
  be16,
  be32,
  etherTypes,
  ethernet,
  ipv4,
  ipv6,
  join,
  neighbour,
  neighbourTypes,
  option,
  protocols,
  tcp,
  tcpFlags,
  withChecksum,
} from './ebpf/frames.ts'
import { AttackNode, linkLocalOf } from './policy/attack-node.ts'
import { addrOf, bridgeMac, type TestPod } from './policy/table-node.ts'

/** What br_netfilter takes: nothing, IP, and IP behind the tags of VLANs and PPPoE too. */
const takes = { nothing: [0, 0], IP: [1, 0], 'IP and tagged IP': [1, 1] } as const

for (const [what, [ip, tagged]] of Object.entries(takes))
  test(`no frame of a pod gets past policies where br_netfilter takes ${what}`, async () => {
    using node = await AttackNode.create()
    node.brNetfilter = ip === 1
    for (const name of ['vlan', 'pppoe'])
      node.host.sh(`sysctl -qw net.bridge.bridge-nf-filter-${name}-tagged=${tagged}`)
    const { sent, arrived } = await node.sweep()
    assert.deepEqual([...arrived].slice(0, 20), [], `${arrived.size} of ${sent}`)
    assert.ok(await node.friendArrives())
  })

test('no frame of a pod that may send nothing gets out', async () => {
  using node = await AttackNode.create()
  for (const to of [node.friend, node.other]) {
    const { sent, arrived } = await node.sweep(node.silent, to)
    assert.deepEqual([...arrived].slice(0, 20), [], `${arrived.size} of ${sent}, to ${to.number}`)
  }
})

test('without the tables those frames arrive', async () => {
  using node = await AttackNode.create()
  node.nft('flush ruleset')
  const { sent, arrived } = await node.sweep()
  assert.ok(arrived.size > sent / 2, `${arrived.size} of ${sent}`)
})

const overridden = 0x2000_0000

/** Each makes the node, or its bridge, believe that the friend's address is where the attacker is. */
const takeovers: Record<string, (node: AttackNode) => void> = {
  'ARP, an answer': ({ attacker: { port } }) =>
    port.send(
      ethernet(
        { to: bridgeMac, from: port.mac },
        etherTypes.arp,
        arp({ operation: 2, sender: [port.mac, addrOf(4, 3)], target: [bridgeMac, addrOf(4, 1)] }),
      ),
    ),
  'ARP, a question': ({ attacker: { port } }) =>
    port.send(
      ethernet(
        { to: bridgeMac, from: port.mac },
        etherTypes.arp,
        arp({ sender: [port.mac, addrOf(4, 3)], target: ['00:00:00:00:00:00', addrOf(4, 1)] }),
      ),
    ),
  'a neighbour advertisement'({ attacker }) {
    const [src, dst] = [linkLocalOf(attacker), addrOf(6, 1)]
    const message = neighbour({
      src,
      dst,
      type: neighbourTypes.advertisement,
      target: addrOf(6, 3),
      options: [option.targetMac(attacker.port.mac)],
      flags: overridden,
    })
    const packet = ipv6({ src, dst, hops: 255, protocol: protocols.icmpv6 }, message)
    attacker.port.send(ethernet({ to: bridgeMac, from: attacker.port.mac }, etherTypes.ipv6, packet))
  },
  "the friend's MAC": ({ attacker: { port }, friend }) =>
    port.send(
      ethernet(
        { to: bridgeMac, from: friend.port.mac },
        etherTypes.arp,
        arp({ sender: [port.mac, addrOf(4, 4)], target: ['00:00:00:00:00:00', addrOf(4, 1)] }),
      ),
    ),
}

for (const [name, takeOver] of Object.entries(takeovers))
  test(`a pod gets nothing that is for another: ${name}`, async () => {
    using node = await AttackNode.create()
    const { attacker, friend, victim } = node
    // or the node would not believe an answer that comes right after another one
    node.host.sh('sysctl -qw net.ipv4.neigh.cw-br0.locktime=0')
    for (const family of families)
      for (const from of [victim, node.other]) {
        // the node knows where the friend is
        assert.ok(await node.arrives({ family, from, to: friend, protocol: protocols.udp }))
        takeOver(node)
        await sleep(10)
        attacker.port.take()
        const mark = `for the friend, IPv${family}`
        node.send({ family, from, to: friend, protocol: protocols.udp }, mark)
        assert.equal(await attacker.port.gets(mark), false, `from ${from.number}, IPv${family}`)
        friend.port.send(
          ethernet(
            { to: bridgeMac, from: friend.port.mac },
            etherTypes.arp,
            arp({ sender: [friend.port.mac, addrOf(4, 3)], target: ['00:00:00:00:00:00', addrOf(4, 1)] }),
          ),
        )
        node.host.sh('ip neigh flush dev cw-br0')
      }
  })

test('a pod that was called is not let in by that', async () => {
  using node = await AttackNode.create()
  const { attacker, victim } = node
  for (const family of families) {
    const there = { family, from: victim, to: attacker, protocol: protocols.udp, sourcePort: 5353, port: 9999 }
    const back = { family, from: attacker, to: victim, protocol: protocols.udp, sourcePort: 9999, port: 5353 }
    assert.equal(await node.arrives(there), true)
    assert.equal(await node.arrives(back), true)
    assert.equal(await node.arrives({ ...back, port: 5354 }), false)
    assert.equal(await node.arrives({ ...back, sourcePort: 9998 }), false)
    assert.equal(await node.arrives({ ...back, protocol: protocols.tcp }), false)
  }
})

const { syn, ack, fin } = tcpFlags

test('a TCP connection of the victim is not opened anew by the other end', async () => {
  using node = await AttackNode.create()
  const { attacker, victim } = node
  // their own stacks would answer with resets
  for (const { netns } of [attacker, victim])
    netns.sh(`nft -f - <<'RULES'
      table inet silent { chain input { type filter hook input priority 0; meta l4proto tcp drop
      }
      }
RULES`)
  for (const family of families) {
    const sends = (segment: Omit<Segment, 'family'>) => arrives({ family, ...segment })
    const there = { from: victim, to: attacker, ports: [5432, 4000] } as const
    const back = { from: attacker, to: victim, ports: [4000, 5432] } as const
    assert.ok(await sends({ ...there, seq: 100, flags: syn }))
    assert.ok(await sends({ ...back, seq: 500, ack: 101, flags: syn | ack }))
    assert.ok(await sends({ ...there, seq: 101, ack: 501, flags: ack }))
    for (const seq of [501, 9_000_000]) assert.equal(await sends({ ...back, seq, flags: syn }), false, 'it is open')
    assert.ok(await sends({ ...there, seq: 101, ack: 501, flags: fin | ack }))
    assert.ok(await sends({ ...back, seq: 501, ack: 102, flags: fin | ack }))
    assert.ok(await sends({ ...there, seq: 102, ack: 502, flags: ack }))
    for (const seq of [502, 9_000_000]) assert.equal(await sends({ ...back, seq, flags: syn }), false, 'it has ended')
  }
})

type Segment = {
  readonly family: Family
  readonly from: TestPod
  readonly to: TestPod
  readonly ports: readonly [from: number, to: number]
  readonly seq: number
  readonly ack?: number
  readonly flags: number
}

/** Whether a segment without data arrives: it is known by its ports and numbers. */
async function arrives({ family, from, to, ports, seq, ack: acknowledged = 0, flags }: Segment): Promise<boolean> {
  const [src, dst] = [addrOf(family, from.number), addrOf(family, to.number)]
  const head = join(be16(ports[0]), be16(ports[1]), be32(seq), be32(acknowledged))
  const segment = withChecksum({ src, dst }, protocols.tcp, join(head, [0x50, flags], be16(60_000), be32(0)), 16)
  const packet = (family === 4 ? ipv4 : ipv6)({ src, dst, protocol: protocols.tcp }, segment)
  const type = family === 4 ? etherTypes.ipv4 : etherTypes.ipv6
  to.port.take()
  from.port.send(ethernet({ to: to.port.mac, from: from.port.mac }, type, packet))
  return (await to.port.collect(40)).some((frame) => Buffer.from(frame).includes(head))
}

test('a packet that names its own way does not get to a pod over the node', async () => {
  using node = await AttackNode.create()
  const { attacker, victim } = node
  node.host.sh('for each in /proc/sys/net/ipv4/conf/*/accept_source_route; do echo 1 >$each; done')
  const looseSourceRoute = [131, 7, 4]
  const sends = (mark: string): void => {
    const ends = { src: addrOf(4, 4), dst: addrOf(4, 2) }
    const message = tcp({ from: 40_000, to: 80 }, new TextEncoder().encode(mark), syn)
    const segment = withChecksum(ends, protocols.tcp, message, 16)
    const options = Uint8Array.from([1, ...looseSourceRoute, ...ends.dst.split('.').map(Number)])
    const packet = ipv4({ src: ends.src, dst: addrOf(4, 1), protocol: protocols.tcp, options }, segment)
    attacker.port.send(ethernet({ to: bridgeMac, from: attacker.port.mac }, etherTypes.ipv4, packet))
  }
  sends('as the administrator has it')
  assert.equal(await victim.port.gets('as the administrator has it'), true, 'the frame is what it should be')
  node.host.sh('sysctl -qw net.ipv4.conf.cw-br0.accept_source_route=0')
  sends('as the agent has it')
  assert.equal(await victim.port.gets('as the agent has it'), false)
})
