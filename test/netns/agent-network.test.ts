// The node's network on the real kernel: plan brought about, mended, swept and cleaned, foreign state untouched.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { allDrivers } from '#/agent/network/drivers.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { bridgeDatapath } from '#/datapath/bridge/bridge.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { emptyNetwork, type DesiredNetwork } from '#/model/network.ts'
import { NodeWays } from '#/plan/node-ways.ts'
import { planNetwork } from '#/plan/network.ts'
import { RemoteNodes } from '#/plan/remote-nodes.ts'
import { problemsOfObjects } from '#/reconcile/object-problem.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { TestNetns } from './namespace.ts'

const nodes = [1, 2, 3].map((number) => ({
  name: `node-${number}`,
  podCIDRs: [Prefix.parse(`10.244.${number}.0/24`), Prefix.parse(`fd10:244:0:${number}::/64`)],
  addrs: [Addr.parse(`172.30.1.${number}`)],
}))

const settings = {
  clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'].map(Prefix.parse),
  vni: 1,
  vxlanPort: 8472,
  opensForwardChains: true,
  routing: 'vxlan' as const,
}

function network(count: number): DesiredNetwork {
  const underlay = { 4: 1500 }
  const remoteNodes = new RemoteNodes({
    self: nodes[0]!,
    underlay,
    connected: [],
    ways: new NodeWays(),
    routing: 'vxlan',
    settings,
  })
  remoteNodes.update(nodes.slice(0, count).map((node) => [node.name, node]))
  return {
    ...planNetwork({
      remoteNodes,
      isComplete: true,
      keepsOverlay: false,
      underlay,
      ports: [],
      datapaths: [bridgeDatapath],
      settings,
    }).network,
    // the sysctls belong to the namespace of the calling thread, which here is the machine's
    sysctls: [],
  }
}

