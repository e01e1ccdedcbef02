// Another node that goes, or gets another way, and this node with another datapath, under connections to its pods: none loses a packet.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { NodeMapDriver } from '#/datapath/ebpf/node-map-driver.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { emptyNetwork } from '#/model/network.ts'
import { nodeStruct, ways } from '#/wire/bpf/maps.ts'
import { EbpfNode, Flow } from './ebpf-node.ts'
import { dropInvalid, invalidPackets } from './invalid-packets.ts'
import { TestNetns } from './namespace.ts'

const flowMs = 300
const podCIDRs = ['10.244.2.0/24', 'fd10:244:0:2::/64']
const podAddrs = ['10.244.2.10', 'fd10:244:0:2::10']

/** Node 2 as a namespace, of which the pod is an address; packets there have a way that does not hang on Causeway. */
function otherNode(node: EbpfNode): TestNetns {
  const other = new TestNetns()
  node.host.sh(`ip link set u1 netns ${other.name}
    ip route add 10.244.2.0/25 via 172.30.1.2 proto static
    ip -6 route add fd10:244:0:2::/65 via fd30::2 proto static`)
  dropInvalid(node.host)
  other.sh(`ip link set lo up; ip link set u1 up
    ip addr add 172.30.1.2/24 dev u1; ip addr add fd30::2/64 dev u1 nodad
    ip addr add ${podAddrs[0]}/32 dev lo; ip addr add ${podAddrs[1]}/128 dev lo nodad
    ip route add 10.244.1.0/24 via 172.30.1.1; ip -6 route add fd10:244:0:1::/64 via fd30::1`)
  return other
}

type Going = { readonly name: string; readonly isWhole: boolean; readonly go: (node: EbpfNode) => void }

const goings: readonly Going[] = [true, false].flatMap((isWhole) => [
  { name: 'is removed', isWhole, go: (node) => node.removeNode(2) },
  // an address that is on no link of this node
  { name: 'has no way any more', isWhole, go: (node) => node.addNode(2, podCIDRs, ['192.0.2.2', '2001:db8::2']) },
])

for (const { name, isWhole, go } of goings) {
  test(`connections to pods of a node that ${name} go on, ${isWhole ? 'by a whole pass' : 'by a change'}`, async () => {
    await using node = new EbpfNode()
    using other = otherNode(node)
    node.routing = 'native'
    node.addNode(2, podCIDRs, ['172.30.1.2', 'fd30::2'])
    await node.settle()
    const pod = node.add('one')
    await node.settle()
    const started = podAddrs.flatMap((addr, index) => [
      // one that sends all the time, and one whose next packet comes when all is over
      Flow.start(pod, other, addr, 7000 + index),
      Flow.start(pod, other, addr, 7100 + index, { periodMs: 60_000 }),
    ])
    const flows = await Promise.all(started)
    await using ended = new AsyncDisposableStack()
    for (const flow of flows) ended.use(flow)
    await sleep(flowMs)
    const carried = node.packets('one', 'from_pod_native')
    assert.ok(carried > 100, `${carried} packets`)
    go(node)
    await node.pass(isWhole)
    const left = node.entries('cw_nodes4').includes('180000000af40200')
    assert.equal(left, name !== 'is removed')
    const after = node.packets('one', 'from_pod_native')
    await sleep(flowMs)
    assert.equal(node.packets('one', 'from_pod_native'), after)
    for (const flow of flows) {
      const { slowestMs } = await flow.end()
      assert.ok(slowestMs < 190, `${slowestMs} ms: longer than a packet is sent again after`)
    }
    assert.equal(invalidPackets(node.host), 0)
  })
}

test('the datapath changes under connections to pods of another node, there and back', async () => {
  await using node = new EbpfNode()
  using other = otherNode(node)
  node.routing = 'native'
  node.wanted = 'bridge'
  node.addNode(2, podCIDRs, ['172.30.1.2', 'fd30::2'])
  await node.settle()
  const pod = node.add('one')
  await node.settle()
  await using ended = new AsyncDisposableStack()
  const flows = await Promise.all(podAddrs.map(async (addr) => Flow.start(pod, other, addr, 7000)))
  for (const flow of flows) ended.use(flow)
  node.wanted = 'ebpf'
  // programs are attached, and give the pod's packets to the bridge still
  await node.pass()
  await sleep(flowMs)
  assert.equal(invalidPackets(node.host), 0)
  await node.settle()
  const carried = node.packets('one', 'from_pod_native')
  await sleep(flowMs)
  assert.ok(node.packets('one', 'from_pod_native') > carried + 50)
  node.wanted = 'bridge'
  await node.settle()
  await sleep(flowMs)
  for (const flow of flows) {
    const { slowestMs } = await flow.end()
    assert.ok(slowestMs < 190, `${slowestMs} ms: longer than a packet is sent again after`)
  }
  assert.equal(invalidPackets(node.host), 0)
})

test("where no program takes what comes from a node, what goes there is the stack's", async () => {
  await using node = new EbpfNode()
  await node.settle()
  using netlink = node.host.netns.run(() => new Netlink())
  const { ebpf } = node.agent
  const driver = new NodeMapDriver(netlink, ebpf)
  const native = (cidr: string, device: string) =>
    ({ prefix: Prefix.parse(cidr), owner: 'node-9', way: 'native', devices: [device] }) as const
  const bpf = {
    podDevice: 'cw-br0',
    tunnel: { device: 'cw-vxlan', vni: 1, port: 8472 },
    deviceMtuBytes: 1500,
    pods: [],
    // as WireGuard's, lo has no Ethernet headers
    nodes: [native('10.244.7.0/24', 'u1'), native('10.244.8.0/24', 'u'), native('10.244.9.0/24', 'lo')],
    ends: [],
    attachments: ['u', 'lo'].map((device) => ({ device, hook: 'ingress', program: 'cw_from_underlay' }) as const),
  }
  const wayTo = (cidr: string): number => {
    const { addr, length } = Prefix.parse(cidr)
    const key = Uint8Array.of(length, 0, 0, 0, ...addr.toBytes())
    return nodeStruct.decode(ebpf.current!.map('cw_nodes4').get(key)!).way
  }
  const { changes } = await driver.compare({ ...emptyNetwork, bpf })
  for (const { work } of changes) if ('call' in work) await work.call()
  assert.deepEqual(
    ['10.244.7.0/24', '10.244.8.0/24', '10.244.9.0/24'].map(wayTo),
    [ways.none, ways.native, ways.none],
    'no program is attached to u1',
  )
  const delta = (device: string) => {
    const changed = native('10.244.8.0/24', device)
    const nothing = { routes: new Map(), neighbours: new Map(), tunnelEnds: new Map() }
    return { ...nothing, bpf: { nodes: new Map([[String(changed.prefix), changed]]), ends: new Map() } }
  }
  assert.equal(driver.fromDelta(delta('new0')), undefined, 'a device that nobody has looked at needs a look')
  for (const { work } of driver.fromDelta(delta('lo'))!.changes) if ('call' in work) await work.call()
  assert.equal(wayTo('10.244.8.0/24'), ways.none)
})
