// Packets of unusual sizes and marks between pods with the programs attached: fragments, path MTU, offloads, limits, marks of congestion.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { podFlags } from '#/wire/bpf/maps.ts'
import { overheads, type Pod, TwoNodes, type Way } from './ebpf/two-nodes.ts'

const families = [4, 6] as const
const ways = Object.keys(overheads) as Way[]

const carriedOf = (both: TwoNodes, pod: Pod): number => {
  const { from_pod_local: local = 0, from_pod_native: native = 0, from_pod_tunnel: tunnel = 0 } = both.traffic(pod)
  return local + native + tunnel
}

for (const way of ways) {
  test(`echoes, fragments and packets that are too large go by the stack and arrive, way ${way}`, async () => {
    using both = await TwoNodes.make(way)
    const { client, neighbour, remote } = both
    const { podMtuBytes } = both.nodes[0]
    for (const to of [neighbour, remote]) {
      for (const family of families) {
        const addr = to.addrs[family]
        const largest = podMtuBytes - (family === 4 ? 28 : 48)
        for (const bytes of [56, largest, 4000])
          await client.netns.shAsync(`ping -q -c 2 -i 0.01 -W 3 -s ${bytes} ${addr}`)
        // with the flag DF, the largest that fits
        await client.netns.shAsync(`ping -q -c 2 -i 0.01 -W 3 -M do -s ${largest} ${addr}`)
        const id = `fragments ${addr}`
        await client.connect(id, 'udp', family, to)
        await client.exchange(id, { rounds: 5 })
        await client.exchange(id, { rounds: 5, bytes: 4000 })
        await client.exchange(id, { rounds: 5, bytes: largest })
      }
    }
    assert.ok(carriedOf(both, client) > 20)
  })

  test(`a path that has become narrower is found, way ${way}`, async () => {
    using both = await TwoNodes.make(way)
    const { client, remote, nodes } = both
    const narrow = 1400
    for (const node of nodes) {
      node.sh(`ip link set eth0 mtu ${narrow}`)
      node.tellNode(3 - node.number, { mtu: narrow - overheads[way] })
      if (way !== 'native') node.sh(`ip link set cw-vxlan mtu ${narrow - overheads[way]}`)
    }
    for (const family of families) {
      const id = `tcp${family}`
      await client.connect(id, 'tcp', family, remote)
      await client.exchange(id, { rounds: 3 })
      await client.exchange(id, { bytes: 300_000 })
      // the pods know by now, and what they send is carried
      client.node.maps.clearTraffic(client.slot)
      await client.exchange(id, { bytes: 300_000 })
      const { from_pod_stack: stack = 0 } = both.traffic(client)
      assert.ok(carriedOf(both, client) > 2 * stack, JSON.stringify(both.traffic(client)))
      await client.close(id)
    }
    assert.deepEqual(
      nodes.map((node) => node.invalid),
      [0, 0],
    )
  })

  test(`without offloads at either end or at both, all arrives with right checksums, way ${way}`, async () => {
    using both = await TwoNodes.make(way)
    const { client, neighbour, remote, nodes } = both
    const off = (pod: Pod): void =>
      void pod.netns.sh('ethtool -K eth0 tx off tso off gso off gro off sg off >/dev/null 2>&1')
    const steps: (() => void)[] = [
      () => off(client),
      () => off(remote),
      () => off(neighbour),
      () => nodes.forEach((node) => node.sh('ethtool -K eth0 tx off tso off gso off gro on >/dev/null 2>&1')),
    ]
    for (const [index, step] of steps.entries()) {
      step()
      for (const to of [neighbour, remote]) {
        for (const family of families) {
          for (const protocol of ['tcp', 'udp'] as const) {
            const id = `${index} ${protocol} ${to.addrs[family]}`
            await client.connect(id, protocol, family, to)
            await client.exchange(id, { rounds: 3 })
            await client.exchange(id, { rounds: 3, bytes: protocol === 'tcp' ? 200_000 : 1300 })
            await client.close(id)
          }
        }
      }
    }
    assert.ok(carriedOf(both, client) > 400)
    for (const pod of [client, neighbour, remote]) assert.equal(pod.wrongChecksums, 0)
  })

  test(`a mark of congestion comes to the pod, way ${way}`, async () => {
    using both = await TwoNodes.make(way)
    const { client, remote } = both
    client.netns.sh(`nft -f - <<'RULES'
      table inet ecn_capable { chain output { type filter hook output priority 0
        meta nfproto ipv4 ip ecn set ect0
        meta nfproto ipv6 ip6 ecn set ect0
      }
      }
RULES`)
    both.wire.sh(`nft -f - <<'RULES'
      table netdev congested { chain wire { type filter hook ingress device port1 priority 0
        ip ecn ect0 ip ecn set ce
        ip6 ecn ect0 ip6 ecn set ce
      }
      }
RULES`)
    remote.netns.sh(`nft -f - <<'RULES'
      table inet arrived { chain input { type filter hook input priority 0
        udp dport 5000 counter comment "all"
        udp dport 5000 ip ecn ce counter comment "marked"
        udp dport 5000 ip6 ecn ce counter comment "marked"
      }
      }
RULES`)
    for (const family of families) {
      await client.connect(`udp${family}`, 'udp', family, remote)
      await client.exchange(`udp${family}`, { rounds: 20 })
    }
    const rules = [
      ...remote.netns.sh('nft list table inet arrived').matchAll(/counter packets (\d+) bytes \d+ comment "(\w+)"/g),
    ]
    const marked = rules
      .filter(([, , name]) => name === 'marked')
      .reduce((sum, [, packets]) => sum + Number(packets), 0)
    assert.equal(marked, 40)
    assert.ok(carriedOf(both, client) >= 30)
  })
}

test('what a pod with a limit receives keeps to it, carried or not', async () => {
  using both = await TwoNodes.make('native')
  const { client, neighbour, remote, nodes } = both
  for (const [node, pod] of [
    [nodes[0], neighbour],
    [nodes[1], remote],
  ] as const) {
    node.sh(`tc qdisc add dev ${pod.device} root tbf rate 40mbit burst 64kb latency 50ms`)
    node.tellPod(pod, podFlags.limited)
    const id = `limited ${pod.device}`
    await client.connect(id, 'tcp', 4, pod)
    await client.exchange(id, { rounds: 3 })
    for (const each of [client, pod]) each.node.maps.clearTraffic(each.slot)
    const began = performance.now()
    await client.exchange(id, { bytes: 1_000_000 })
    const mbit = 8 / ((performance.now() - began) / 1000)
    assert.ok(mbit < 44, `${mbit} Mbit/s`)
    assert.ok(carriedOf(both, client) > 10)
    // what is carried through the queue is not counted as the stack's too
    const { to_pod_stack: byStack = 0 } = both.traffic(pod)
    assert.ok(byStack < 10, `${byStack} packets`)
    assert.match(node.sh(`tc -s qdisc show dev ${pod.device}`), /Sent \d{7,} bytes/)
  }
})
