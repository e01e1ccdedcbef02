// The keeper of a node's network, where something goes wrong in the middle of a pass.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Listener } from '#/cluster/store.ts'
import { type Reflector } from '#/cluster/reflector.ts'
import { ClusterView } from '#/agent/cluster/cluster-view.ts'
import { readConfig } from '#/agent/config.ts'
import { DirtySet } from '#/agent/network/dirty-set.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { noBgp } from '#/agent/network/learned-route-source.ts'
import { NetworkKeeper } from '#/agent/network/network-keeper.ts'
import { StateError } from '#/agent/endpoints/state-file.ts'
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { Latest } from '#/lib/signal.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type PortState } from '#/model/network.ts'
import { type Routing } from '#/model/routing.ts'
import { type SessionGuard } from '#/plan/session-guards.ts'
import { SysctlDriver } from '#/reconcile/sysctl-driver.ts'
import { nothingToDo } from '#/reconcile/driver.ts'
import { TestNetns } from './namespace.ts'

function node(number: number, podCIDR = `10.244.${number}.0/24`): KubeNode {
  return {
    metadata: { name: `node-${number}`, uid: `u${number}` },
    spec: { podCIDRs: [podCIDR] },
    status: { addresses: [{ type: 'InternalIP', address: `172.30.1.${number}` }] },
  }
}

class Scene implements Disposable {
  readonly host = new TestNetns()
  readonly folder = mkdtempSync(join(tmpdir(), 'causeway-keeper-'))
  readonly store: EndpointStore
  readonly dirt = new DirtySet()
  ports: PortState[] = []
  kept: Prefix[] = []
  guards: SessionGuard[] = []
  triggers = 0
  readonly view: ClusterView
  readonly keeper: NetworkKeeper
  #tell: Listener<KubeNode> = () => {}
  readonly podNetwork = new Latest<PodNetworkState>({ kind: 'absent', why: 'no pass yet' })

