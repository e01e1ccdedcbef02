// The programs and the kernel's connection tracking: entries live as long as their connections, and a connection goes back to the stack
// and comes again without a lost packet, although the firewall drops what connection tracking finds invalid.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { configFlags, podFlags } from '#/wire/bpf/maps.ts'
import { TalkerIn } from './ebpf/talking-pod.ts'
import { echoPort, type Pod, type TestNode, TwoNodes } from './ebpf/two-nodes.ts'

let both: TwoNodes
before(async () => void (both = await TwoNodes.make('native')))
after(() => both[Symbol.dispose]())

/** Seconds that an entry has left. */
function leftOf(node: TestNode, ...words: string[]): number {
  const lines = node.tracked(...words)
  assert.equal(lines.length, 1, `${words.join(' ')}: ${lines.join('\n')}`)
  return Number(lines[0]!.split(/\s+/)[4])
}

const carriedOf = (pod: Pod): number => {
  const { from_pod_local: local = 0, from_pod_native: native = 0 } = both.traffic(pod)
  return local + native
}

test('an entry of UDP lives on while its packets are carried, and not longer', async () => {
  const { client, remote, nodes } = both
  for (const node of nodes) {
    node.sh('sysctl -qw net.netfilter.nf_conntrack_udp_timeout_stream=2 net.netfilter.nf_conntrack_udp_timeout=2')
    node.configure({ udp_timeout_s: 2 })
  }
  for (const family of [4, 6] as const) {
    const id = `udp${family}`
    await client.connect(id, 'udp', family, remote)
    await client.exchange(id, { rounds: 3 })
  }
  for (const { pods } of nodes) for (const pod of pods) pod.node.maps.clearTraffic(pod.slot)
  await Promise.all([4, 6].map(async (family) => client.exchange(`udp${family}`, { rounds: 12, pauseMs: 300 })))
  assert.deepEqual([carriedOf(client), carriedOf(remote)], [24, 24])
  assert.equal(both.traffic(client)['from_pod_stack'], undefined)
  for (const node of nodes) assert.ok(leftOf(node, ' udp ', 'ipv4') <= 2)
  await setTimeout(2500)
  for (const node of nodes) assert.deepEqual(node.tracked(' udp ', 'dport=5000'), [])
  for (const node of nodes) node.configure({ udp_timeout_s: 120 })
  for (const node of nodes)
    node.sh('sysctl -qw net.netfilter.nf_conntrack_udp_timeout_stream=120 net.netfilter.nf_conntrack_udp_timeout=30')
})

test('an entry of TCP is kept alive, and ends soon after FIN and RST', async () => {
  const { client, neighbour, nodes } = both
  const [node] = nodes
  node.sh('sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=1000')
  try {
    for (const [how, most] of [
      ['fin', 120],
      ['rst', 10],
    ] as const) {
      for (const family of [4, 6] as const) {
        const id = `${how}${family}`
        await client.connect(id, 'tcp', family, neighbour)
        await client.exchange(id, { rounds: 3 })
        const words = [' tcp ', family === 4 ? 'ipv4' : 'ipv6', 'dport=5000']
        const open = (): string[] => node.tracked(...words).filter((line) => Number(line.split(/\s+/)[4]) > 120)
        assert.equal(open().length, 1)
        const left = Number(open()[0]!.split(/\s+/)[4])
        assert.ok(left > 431_000, `${left} s left`)
        await client.close(id, how)
        await setTimeout(50)
        assert.deepEqual(open(), [])
        const ended = node.tracked(...words).map((line) => Number(line.split(/\s+/)[4]))
        assert.ok(
          ended.some((seconds) => seconds <= most && seconds > most - 10),
          `${how}: ${ended.join(' ')}`,
        )
      }
    }
  } finally {
    node.sh('sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=432000')
  }
})

test('a port is taken again at once after a reset that was carried', async () => {
  const { client, nodes } = both
  const invalidBefore = nodes.map((node) => node.invalid)
  for (const to of [both.neighbour, both.remote]) {
    for (const family of [4, 6] as const) {
      for (let round = 0; round < 5; round++) {
        const id = `again ${to.addrs[family]} ${round}`
        await client.connect(id, 'tcp', family, to, { fromPort: 43_000 })
        await client.exchange(id, { rounds: 10, bytes: 3000 })
        await client.close(id, 'rst')
        await setTimeout(20)
      }
    }
  }
  assert.deepEqual(
    nodes.map((node) => node.invalid),
    invalidBefore,
  )
})

