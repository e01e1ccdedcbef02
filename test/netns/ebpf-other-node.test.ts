// Another node that goes, or gets another way, and this node with another datapath, under connections to its pods: none loses a packet.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { EbpfNode, Flow } from './ebpf-node.ts'
import { TestNetns } from './namespace.ts'

const flowMs = 300
const podCIDRs = ['10.244.2.0/24', 'fd10:244:0:2::/64']
const podAddrs = ['10.244.2.10', 'fd10:244:0:2::10']

/** Node 2 as a namespace, of which the pod is an address; packets there have a way that does not hang on Causeway. */
function otherNode(node: EbpfNode): TestNetns {
  const other = new TestNetns()
  node.host.sh(`ip link set u1 netns ${other.name}
    ip route add 10.244.2.0/25 via 172.30.1.2 proto static
    ip -6 route add fd10:244:0:2::/65 via fd30::2 proto static
    nft -f - <<'RULES'
table inet invalid {
  chain forward {
    type filter hook forward priority 1
    ct state invalid counter drop
  }
}
RULES`)
  other.sh(`ip link set lo up; ip link set u1 up
    ip addr add 172.30.1.2/24 dev u1; ip addr add fd30::2/64 dev u1 nodad
    ip addr add ${podAddrs[0]}/32 dev lo; ip addr add ${podAddrs[1]}/128 dev lo nodad
    ip route add 10.244.1.0/24 via 172.30.1.1; ip -6 route add fd10:244:0:1::/64 via fd30::1`)
  return other
}

function invalidPackets(node: EbpfNode): number {
  return Number(/packets (\d+)/.exec(node.host.sh('nft list table inet invalid'))![1])
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
      Flow.start(pod, other, addr, 7100 + index, 60_000),
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
    assert.equal(invalidPackets(node), 0)
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
  assert.equal(invalidPackets(node), 0)
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
  assert.equal(invalidPackets(node), 0)
})