  /** `rebooted`: the scene whose state file an agent finds when it starts after a reboot, while the API is away. */
  constructor({ routing = 'vxlan', rebooted }: { routing?: Routing; rebooted?: Scene } = {}) {
    this.store = new EndpointStore(join((rebooted ?? this).folder, 'endpoints.sqlite'))
    this.host.sh(`sysctl -qw net.ipv4.ip_forward=1
      ip link set lo up; ip link add u type bridge; ip link set u up
      ip addr add 172.30.1.1/16 dev u; ip addr add fd30::1/64 dev u nodad`)
    // sysctls belong to the namespace of the calling thread, which here is the machine's
    mock.method(SysctlDriver.prototype, 'compare', () => nothingToDo)
    const reflector = {
      inSync: rebooted === undefined,
      subscribe: (listener: Listener<KubeNode>) => {
        this.#tell = listener
        return () => {}
      },
    } as unknown as Reflector<KubeNode>
    this.view = new ClusterView(
      { nodeName: 'node-1' },
      { reflector, store: this.store, onChange: () => this.triggers++ },
    )
    const config = readConfig({ CAUSEWAY_NODE_NAME: 'node-1', CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48' })
    this.keeper = this.host.netns.run(
      () =>
        new NetworkKeeper(config, {
          view: this.view,
          dirt: this.dirt,
          ports: () => this.ports,
          pods: { isInUse: () => true, rewire() {} },
          keptCIDRs: () => this.kept,
          datapaths: () => [datapathKinds.bridge],
          routing: () => routing,
          bgp: () => ({ ...noBgp, sessionGuards: this.guards }),
          podNetwork: this.podNetwork,
          log: silent,
          onChanges() {},
          onNodes() {},
        }),
    )
  }

  add(...nodes: readonly KubeNode[]): void {
    for (const object of nodes) this.#tell({ kind: 'added', key: object.metadata.name, object })
  }

  routes(): string[] {
    const show = 'ip route show proto 67 type unicast; ip -6 route show proto 67 type unicast'
    return this.host.sh(show).trim().split('\n').filter(Boolean)
  }

  [Symbol.dispose](): void {
    mock.restoreAll()
    this.keeper[Symbol.dispose]()
    this.store[Symbol.dispose]()
    this.host[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

test('nodes whose arrival is interrupted by a failure are all reached after the next pass', async () => {
  using scene = new Scene()
  scene.add(node(1), node(2))
  await scene.keeper.pass()
  await scene.keeper.pass()
  assert.equal(scene.routes().length, 1)
  scene.add(...Array.from({ length: 120 }, (_, index) => node(index + 3)))
  const original = Netlink.prototype.executeMany
  const failing = mock.method(Netlink.prototype, 'executeMany', async function (this: Netlink, operations: never[]) {
    if (operations.length > 10) throw new Error('recv: EAGAIN')
    return original.call(this, operations)
  })
  await assert.rejects(scene.keeper.pass(), /EAGAIN/)
  failing.mock.restore()
  assert.equal((await scene.keeper.pass()).failed, 0)
  assert.equal(scene.routes().length, 121)
})

test('TTL security follows the neighbours, and comes back when it is taken out', async () => {
  using scene = new Scene()
  scene.add(node(1))
  const rules = () => scene.host.sh('nft list table inet causeway').match(/saddr 172\.30\.1\.254 .* ttl < \d+/g) ?? []
  await scene.keeper.pass()
  assert.deepEqual(rules(), [])
  const guard = { peer: 'tor', addr: Addr.parse('172.30.1.254'), itsPort: 179 }
  scene.guards = [{ ...guard, minTtl: 255 }]
  await scene.keeper.pass()
  const wanted = ['saddr 172.30.1.254 tcp sport 179 ip ttl < 255']
  assert.deepEqual(rules(), wanted)
  scene.host.sh('nft flush ruleset')
  scene.dirt.mark('table')
  await scene.keeper.pass()
  assert.deepEqual(rules(), wanted)
  scene.guards = [{ ...guard, minTtl: 253, ownPort: 179 }]
  await scene.keeper.pass()
  assert.deepEqual(
    rules().map((rule) => rule.replace(/.*? tcp /, '')),
    ['dport 179 tcp flags != syn / fin,syn,rst,ack ip ttl < 253', 'sport 179 ip ttl < 253'],
  )
})

test('a former pod CIDR that another node is given leaves this one at once', async () => {
  using scene = new Scene()
  scene.ports = [
    {
      name: 'cwv00000000001',
      pod: 'default/old',
      datapath: 'bridge',
      podCIDRs: [Prefix.parse('10.244.9.0/24')],
      addrs: [],
      mac: '',
    },
  ]
  scene.add(node(1), node(2))
  await scene.keeper.pass()
  assert.match(scene.host.sh('ip -br addr show cw-br0'), /10\.244\.9\.1\/24/)
  scene.add(node(3, '10.244.9.0/24'))
  await scene.keeper.pass()
  assert.doesNotMatch(scene.host.sh('ip -br addr show cw-br0'), /10\.244\.9\.1\/24/)
  assert.match(scene.routes().join('\n'), /10\.244\.9\.0\/24.*dst 172\.30\.1\.3/)
  const told = () => scene.keeper.problems.map(({ code, message }) => `${code} ${message}`).join('\n')
  assert.match(told(), /^CW1107 .* cut off, because it belongs to node node-3/)
  // a pass for another node alone says so as well
  scene.add(node(4))
  await scene.keeper.pass()
  assert.match(told(), /^CW1107 /)
})

test('what is wrong with the own pod CIDRs is told for as long as it is so, whichever nodes come and go', async () => {
  using scene = new Scene()
  scene.add(node(1, '192.168.7.0/24'), node(2))
  const codes = () => scene.keeper.problems.map(({ code }) => code)
  await scene.keeper.pass()
  assert.deepEqual(codes(), ['CW1105'])
  for (const number of [3, 4]) {
    scene.add(node(number))
    await scene.keeper.pass()
    assert.deepEqual(codes(), ['CW1105'])
  }
})

for (const routing of ['vxlan', 'native'] as const)
  test(`a node that boots while the API is away reaches the other nodes as before, and deletes nothing: ${routing}`, async () => {
    using scene = new Scene({ routing })
    const dual = (number: number): KubeNode => {
      const addresses = [`172.30.1.${number}`, `fd30::${number}`].map((address) => ({ type: 'InternalIP', address }))
      return {
        ...node(number),
        spec: { podCIDRs: [`10.244.${number}.0/24`, `fd10:244:0:${number}::/64`] },
        status: { addresses, conditions: [{ type: 'NetworkUnavailable', status: 'False' }] },
      }
    }
    scene.add(dual(1), dual(2), dual(3))
    await scene.keeper.pass()
    const before = scene.routes()
    assert.ok(before.length >= 4, before.join('\n'))
    // the last pass saved what it knew at its start
    scene.dirt.markEverything()
    await scene.keeper.pass()
    using rebooted = new Scene({ routing, rebooted: scene })
    const foreign = '10.244.9.0/24 via 172.30.1.9 dev u proto 67 metric 7'
    rebooted.host.sh(`ip route add ${foreign}`)
    await rebooted.keeper.pass()
    // the API is late
    rebooted.view.recall()
    await rebooted.keeper.pass()
    assert.deepEqual(
      rebooted.routes().filter((line) => !line.includes('10.244.9.0/24')),
      before,
    )
    assert.match(rebooted.routes().join('\n'), /10\.244\.9\.0\/24/)
  })

test('former pod CIDRs stay while the state file cannot be used: nobody knows then which pods have addresses of them', async () => {
  using scene = new Scene()
  scene.kept = [Prefix.parse('10.244.9.0/24')]
  scene.add(node(1), node(2))
  await scene.keeper.pass()
  assert.match(scene.host.sh('ip -br addr show cw-br0'), /10\.244\.9\.1\/24/)
  assert.deepEqual(scene.keeper.formerCIDRs?.map(String), ['10.244.9.0/24'])
  scene.kept = []
  scene.dirt.markEverything()
  await scene.keeper.pass()
  assert.doesNotMatch(scene.host.sh('ip -br addr show cw-br0'), /10\.244\.9\.1\/24/)
  assert.deepEqual(scene.keeper.formerCIDRs, [])
})

test('a disk that cannot be written keeps no change of the own node from being planned; it is remembered later', async () => {
  using scene = new Scene()
  const full = mock.method(scene.store, 'setSettings', () => {
    throw new StateError('the disk is full')
  })
  scene.add(node(1))
  assert.equal(scene.triggers, 1)
  await scene.keeper.pass()
  assert.equal(scene.podNetwork.value.kind, 'there')
  full.mock.restore()
  await scene.keeper.pass()
  assert.match(scene.store.setting('self') ?? '', /10\.244\.1\.0\/24/)
})

test('what a pass would change can be asked at any time, also while one runs', async () => {
  using scene = new Scene()
  scene.add(node(1), node(2))
  await scene.keeper.pass()
  // routes of others, so many that the kernel gives them in many pieces
  const routes = Array.from(
    { length: 3000 },
    (_, index) => `route add 10.${index >> 8}.${index & 255}.0/24 dev u proto static`,
  )
  scene.host.sh(`ip -batch - <<EOF\n${routes.join('\n')}\nEOF`)
  // a pass that begins while the answer is being read, wherever that has got to
  for (let turns = 0; turns < 40; turns += 3) {
    scene.dirt.markEverything()
    const asked = scene.keeper.preview()
    for (let turn = 0; turn < turns; turn++) await setImmediate()
    assert.equal((await scene.keeper.pass()).failed, 0)
    assert.deepEqual(await asked, [])
  }
})
