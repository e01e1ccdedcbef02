// The node's network on the real kernel: plan brought about, mended, swept and cleaned, foreign state untouched; and CNI calls.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CniHandler } from '#/agent/cni-handler.ts'
import { allDrivers } from '#/agent/drivers.ts'
import { EndpointStore } from '#/agent/endpoints.ts'
import { type PodNetwork } from '#/agent/pod-network.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { emptyNetwork, type DesiredNetwork } from '#/model/network.ts'
import { planNetwork } from '#/plan/network.ts'
import { PeerTable } from '#/plan/peers.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { type CniOperation, type CniReply, type CniResult, encodeResult, parseCniRequest } from '#/wire/cni/index.ts'
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
}

function network(count: number): DesiredNetwork {
  const underlay = { 4: 1500 }
  const peers = new PeerTable({ self: nodes[0]!, underlay, settings })
  peers.update(nodes.slice(0, count).map((node) => [node.name, node]))
  return {
    ...planNetwork({ peers, isComplete: true, underlay, ports: [], settings }).network,
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
  assert.equal(node.host.sh('ip route show proto 67').trim().split('\n').length, 2)
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
  node.host.sh('ip link add name cwv0123456789a type veth peer name gone; ip link add name cw-other type bridge')
  await node.reconciler.apply(network(2), { isComplete: false })
  assert.match(node.host.sh('ip route show proto 67'), /10\.244\.3\.0\/24/)
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

test('what is not ours but in the way stays, and the object says so; the rest is made', async () => {
  using node = new Node()
  node.host.sh(
    `${foreign}; ip link add name cw-vxlan type bridge; ip route add 10.244.2.0/24 via 192.0.2.2 proto static`,
  )
  const { failed } = await node.reconciler.apply(network(3), { isComplete: true })
  assert.ok(failed > 0)
  const message = (key: string) => node.reconciler.status.find((object) => object.key === key)?.message
  assert.match(message('cw-vxlan')!, /a device cw-vxlan of kind "bridge" is there already and is not ours/)
  assert.match(node.host.sh('ip route show 10.244.2.0/24'), /proto static/)
  assert.match(node.host.sh('ip -br addr show cw-br0'), /10\.244\.1\.1\/24/)
  node.host.sh('ip link del cw-vxlan')
  await node.reconciler.apply(network(3), { isComplete: true })
  assert.match(message('10.244.2.0/24')!, /another's route stands in the way: 10\.244\.2\.0\/24 via 192\.0\.2\.2/)
  assert.equal(message('10.244.3.0/24'), undefined)
})

const podNetwork: PodNetwork = {
  podCIDRs: [Prefix.parse('10.244.1.0/29'), Prefix.parse('fd10:244:0:1::/64')],
  overlay: [{ dst: Prefix.parse('10.244.0.0/16'), mtuBytes: 1450 }],
  deviceMtuBytes: 1500,
}

function request(command: string, id: string, netns: string, more: Record<string, unknown> = {}): CniOperation {
  const env = new Map(
    Object.entries({
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/',
      CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${id}`,
    }),
  )
  const config = { cniVersion: '1.1.0', name: 'causeway', type: 'causeway-cni', ...more }
  const parsed = parseCniRequest(env, new TextEncoder().encode(JSON.stringify(config)))
  assert.ok(parsed.kind !== 'error' && parsed.kind !== 'version', JSON.stringify(parsed))
  return parsed
}

function handlerOf(node: Node): (operation: CniOperation) => CniReply {
  node.host.sh('ip link add name cw-br0 type bridge; ip link set cw-br0 up')
  node.host.sh('ip addr add 10.244.1.1/29 dev cw-br0; ip addr add fd10:244:0:1::1/64 dev cw-br0 nodad')
  const handler = new CniHandler({
    netlink: node.netlink,
    store: node.store,
    podNetwork: () => podNetwork,
    trouble: () => undefined,
    onChange() {},
    log: silent,
  })
  return (operation) => handler.handle(operation)
}

function codeOf(reply: CniReply): number {
  return reply.kind === 'error' ? reply.error.code : 0
}

function jsonOf(result: CniResult): Record<string, unknown> {
  return JSON.parse(encodeResult(result, '1.1.0')) as Record<string, unknown>
}

test('ADD wires a pod as the result says; CHECK sees every fault; DEL takes all away, twice', () => {
  using node = new Node()
  using pod = new TestNetns()
  const handle = handlerOf(node)
  const added = handle(request('ADD', 'pod1', pod.path))
  assert.ok(added.kind === 'result')
  const prevResult = jsonOf(added.result)
  const check = () => handle(request('CHECK', 'pod1', pod.path, { prevResult }))
  assert.equal(codeOf(check()), 0)
  assert.match(pod.sh('ip -br addr show eth0'), /UP +10\.244\.1\.2\/29 fd10:244:0:1::2\/64/)
  assert.match(
    pod.sh('ip route'),
    /default via 10\.244\.1\.1 dev eth0[^]*10\.244\.0\.0\/16 via 10\.244\.1\.1 dev eth0 mtu 1450/,
  )
  assert.match(pod.sh('ip -6 route'), /default via fd10:244:0:1::1 dev eth0/)
  assert.match(pod.sh('ip -br link show lo'), /UNKNOWN.*UP/)
  for (const fault of ['ip addr del 10.244.1.2/29 dev eth0', 'ip route del default', 'ip link set eth0 down']) {
    pod.sh(fault)
    assert.equal(codeOf(check()), 5, fault)
    // a second ADD of the same attachment starts over
    assert.equal(handle(request('ADD', 'pod1', pod.path)).kind, 'result')
  }
  assert.equal(node.host.ip('link show type veth').length, 1)
  for (let turn = 0; turn < 2; turn++) assert.deepEqual(handle(request('DEL', 'pod1', pod.path)), { kind: 'ok' })
  assert.equal(node.host.sh('ip -br link show type veth'), '')
  assert.deepEqual(node.store.list(), [])
  assert.equal(codeOf(check()), 3)
})

test('a failed ADD leaves no address and no device; each reason has its code', () => {
  using node = new Node()
  using pod = new TestNetns()
  const handle = handlerOf(node)
  assert.equal(codeOf(handle(request('ADD', 'gone', '/run/netns/none'))), 3)
  pod.sh('ip link add name eth0 type bridge')
  assert.equal(codeOf(handle(request('ADD', 'busy', pod.path))), 4)
  pod.sh('ip link del eth0')
  assert.equal(codeOf(handle(request('ADD', 'odd', pod.path, { args: { cni: { ips: ['10.9.9.9'] } } }))), 7)
  assert.deepEqual(node.store.list(), [])
  for (let number = 0; number < 5; number++) {
    node.store.reserve(
      { containerId: `c${number}`, ifName: 'eth0', netns: '/x', pod: `p${number}`, hostDevice: `cwv${number}` },
      podNetwork.podCIDRs,
    )
  }
  const full = handle(request('ADD', 'late', pod.path))
  assert.equal(codeOf(full), 11)
  assert.match(
    full.kind === 'error' ? full.error.msg : '',
    /10\.244\.1\.0\/29 of this node is exhausted: all 5 addresses/,
  )
  assert.equal(codeOf(handle(request('STATUS', 'x', pod.path))), 50)
  assert.equal(node.host.sh('ip -br link show type veth'), '')
})

test('GC removes what is not listed, and nothing when there is no list', () => {
  using node = new Node()
  using first = new TestNetns()
  using second = new TestNetns()
  const handle = handlerOf(node)
  handle(request('ADD', 'keep', first.path))
  handle(request('ADD', 'lose', second.path))
  handle(request('GC', 'x', first.path))
  assert.equal(node.store.list().length, 2)
  handle(request('GC', 'x', first.path, { 'cni.dev/valid-attachments': [{ containerID: 'keep', ifname: 'eth0' }] }))
  assert.deepEqual(
    node.store.list().map(({ containerId }) => containerId),
    ['keep'],
  )
  assert.equal(node.host.ip('link show type veth').length, 1)
})
