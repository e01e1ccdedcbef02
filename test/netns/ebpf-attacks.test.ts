// Forged and broken packets on the real way: into the tunnel from the wire, and raw frames from a pod.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { PacketSocket } from '#/sys/packet-socket.ts'
import {
  arp,
  be16,
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
  udp,
  vxlan,
  zeros,
} from './ebpf/frames.ts'
import { echoPort, type Pod, TwoNodes } from './ebpf/two-nodes.ts'
import { vni, vxlanPort } from './ebpf/world.ts'

/** Where the forged packets go: nobody listens there, and a counter in the pod sees them. */
const port = 7777

let both: TwoNodes
before(async () => {
  both = await TwoNodes.make('tunnel4')
  const { wire, client, nodes } = both
  // node 3 is of the cluster, .9 is not
  wire.sh(`ip addr add 172.30.1.3/24 dev br0; ip addr add 172.30.1.9/24 dev br0
    ip addr add fd30::3/64 dev br0 nodad; ip addr add fd30::9/64 dev br0 nodad`)
  nodes[0].tellNode(3)
  client.netns.sh(`nft -f - <<'RULES'
    table inet arrived { chain input { type filter hook input priority 0
      udp dport ${port} counter drop
    }
    }
RULES`)
})
after(() => both[Symbol.dispose]())

const arrived = (pod: Pod): number => Number(/packets (\d+)/.exec(pod.netns.sh('nft list table inet arrived'))![1])
const dropsOf = (): Record<string, number> => Object.fromEntries(both.nodes[0].maps.drops())

type Forged = { readonly outer: string; readonly inner: string }

async function intoTunnel({ outer, inner }: Forged): Promise<void> {
  const { client, outsider } = both
  const family = inner.includes(':') ? 6 : 4
  const packet = (family === 6 ? ipv6 : ipv4)(
    { src: inner, dst: client.addrs[family] },
    udp({ from: 1, to: port }, zeros(8)),
  )
  const type = family === 6 ? etherTypes.ipv6 : etherTypes.ipv4
  // over IPv4 the UDP checksum within may be left out; over IPv6 the pod's stack counts the packet before it looks
  const frame = ethernet({ to: '02:43:57:ff:00:01', from: '02:43:57:ff:00:03' }, type, packet)
  const to = outer.includes(':') ? 'fd30::1' : '172.30.1.1'
  await outsider.call({ kind: 'throw', from: outer, to, port: vxlanPort, bytes: vxlan(vni, frame) })
}

test('through the tunnel comes only what the node at its other end owns', async () => {
  const { nodes, client } = both
  nodes[0].maps.clearDrops()
  const forged: Forged[] = ['172.30.1.3', '172.30.1.9', 'fd30::3', 'fd30::9'].flatMap((outer) =>
    // of node 2's pods, and of node 1's own
    [both.remote, both.neighbour].flatMap(({ addrs }) => Object.values(addrs).map((inner) => ({ outer, inner }))),
  )
  const byOthers: Forged[] = ['172.30.1.9', 'fd30::9'].flatMap((outer) =>
    ['10.244.3.20', 'fd10:244:0:3::20'].map((inner) => ({ outer, inner })),
  )
  for (const each of [...forged, ...byOthers]) await intoTunnel(each)
  await setTimeout(200)
  assert.deepEqual(dropsOf(), { tunnel_owner: forged.length + byOthers.length })
  assert.equal(arrived(client), 0)
  for (const outer of ['172.30.1.3', 'fd30::3'])
    for (const inner of ['10.244.3.20', 'fd10:244:0:3::20']) await intoTunnel({ outer, inner })
  await setTimeout(200)
  assert.equal(arrived(client), 4)
})

test('a forged packet of a running connection is not carried to the pod', async () => {
  const { client, remote, nodes } = both
  await client.connect('udp', 'udp', 4, remote, { fromPort: port })
  client.netns.sh('nft flush table inet arrived')
  await client.exchange('udp', { rounds: 5 })
  const earlier = nodes[0].maps.traffic(client.slot)
  nodes[0].maps.clearDrops()
  const packet = ipv4({ src: remote.addrs[4], dst: client.addrs[4] }, udp({ from: echoPort, to: port }, zeros(8)))
  const frame = ethernet({ to: '02:43:57:ff:00:01', from: '02:43:57:ff:00:02' }, etherTypes.ipv4, packet)
  for (const from of ['172.30.1.3', '172.30.1.9'])
    await both.outsider.call({ kind: 'throw', from, to: '172.30.1.1', port: vxlanPort, bytes: vxlan(vni, frame) })
  await setTimeout(200)
  assert.deepEqual(dropsOf(), { tunnel_owner: 2 })
  assert.equal(nodes[0].maps.traffic(client.slot)['to_pod_tunnel'], earlier['to_pod_tunnel'])
  await client.exchange('udp', { rounds: 5 })
})

