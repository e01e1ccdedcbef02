// Frames of pods to the groups of bridges themselves, which the kernel hands to a port's own IP stack past the rules of the bridge: they bring
// nothing into the node, and no VXLAN in another node's name.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { datapathNames } from '#/model/datapath.ts'
import { vxlanName } from '#/model/names.ts'
import { EbpfNode } from './ebpf-node.ts'
import { etherTypes, ethernet, ipv4, udp, vxlan, zeros } from './ebpf/frames.ts'
import { vni, vxlanPort } from './ebpf/world.ts'
import { FramePort } from './policy/frame-port.ts'

const own = '172.30.1.1'
const otherNode = '172.30.1.2'
const podOfOtherNode = '10.244.2.9'
const otherMac = '02:43:57:ff:00:02'
const port = 7777

const groups = Array.from({ length: 16 }, (_, last) => `01:80:c2:00:00:${last.toString(16).padStart(2, '0')}`)

for (const datapath of datapathNames)
  test(`frames to groups of bridges, pods with the datapath ${datapath}`, async () => {
    await using node = new EbpfNode()
    node.wanted = datapath
    await node.settle()
    using ports = new DisposableStack()
    const [victim, attacker] = ['victim', 'attacker'].map((id) => ports.use(new FramePort(node.add(id))))
    assert.ok(victim && attacker)
    await node.settle()
    const addrOf = (id: string): string =>
      String(node.agent.store.find({ containerId: id, ifName: 'eth0' })!.addrs[0]!.addr)
    const macOf = (device: string): string => node.host.ip<{ address: string }>(`link show ${device}`)[0]!.address
    const sends = (mac: string, packet: Uint8Array): void =>
      attacker.send(ethernet({ to: mac, from: attacker.mac }, etherTypes.ipv4, packet))
    node.host.sh(`nft -f - <<'RULES'
      table inet arrived { chain input { type filter hook input priority 10; udp dport ${port} counter
      }
      }
RULES`)

    const inner = ethernet(
      { to: macOf(vxlanName), from: otherMac },
      etherTypes.ipv4,
      ipv4(
        { src: podOfOtherNode, dst: addrOf('victim') },
        udp({ from: 1, to: port }, new TextEncoder().encode('injected')),
      ),
    )
    const bridgeMac = macOf('cw-br0')
    for (const mac of [bridgeMac, ...groups])
      sends(mac, ipv4({ src: otherNode, dst: own }, udp({ from: 5555, to: vxlanPort }, vxlan(vni, inner))))
    // without spanning tree the bridge forwards the first of the groups like any other
    for (const mac of groups.slice(1))
      sends(mac, ipv4({ src: addrOf('victim'), dst: own }, udp({ from: 1, to: port }, zeros(8))))
    assert.equal(await victim.gets('injected'), false)
    sends(bridgeMac, ipv4({ src: addrOf('attacker'), dst: own }, udp({ from: 1, to: port }, zeros(8))))
    await sleep(50)
    assert.match(node.host.sh('nft list table inet arrived'), /packets 1 /)
  })