test('connections of pods that have the bridge datapath still are seen by connection tracking in both directions', async () => {
  const { client, neighbour, remote, nodes } = both
  const invalidBefore = nodes.map((node) => node.invalid)
  nodes[0].tellPod(client, podFlags.bridged)
  try {
    for (const to of [neighbour, remote]) {
      for (const family of [4, 6] as const) {
        const id = `bridged ${to.addrs[family]}`
        await client.connect(id, 'tcp', family, to)
        client.node.maps.clearTraffic(client.slot)
        await client.exchange(id, { rounds: 30, bytes: 3000, timeoutMs: 3000 })
        assert.equal(carriedOf(client), 0, id)
        await client.close(id)
      }
    }
  } finally {
    nodes[0].tellPod(client)
  }
  assert.deepEqual(
    nodes.map((node) => node.invalid),
    invalidBefore,
  )
})

test("what another node itself sends to a pod is the stack's in both directions, natively", async () => {
  const { client, nodes } = both
  const invalidBefore = nodes.map((node) => node.invalid)
  using processes = new TalkerIn(nodes[1].host.path)
  for (const [family, from] of [
    [4, '172.30.1.2'],
    [6, 'fd30::2'],
  ] as const) {
    const to = client.addrs[family]
    await processes.call({ kind: 'open', id: from, protocol: 'tcp', from, to, port: echoPort })
    await processes.exchange(from, { rounds: 30, bytes: 3000 })
    await processes.call({ kind: 'close', id: from, how: 'fin' })
  }
  assert.deepEqual(
    nodes.map((node) => node.invalid),
    invalidBefore,
  )
})

type Change = {
  readonly name: string
  readonly to: 'neighbour' | 'remote'
  readonly away: () => void
  readonly back: () => void
}

const changes: readonly Change[] = [
  ...(['neighbour', 'remote'] as const).map((to) => ({
    name: `programs of both nodes are drained, to the ${to}`,
    to,
    away: () => both.nodes.forEach((node) => node.configure({ flags: configFlags.draining })),
    back: () => both.nodes.forEach((node) => node.configure({ flags: 0 })),
  })),
  {
    name: 'programs of one node are drained',
    to: 'remote',
    away: () => both.nodes[0].configure({ flags: configFlags.draining }),
    back: () => both.nodes[0].configure({ flags: 0 }),
  },
  {
    name: 'the MTU of the way is lowered below what is sent',
    to: 'remote',
    away: () => both.nodes.forEach((node) => node.tellNode(3 - node.number, { mtu: 100 })),
    back: () => both.nodes.forEach((node) => node.tellNode(3 - node.number)),
  },
]

for (const { name, to, away, back } of changes) {
  test(`running connections go on without a lost packet: ${name}`, async () => {
    const { client, nodes } = both
    const other = both[to]
    const invalidBefore = nodes.map((node) => node.invalid)
    const lostBefore = [client, other].map((pod) => pod.lost)
    const ids = ([4, 6] as const).flatMap((family) =>
      (['tcp', 'udp'] as const).map((protocol) => ({ id: `${name} ${protocol}${family}`, family, protocol })),
    )
    for (const { id, family, protocol } of ids) {
      await client.connect(id, protocol, family, other)
      await client.exchange(id, { rounds: 30, bytes: 1000 })
    }
    const inPhase = async (): Promise<{ readonly carried: number; readonly stack: number }> => {
      client.node.maps.clearTraffic(client.slot)
      await Promise.all(ids.map(async ({ id }) => client.exchange(id, { rounds: 30, bytes: 1000, timeoutMs: 3000 })))
      return { carried: carriedOf(client), stack: both.traffic(client)['from_pod_stack'] ?? 0 }
    }
    const all = await inPhase()
    assert.ok(all.carried >= 120 && all.stack === 0, JSON.stringify(all))
    away()
    const none = await inPhase()
    assert.ok(none.carried <= 60 && none.stack >= 120, JSON.stringify(none))
    back()
    await inPhase()
    const again = await inPhase()
    assert.ok(again.carried >= 120 && again.stack === 0, JSON.stringify(again))
    assert.deepEqual(
      nodes.map((node) => node.invalid),
      invalidBefore,
    )
    // until the last acknowledgements have come
    await setTimeout(200)
    assert.deepEqual(
      [client, other].map((pod) => pod.lost),
      lostBefore,
    )
    for (const { id } of ids) await client.close(id)
  })
}