test('raw frames of a pod that are cut off anywhere do no harm', async () => {
  const { client, neighbour: other, nodes } = both
  for (const protocol of ['udp', 'tcp'] as const) {
    for (const family of [4, 6] as const) {
      await client.connect(`${protocol}${family}`, protocol, family, other, { fromPort: 42_000 + family })
      await client.exchange(`${protocol}${family}`, { rounds: 5 })
    }
  }
  const to = { to: '02:43:57:00:00:01', from: client.mac }
  const frames = ([4, 6] as const).flatMap((family) => {
    const ip = { src: client.addrs[family], dst: other.addrs[family] }
    const ports = { from: 42_000 + family, to: echoPort }
    const [type, make] = family === 4 ? ([etherTypes.ipv4, ipv4] as const) : ([etherTypes.ipv6, ipv6] as const)
    return [
      ethernet(to, type, make(ip, udp(ports, zeros(8)))),
      ethernet(to, type, make({ ...ip, protocol: protocols.tcp }, tcp(ports, zeros(8)))),
    ]
  })
  const solicitation = {
    src: client.addrs[6],
    dst: other.addrs[6],
    type: neighbourTypes.solicitation,
    target: other.addrs[6],
    options: [option.sourceMac(client.mac)],
  }
  const asked = ethernet(
    to,
    etherTypes.ipv6,
    ipv6(
      { src: solicitation.src, dst: solicitation.dst, hops: 255, protocol: protocols.icmpv6 },
      neighbour(solicitation),
    ),
  )
  const who = ethernet(
    to,
    etherTypes.arp,
    arp({ sender: [client.mac, client.addrs[4]], target: ['00:00:00:00:00:00', other.addrs[4]] }),
  )
  // until the last acknowledgements are sent
  await setTimeout(200)
  client.node.maps.clearTraffic(client.slot)
  nodes[0].maps.clearDrops()
  const eth0 = client.netns.ip<{ ifindex: number }>('link show eth0')[0]!.ifindex
  using socket = client.netns.netns.run(() => new PacketSocket())
  const lengths = (frame: Uint8Array): number[] => Array.from({ length: frame.length - 15 }, (_, at) => 15 + at)
  for (const frame of [...frames, asked, who])
    for (const bytes of lengths(frame)) socket.send(eth0, frame.subarray(0, bytes))
  // a tag of a VLAN is beside the frame by the time the program sees it
  socket.send(eth0, ethernet(to, etherTypes.vlan, join(be16(5), be16(etherTypes.ipv4), frames[0]!.subarray(14))))
  await setTimeout(200)
  const short = { ipv4: 34 - 15, ipv6: 54 - 15, arp: 42 - 15, discovery: 78 - 15 }
  assert.deepEqual(dropsOf(), {
    malformed: 2 * short.ipv4 + 2 * short.ipv6 + short.arp + short.discovery,
    // its option is cut off
    neighbour_target: asked.length - 79,
    protocol: 1,
  })
  const { from_pod_local: carried } = both.traffic(client)
  assert.equal(carried, undefined)
  for (const id of ['udp4', 'udp6', 'tcp4', 'tcp6']) await client.exchange(id, { rounds: 5 })
})

test('what a pod sends under a foreign name comes to nobody', async () => {
  const { client, neighbour: other, remote, nodes } = both
  nodes[0].maps.clearDrops()
  const eth0 = client.netns.ip<{ ifindex: number }>('link show eth0')[0]!.ifindex
  using socket = client.netns.netns.run(() => new PacketSocket())
  for (const pod of [other, remote]) {
    pod.netns.sh(`nft -f - <<'RULES'
      table inet forged { chain input { type filter hook input priority -200
        udp dport ${port} counter
      }
      }
RULES`)
  }
  const segment = udp({ from: 1, to: port }, zeros(8))
  for (const [target, mac] of [
    [other, other.mac],
    [other, '02:43:57:00:00:01'],
    [remote, '02:43:57:00:00:01'],
    [other, 'ff:ff:ff:ff:ff:ff'],
  ] as const) {
    for (const source of ['10.244.1.1', '10.244.2.99', '172.30.1.1', other.addrs[4]])
      socket.send(
        eth0,
        ethernet({ to: mac, from: client.mac }, etherTypes.ipv4, ipv4({ src: source, dst: target.addrs[4] }, segment)),
      )
    for (const source of ['fd10:244:0:1::1', 'fd10:244:0:2::99', 'fd30::1', other.addrs[6]])
      socket.send(
        eth0,
        ethernet({ to: mac, from: client.mac }, etherTypes.ipv6, ipv6({ src: source, dst: target.addrs[6] }, segment)),
      )
    socket.send(
      eth0,
      ethernet(
        { to: mac, from: other.mac },
        etherTypes.ipv4,
        ipv4({ src: client.addrs[4], dst: target.addrs[4] }, segment),
      ),
    )
  }
  await setTimeout(200)
  assert.deepEqual(dropsOf(), { source_address: 32, source_mac: 4 })
  for (const pod of [other, remote]) assert.match(pod.netns.sh('nft list table inet forged'), /packets 0 /)
})
