// Packets between pods of a node: br_netfilter takes them to the rules for IP while they are bridged, and where it does not, the node routes them.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { families } from '#/lib/addr.ts'
import { Netlink, type Operation } from '#/kernel/netlink.ts'
import { tcp } from '#/plan/policy/testing/form.ts'
import { protocols } from './ebpf/frames.ts'
import { addrOf, TableNode, type TestPod } from './policy/table-node.ts'

/** Pod a may be reached by b at port 80 of TCP; c is anybody. */
function threePods(): { node: TableNode; a: TestPod; b: TestPod; c: TestPod } {
  const node = new TableNode()
  node.form
    .pods('b', addrOf(4, 3), addrOf(6, 3))
    .policy('p1', 'NetworkPolicy', 'ingress', { peers: ['b'], ports: tcp(80) })
    .class('c1', 'ingress', ['p1'])
  return { node, a: node.add(2, { ingress: 'c1' }), b: node.add(3), c: node.add(4) }
}

/** The hops that packets between two pods have left. */
async function hopsLeft(node: TableNode, from: TestPod, to: TestPod): Promise<number[]> {
  const hops: number[] = []
  for (const family of families) {
    to.port.take()
    node.send({ family, from, to, protocol: protocols.udp }, 'how far')
    const frame = (await to.port.collect(60)).find((each) => Buffer.from(each).includes('how far'))
    hops.push(frame![family === 4 ? 22 : 21]!)
  }
  return hops
}

test('what br_netfilter takes to the rules stays on the bridge, each family by itself', async () => {
  const { node, b, c } = threePods()
  using _ = node
  await node.settle()
  for (const [v4, v6] of [
    [1, 1],
    [0, 1],
    [1, 0],
    [0, 0],
  ] as const) {
    node.host.sh(`sysctl -qw net.bridge.bridge-nf-call-iptables=${v4} net.bridge.bridge-nf-call-ip6tables=${v6}`)
    assert.deepEqual(await hopsLeft(node, b, c), [63 + v4, 63 + v6])
  }
})

test('who turns br_netfilter on and off changes nothing of what arrives', async () => {
  const { node, a, b, c } = threePods()
  using _ = node
  await node.settle()
  const standing = { from: b, to: a, sourcePort: 40_000 } as const
  for (const isOn of [true, false, true, false, true]) {
    node.brNetfilter = isOn
    for (const family of families) {
      assert.equal(await node.arrives({ family, ...standing }), true)
      assert.equal(await node.arrives({ family, from: b, to: a }), true)
      assert.equal(await node.arrives({ family, from: c, to: a }), false)
    }
  }
})

/** The attribute of a rule's expression that asks for the realm of a packet's route (NFTA_META_KEY), and the number of its key. */
const askForRoute = Buffer.of(8, 0, 2, 0, 0, 0, 0, 13)
const noKey = 99

/** The kernel refuses a key that it does not know as one without CONFIG_IP_ROUTE_CLASSID refuses this. */
function withoutRoutes(t: TestContext): void {
  const refused = (operation: Operation): Operation => {
    const payload = Buffer.from(operation.payload)
    const place = payload.indexOf(askForRoute)
    if (!operation.what.startsWith('nft add rule bridge') || place < 0) return operation
    payload[place + askForRoute.length - 1] = noKey
    return { ...operation, payload }
  }
  const { transact } = Netlink.prototype
  t.mock.method(
    Netlink.prototype,
    'transact',
    function (this: Netlink, what: string, enclosing: Uint8Array, operations: readonly Operation[]) {
      return transact.call(this, what, enclosing, operations.map(refused))
    },
  )
}

for (const way of ['written', 'compared'] as const)
  test(`where rules cannot tell what br_netfilter does, all packets are routed: a table that is ${way}`, async (t) => {
    const { node, a, b, c } = threePods()
    using _ = node
    withoutRoutes(t)
    if (way === 'written') node.apply()
    await node.settle()
    for (const isOn of [true, false]) {
      node.brNetfilter = isOn
      assert.deepEqual(await hopsLeft(node, b, c), [63, 63])
      assert.equal(await node.arrives({ family: 4, from: b, to: a }), true)
      assert.equal(await node.arrives({ family: 6, from: c, to: a }), false)
    }
    assert.ok(node.tables.objects.every(({ state }) => state === 'done'))
  })
