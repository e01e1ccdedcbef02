// What comes from other nodes, on the real kernel: the tunnel's counters and echo requests tell of a node from which nothing comes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answering } from '#/agent/peers/echo.ts'
import { PeerWatch } from '#/agent/peers/peer-watch.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Verdict } from '#/model/verdict.ts'
import { nodeTable } from '#/plan/filter.ts'
import { TestNetns } from './namespace.ts'

const ends = { 4: '172.30.1.2', 6: 'fd30::2' } as const
const gateways = { 4: '10.244.2.1', 6: 'fd10:244:0:2::1' } as const
const podCIDRs = { 4: '10.244.2.0/24', 6: 'fd10:244:0:2::/64' } as const

function verdict(family: Family): Verdict {
  const tunnel = {
    outer: family,
    src: Addr.parse(ends[family]),
    dst: Addr.parse(ends[family]),
    gateway: Addr.parse('::'),
  }
  return { way: 'vxlan', node: 'node-2', dst: Prefix.parse(podCIDRs[family]), tunnel, mtuBytes: 1400, reason: '' }
}

for (const family of [4, 6] as const)
  test(`a node to which packets go, from which none come, and which answers no echo request is told of: IPv${family}`, async () => {
    using host = new TestNetns()
    using peer = new TestNetns()
    host.sh(`ip link set lo up; ip link add u type veth peer name u netns ${peer.name}
      ip addr add 172.30.1.1/24 dev u; ip addr add fd30::1/64 dev u nodad; ip link set u up`)
    peer.sh(`ip link set lo up; ip addr add 172.30.1.2/24 dev u; ip addr add fd30::2/64 dev u nodad; ip link set u up
      ip addr add ${gateways[4]}/24 dev lo; ip addr add ${gateways[6]}/64 dev lo nodad`)
    host.sh(`ip route add ${podCIDRs[4]} via ${ends[4]}; ip -6 route add ${podCIDRs[6]} via ${ends[6]}`)
    using nftables = host.netns.run(() => new NftClient())
    const addrs = [Addr.parse(ends[4]), Addr.parse(ends[6])]
    const tunnel = { port: 8472, ends: addrs }
    nftables.replaceTable(nodeTable({ podCIDRs: [], clusterCIDRs: [], podDevices: [], tunnel }))
    let changes = 0
    const clock = new ManualClock()
    const make = (): PeerWatch =>
      new PeerWatch({
        nodeName: 'node-1',
        verdicts: () => [verdict(4), verdict(6)],
        isLive: () => true,
        isLifeKnown: () => true,
        onChange: () => changes++,
        log: silent,
        clock,
        ask: (asked) => host.netns.run(() => answering(asked, 100)),
      })
    await using watch = host.netns.run(make)
    const send = (from: TestNetns, to: string, packets: number): string =>
      from.sh(`bash -c 'for i in $(seq ${packets}); do echo x > /dev/udp/${to}/8472; done' 2>/dev/null || true`)
    const round = async (): Promise<void> => {
      await clock.advance(15_000)
      await watch.round()
    }
    await round()
    send(host, ends[family], 30)
    await round()
    assert.deepEqual(watch.problems, [], 'the gateway answers')
    peer.sh('nft "add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }"')
    if (family === 6) peer.sh('nft add rule inet t in icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept')
    for (let turn = 0; turn < 4; turn++) {
      send(host, ends[family], 30)
      await round()
    }
    assert.match(
      watch.problems.map(({ code, object, message }) => `${code} ${object}: ${message}`).join('\n'),
      new RegExp(
        `^CW1306 node/node-2: 1[25]0 packets of the tunnel over IPv${family} went to node-2 in \\d+ s, none came`,
      ),
    )
    assert.equal(changes, 1)
    send(peer, family === 4 ? '172.30.1.1' : 'fd30::1', 1)
    await round()
    assert.deepEqual([watch.problems, changes], [[], 2])
  })