class Node implements Disposable {
  readonly host = new TestNetns()
  readonly netlink = new Netlink(0, this.host.netns)
  readonly nftables = new NftClient(this.host.netns)
  readonly folder = mkdtempSync(join(tmpdir(), 'causeway-node-'))
  readonly store = new EndpointStore(join(this.folder, 'endpoints.sqlite'))
  readonly reconciler = new Reconciler({
    netlink: this.netlink,
    drivers: allDrivers(this.netlink, this.nftables, {
      isInUse: (port) => this.store.hasDevice(port),
      rewire: (port) => assert.fail(port),
    }),
    log: silent,
    nowMs: Date.now,
  });

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]()
    this.nftables[Symbol.dispose]()
    this.netlink[Symbol.dispose]()
    this.host[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const foreign = `ip link set lo up; ip link add name br-foreign type bridge; ip link set br-foreign up; ip addr add 192.0.2.1/24 dev br-foreign
  ip route add 198.51.100.0/24 via 192.0.2.2 proto static; nft add table inet other; nft add chain inet other forward '{ type filter hook forward priority 0; }'`
const foreignState = 'ip -br addr show br-foreign; ip route show proto static; nft list table inet other'

test('a plan is brought about once, and a second pass changes nothing', async () => {
  using node = new Node()
  const wanted = network(3)
  const first = await node.reconciler.apply(wanted, { isComplete: true })
  assert.equal(first.failed, 0)
  assert.ok(first.changed > 8)
  const second = await node.reconciler.apply(wanted, { isComplete: true })
  assert.deepEqual([second.changed, second.failed], [0, 0])
  assert.deepEqual(await node.reconciler.preview(wanted, { isComplete: true }), [])
  assert.ok(node.reconciler.status.every(({ state }) => state === 'done'))
  assert.equal(node.host.sh('ip route show proto 67 type unicast').trim().split('\n').length, 2)
})

test('the commands of a preview, run by hand, leave nothing to do', async () => {
  using node = new Node()
  const wanted = network(3)
  for (let pass = 0; pass < 3; pass++) {
    const changes = await node.reconciler.preview(wanted, { isComplete: true })
    const commands = changes.flatMap((change) => change.commands)
    if (commands.length === 0) break
    node.host.sh(commands.join('\n'))
  }
  assert.deepEqual(await node.reconciler.preview(wanted, { isComplete: true }), [])
})

test('nothing is swept before the cluster is known; afterwards what is stale goes, foreign state stays', async () => {
  using node = new Node()
  node.host.sh(foreign)
  const before = node.host.sh(foreignState)
  await node.reconciler.apply(network(3), { isComplete: true })
  node.host.sh(
    'ip link add name cwv0123456789a address 02:43:00:00:00:01 type veth peer name gone; ip link add name cw-other type bridge',
  )
  await node.reconciler.apply(network(2), { isComplete: false })
  assert.match(node.host.sh('ip route show proto 67'), /^10\.244\.3\.0\/24/m)
  assert.match(node.host.sh('ip -br link'), /cwv0123456789a/)
  await node.reconciler.apply(network(2), { isComplete: true })
  assert.doesNotMatch(node.host.sh('ip route show proto 67'), /10\.244\.3\.0\/24/)
  assert.doesNotMatch(node.host.sh('ip -br link'), /cwv0123456789a/)
  // the empty network is what `causeway clean` asks for
  await node.reconciler.apply(emptyNetwork, { isComplete: true })
  assert.equal(
    node.host.sh(
      'ip route show proto 67; nft list tables | grep causeway || true; ip -br link | grep -E "cw-br0|cw-vxlan" || true',
    ),
    '',
  )
  assert.match(node.host.sh('ip -br link'), /cw-other/)
  assert.equal(node.host.sh(foreignState), before)
})

test('devices of others that have our names stay as they are, are named, and nothing of ours is put on them', async () => {
  using node = new Node()
  node.host
    .sh(`ip link add name cw-br0 address 0a:00:00:00:00:01 type bridge; ip addr add 192.0.2.1/24 dev cw-br0; ip link set cw-br0 up
    ip link add name cw-vxlan type vxlan external dstport 8473; ip link set cw-vxlan address 0a:00:00:00:00:02 up
    ip addr add 192.0.2.9/32 dev cw-vxlan; ip link add name cwv0123456789b type veth peer name theirs`)
  const theirs = (): string =>
    node.host.sh('ip -o link show type bridge; ip -o link show type vxlan; ip -o -4 addr; ip route')
  const before = theirs()
  await node.reconciler.apply(network(2), { isComplete: true })
  const message = (key: string) => node.reconciler.status.find((object) => object.key === key)?.message
  for (const name of ['cw-br0', 'cw-vxlan'])
    assert.match(
      message(name)!,
      new RegExp(`^a device ${name} of kind .* with MAC 0a:.* is there already and is not ours`),
    )
  assert.match(message('10.244.2.0/24')!, /device cw-vxlan is missing/)
  await node.reconciler.apply(emptyNetwork, { isComplete: true })
  assert.equal(theirs(), before)
  assert.match(node.host.sh('ip -br link'), /cwv0123456789b/)
})

test('our devices are known whatever of MAC and alias somebody changed, or an agent of before did not set', async () => {
  using node = new Node()
  const wanted = network(2)
  await node.reconciler.apply(wanted, { isComplete: true })
  const show = (): string =>
    node.host.sh('ip -o link show cw-br0; ip -o link show cw-vxlan').replaceAll(/ qlen \d+/g, '')
  const before = show()
  assert.match(before, /cw-br0.* alias causeway/)
  for (const change of [
    'ip link set cw-br0 alias ""; ip link set cw-vxlan alias ""',
    'ip link set cw-br0 address 0a:00:00:00:00:01; ip link set cw-vxlan address 0a:00:00:00:00:02',
  ]) {
    node.host.sh(change)
    assert.notEqual(show(), before)
    await node.reconciler.apply(wanted, { isComplete: true })
    assert.equal(show(), before)
  }
  node.host.sh('ip link set cw-br0 alias ""; ip link set cw-vxlan address 0a:00:00:00:00:02')
  await node.reconciler.apply(emptyNetwork, { isComplete: true })
  assert.equal(node.host.sh('ip -br link | grep cw- || true'), '')
})

test('what is not ours but in the way stays, and the object says so; the rest is made', async () => {
  using node = new Node()
  node.host.sh(
    `${foreign}; ip link add name cw-vxlan type bridge; ip route add 10.244.2.0/24 via 192.0.2.2 proto static`,
  )
  const { failed } = await node.reconciler.apply(network(3), { isComplete: true })
  assert.ok(failed > 0)
  const message = (key: string) => node.reconciler.status.find((object) => object.key === key)?.message
  assert.match(
    message('cw-vxlan')!,
    /a device cw-vxlan of kind "bridge" and with MAC .* is there already and is not ours/,
  )
  assert.match(node.host.sh('ip route show 10.244.2.0/24'), /proto static/)
  assert.match(node.host.sh('ip -br addr show cw-br0'), /10\.244\.1\.1\/24/)
  node.host.sh('ip link del cw-vxlan')
  await node.reconciler.apply(network(3), { isComplete: true })
  assert.match(message('10.244.2.0/24')!, /another's route stands in the way: 10\.244\.2\.0\/24 via 192\.0\.2\.2/)
  assert.equal(message('10.244.3.0/24'), undefined)
})

test('a device of an agent of before gets its mark alone: a MAC that is set anew takes all neighbours of the device along', async () => {
  using node = new Node()
  const wanted = network(2)
  await node.reconciler.apply(wanted, { isComplete: true })
  node.host.sh(`ip neigh replace 10.244.1.9 lladdr 0a:58:0a:f4:01:09 nud permanent dev cw-br0
    ip link set cw-br0 alias ""; ip link set cw-vxlan alias ""`)
  const neighbours = (): string => node.host.sh('ip neigh show nud permanent; ip -6 neigh show nud permanent')
  const before = neighbours()
  assert.match(before, /dev cw-br0.*\n.*dev cw-vxlan|dev cw-vxlan.*\n.*dev cw-br0/)
  await node.reconciler.apply(wanted, { isComplete: true, kinds: new Set(['link']) })
  assert.match(node.host.sh('ip link show cw-vxlan'), /alias causeway/)
  assert.equal(neighbours(), before)
})

test('routes that somebody deletes again and again are there again each time, at a pace, and that is told', async () => {
  using node = new Node()
  const wanted = network(3)
  const pass = async () => node.reconciler.apply(wanted, { isComplete: true, kinds: new Set(['route']) })
  const isThere = (): boolean => node.host.sh('ip route show 10.244.2.0/24 proto 67').trim() !== ''
  await node.reconciler.apply(wanted, { isComplete: true })
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(node.reconciler.blockades, [])
    node.host.sh('ip route del 10.244.2.0/24 proto 67')
    assert.equal((await pass()).failed, 0)
    assert.ok(isThere())
  }
  const [told] = node.reconciler.blockades
  assert.equal(`${told?.problem.code} ${told?.problem.object}`, 'CW2009 node/routes')
  node.host.sh('ip route del 10.244.2.0/24 proto 67')
  assert.deepEqual([...(await pass()).failedKinds], ['route'], 'another pass is to follow')
  assert.ok(!isThere())
  assert.deepEqual(problemsOfObjects(node.reconciler.status), [], 'one cause is told once')
  await setTimeout(300)
  assert.equal((await pass()).failed, 0)
  assert.ok(isThere())
})
