// With the routing "vxlan" nothing goes to a pod of another node outside of the tunnel, whatever becomes of the tunnel: seen on the wire.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DualNode, DualNodes, podAddrs } from './dual-nodes.ts'

async function scene(): Promise<DualNodes> {
  const cluster = new DualNodes()
  await cluster.start()
  for (const node of cluster.nodes) node.wirePod()
  return cluster
}

/** Packets of the node itself and of its pod to the pod of the other node, in both families; answers are not waited for. */
function send({ host, pod }: DualNode, number = 2): void {
  for (const addr of podAddrs(number))
    for (const from of [host, pod]) from.sh(`ping -n -c1 -W0.01 ${addr} >/dev/null 2>&1 || true`)
}

function answers({ host, pod }: DualNode): void {
  for (const addr of podAddrs(2)) for (const from of [host, pod]) from.sh(`ping -n -c1 -W2 ${addr}`)
}

const faults = [
  'ip link del cw-vxlan',
  'ip link set cw-vxlan down',
  'ip route flush dev cw-vxlan; ip -6 route flush dev cw-vxlan',
  'ip addr flush dev cw-vxlan',
]

test('while the tunnel, its addresses or its routes are missing, packets are dropped', async () => {
  using cluster = await scene()
  const [one] = cluster.nodes
  for (const fault of faults) {
    answers(one)
    one.host.sh(fault)
    send(one)
    assert.equal(cluster.inTheClear, 0, fault)
    await one.pass()
  }
  answers(one)
})

test('a node that has just come is covered too, and so is one that was reached natively until now', async () => {
  using cluster = new DualNodes()
  const [one] = cluster.nodes
  one.routing = 'auto'
  await cluster.start()
  for (const node of cluster.nodes) node.wirePod()
  send(one)
  assert.ok(cluster.inTheClear > 0)
  one.routing = 'vxlan'
  await one.keeper.pass()
  const before = cluster.inTheClear
  // without a pass that reads the kernel
  cluster.write(3, ['172.30.1.3', 'fd30::3'])
  await one.keeper.pass()
  one.host.sh('ip link del cw-vxlan')
  send(one, 2)
  send(one, 3)
  assert.equal(cluster.inTheClear, before)
  const covers = (): string => one.host.sh('ip route show type blackhole; ip -6 route show type blackhole')
  assert.match(covers(), /10\.244\.2\.0\/23 .*fd10:244:0:2::\/63 /s)
  // back again, nothing is in the way of those that are reached natively
  one.routing = 'auto'
  await one.pass()
  assert.doesNotMatch(covers(), /10\.244\.2|fd10:244:0:2/)
})

test('packets are dropped too where the tunnel cannot be made', async () => {
  using cluster = new DualNodes()
  const [one] = cluster.nodes
  one.host.sh('ip link add cw-vxlan type bridge')
  await one.keeper.pass()
  one.wirePod()
  send(one)
  assert.equal(cluster.inTheClear, 0)
})
