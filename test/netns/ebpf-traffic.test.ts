// Real packets between pods of two nodes, with the programs attached: what is carried arrives, as routed, by each way and in both families.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { overheads, type Pod, TwoNodes, type Way } from './ebpf/two-nodes.ts'

const ways = Object.keys(overheads) as Way[]
const protocols = ['tcp', 'udp'] as const

/** Counts what comes to a pod, and what of it has the hops that are due. */
function countHops(pod: Pod, hops: number): void {
  pod.netns.sh(`nft -f - <<'RULES'
    table inet hops { chain input { type filter hook input priority 0; meta l4proto != { tcp, udp } accept
      counter comment "all"; ip ttl ${hops} counter comment "due"; ip6 hoplimit ${hops} counter comment "due"
      }
    }
RULES`)
}

function hopsOf(pod: Pod): { readonly all: number; readonly due: number } {
  const rules = [
    ...pod.netns.sh('nft list table inet hops').matchAll(/counter packets (\d+) bytes \d+ comment "(\w+)"/g),
  ]
  const sum = (name: string) =>
    rules.filter(([, , comment]) => comment === name).reduce((total, [, packets]) => total + Number(packets), 0)
  return { all: sum('all'), due: sum('due') }
}

for (const way of ways) {
  test(`TCP and UDP are carried between pods of a node and of two, way ${way}`, async () => {
    using both = await TwoNodes.make(way)
    const { client, neighbour, remote } = both
    countHops(neighbour, 63)
    countHops(remote, 62)
    for (const [to, sent, got] of [
      [neighbour, 'from_pod_local', 'to_pod_local'],
      [
        remote,
        way === 'native' ? 'from_pod_native' : 'from_pod_tunnel',
        way === 'native' ? 'to_pod_native' : 'to_pod_tunnel',
      ],
    ] as const) {
      for (const family of [4, 6] as const) {
        for (const protocol of protocols) {
          const about = `${protocol} IPv${family} to ${to.addrs[family]}`
          await client.connect(about, protocol, family, to)
          // the first packets are the stack's
          await client.exchange(about, { rounds: 3 })
          for (const pod of [client, to]) pod.node.maps.clearTraffic(pod.slot)
          await client.exchange(about, { rounds: 20 })
          await client.exchange(about, { bytes: protocol === 'udp' ? 1300 : 500_000 })
          const [ours, theirs] = [both.traffic(client), both.traffic(to)]
          assert.ok(ours[sent]! >= 21 && ours[got]! >= 21, `${about}: ${JSON.stringify(ours)}`)
          assert.ok(theirs[sent]! >= 21 && theirs[got]! >= 21, `${about}: ${JSON.stringify(theirs)}`)
          // what is left are the node's own questions for neighbours
          for (const each of [ours, theirs]) {
            assert.equal(each['from_pod_stack'], undefined, about)
            assert.ok((each['to_pod_stack'] ?? 0) < 4, `${about}: ${JSON.stringify(each)}`)
          }
          await client.close(about)
        }
      }
    }
    for (const pod of [neighbour, remote]) {
      const { all, due } = hopsOf(pod)
      assert.ok(all > 100)
      assert.equal(due, all)
    }
    // until the last acknowledgements have come
    await setTimeout(200)
    for (const pod of [client, neighbour, remote]) {
      assert.equal(pod.wrongChecksums, 0)
      // one burst may be: a receiver that gets no processor for a while drops what its socket cannot hold
      assert.ok(pod.lost < 100, `${pod.lost} segments of TCP were sent again`)
    }
    for (const node of both.nodes) {
      assert.equal(node.invalid, 0)
      // the node's own advice to pods that it routes between
      const others = [...node.maps.drops().keys()].filter((reason) => reason !== 'redirect')
      assert.deepEqual(others, [])
    }
  })
}
