// What others have in the kernel and that diverts packets of pods, made to happen: rules, routes, devices and addresses, in both families
// and every routing. Each is named with what it is, one problem for one cause, and goes when it is gone.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { type Listener } from '#/cluster/store.ts'
import { type Reflector } from '#/cluster/reflector.ts'
import { ClusterView } from '#/agent/cluster/cluster-view.ts'
import { readConfig } from '#/agent/config.ts'
import { DirtySet } from '#/agent/network/dirty-set.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { NetworkKeeper } from '#/agent/network/network-keeper.ts'
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { silent } from '#/lib/log.ts'
import { Latest } from '#/lib/signal.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { problemText } from '#/model/problems.ts'
import { type Routing } from '#/model/routing.ts'
import { nothingToDo } from '#/reconcile/driver.ts'
import { SysctlDriver } from '#/reconcile/sysctl-driver.ts'
import { TestNetns } from './namespace.ts'

const others = 5

function node(number: number): KubeNode {
  return {
    metadata: { name: `node-${number}`, uid: `u${number}` },
    spec: { podCIDRs: [`10.244.${number}.0/24`, `fd10:244:0:${number}::/64`] },
    status: {
      addresses: [
        { type: 'InternalIP', address: `172.30.1.${number}` },
        { type: 'InternalIP', address: `fd30::${number}` },
      ],
    },
  }
}

class Scene implements Disposable {
  readonly host = new TestNetns()
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-ways-'))
  readonly #store = new EndpointStore(join(this.#folder, 'endpoints.sqlite'))
  readonly #dirt = new DirtySet()
  readonly keeper: NetworkKeeper

  constructor(routing: Routing) {
    this.host.sh(`ip link set lo up; ip link add u type veth peer name far; ip link set far up; ip link set u up
      ip addr add 172.30.1.1/24 dev u; ip addr add fd30::1/64 dev u nodad
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0`)
    // sysctls belong to the namespace of the calling thread, which here is the machine's
    mock.method(SysctlDriver.prototype, 'compare', () => nothingToDo)
    let tell: Listener<KubeNode> = () => {}
    const reflector = {
      inSync: true,
      subscribe: (listener: Listener<KubeNode>) => void (tell = listener),
    } as unknown as Reflector<KubeNode>
    const view = new ClusterView({ nodeName: 'node-1' }, { reflector, store: this.#store, onChange() {} })
    const config = readConfig({
      CAUSEWAY_NODE_NAME: 'node-1',
      CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48',
    })
    this.keeper = this.host.netns.run(
      () =>
        new NetworkKeeper(config, {
          view,
          dirt: this.#dirt,
          ports: () => [],
          pods: { isInUse: () => true, rewire() {} },
          datapaths: () => [datapathKinds.bridge],
          routing: () => routing,
          podNetwork: new Latest<PodNetworkState>({ kind: 'absent', why: 'no pass yet' }),
          log: silent,
          onChanges() {},
          onNodes() {},
        }),
    )
    for (let number = 1; number <= 1 + others; number++)
      tell({ kind: 'added', key: `node-${number}`, object: node(number) })
  }

  /** A pass after a notification of somebody else's change; returns how many objects failed. */
  async pass(): Promise<number> {
    this.#dirt.markWays()
    const { failed } = await this.keeper.pass()
    return failed
  }

  /** The problems that the kernel's answers make, one a line, and below them why the node is not ready. */
  get told(): string {
    const problems = this.keeper.problems.filter(({ code }) => code.startsWith('CW13')).map(problemText)
    const { isolation } = this.keeper
    return [...problems, ...(isolation === undefined ? [] : [`NOT READY: ${isolation}`])].join('\n')
  }

  [Symbol.dispose](): void {
    mock.restoreAll()
    this.keeper[Symbol.dispose]()
    this.#store[Symbol.dispose]()
    this.host[Symbol.dispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

type Fault = {
  readonly name: string
  readonly make: string
  readonly undo: string
  readonly tells: readonly RegExp[]
  readonly isReady: boolean
  /** Absent: for each routing. */
  readonly routing?: Routing
}

const dummy = (name: string): string => `ip link add ${name} up type veth peer name ${name}p; ip link set ${name}p up`

const faults: readonly Fault[] = [
  {
    name: "a VPN's rule, with a table that covers all pods",
    make: `${dummy('tun0')}; ip rule add pref 5270 lookup 52; ip route add 10.0.0.0/8 dev tun0 table 52`,
    undo: 'ip rule del pref 5270; ip link del tun0',
    tells: [
      /^CW1301 rule\/5270: packets to .*10\.244\.2\.0\/24 of node-2.* and \d more do not go as planned: rule 5270: from all lookup 52, by its route 10\.0\.0\.0\/8 dev tun0 .*table 52; remedy: .*ip rule add pref 5269 to 10\.244\.0\.0\/16 lookup main/m,
      /NOT READY: the IPv4 pods of this node are not reached: CW1301/,
    ],
    isReady: false,
  },
  {
    name: "a VPN's rule for IPv6",
    make: `${dummy('tun0')}; ip -6 rule add pref 5270 lookup 52; ip -6 route add fd10:244:0:3::/64 dev tun0 table 52`,
    undo: 'ip -6 rule del pref 5270; ip link del tun0',
    tells: [
      /^CW1301 rule\/5270: packets to fd10:244:0:3::\/64 of node-3 do not .*; remedy: .*ip -6 rule add pref 5269 to fd10:244::\/48 lookup main/m,
    ],
    isReady: true,
  },
  {
    name: 'a rule for packets of pods alone',
    make: `${dummy('tun0')}; ip rule add pref 100 iif cw-br0 lookup 7; ip route add default dev tun0 table 7`,
    undo: 'ip rule del pref 100; ip link del tun0',
    tells: [/^CW1301 rule\/100: .*: rule 100: from all iif cw-br0 lookup 7/m, /NOT READY/],
    isReady: false,
  },
  {
    name: 'a rule that drops',
    make: 'ip rule add pref 90 to 10.244.4.0/24 prohibit; ip -6 rule add pref 91 to fd10:244:0:4::/64 unreachable',
    undo: 'ip rule del pref 90; ip -6 rule del pref 91',
    tells: [
      /^CW1301 rule\/90: packets to 10\.244\.4\.0\/24 of node-4 do not go as planned: rule 90: from all to 10\.244\.4\.0\/24 prohibit;/m,
      /^CW1301 rule\/91: packets to fd10.*: rule 91: from all to fd10:244:0:4::\/64 unreachable;/m,
    ],
    isReady: true,
  },
  {
    name: "blocks of another network's, in parts of pod CIDRs",
    make: `${dummy('tunl0')}; for n in 2 3; do ip route add 10.244.$n.64/26 dev tunl0 proto 80; done
      ip -6 route add fd10:244:0:2:8000::/66 dev tunl0 proto 80; ip route add blackhole 10.244.1.128/26 proto 80`,
    undo: 'ip link del tunl0; ip route del blackhole 10.244.1.128/26',
    tells: [
      /^CW1302 device\/tunl0: packets to 10\.244\.2\.66 of node-2, fd10:244:0:2:8000::2 of node-2, 10\.244\.3\.66 of node-3 do not go as planned: another's route: 10\.244\.2\.64\/26 dev tunl0 proto 80; .*10\.244\.3\.64\/26 .*; remedy/m,
      /^CW1302 route\/10\.244\.1\.128\/26: packets to 10\.244\.1\.130 of this node do not go as planned: another's route: blackhole 10\.244\.1\.128\/26 proto 80;/m,
    ],
    isReady: true,
  },
  {
    name: 'a more specific route over the first half of most pod CIDRs',
    make: `${dummy('tunl0')}; for n in 2 3 4 5; do ip route add 10.244.$n.0/25 dev tunl0 proto static; done`,
    undo: 'ip link del tunl0',
    tells: [/^CW1302 device\/tunl0: .* and 1 more; remedy/m, /NOT READY: 4 of 5 IPv4 pod CIDRs of other nodes/],
    isReady: false,
  },
  {
    name: "another network's bridge with this node's pod CIDR",
    make: `${dummy('cni0')}; ip addr add 10.244.1.1/25 dev cni0; ip addr add fd10:244:0:1::1/72 dev cni0 nodad`,
    undo: 'ip link del cni0',
    tells: [
      /^CW1302 device\/cni0: packets to 10\.244\.1\.0\/24 of this node, fd10\S* of this node do not .*: another's route: 10\.244\.1\.0\/25 dev cni0 .*; remedy: do not delete that route: the kernel made it/m,
      /NOT READY: the IPv4 pods of this node are not reached/,
    ],
    isReady: false,
  },
  {
    name: "another node's address on a device of this node",
    make: `${dummy('eth7')}; ip addr add 172.30.1.3/32 dev eth7; ip addr add fd30::3/128 dev eth7 nodad`,
    undo: 'ip link del eth7',
    tells: [
      /^CW1303 device\/eth7: packets to 172\.30\.1\.3 of node-3.* do not .*: address 172\.30\.1\.3 on device eth7 of this node/m,
    ],
    isReady: true,
  },
  {
    name: "an address of another node's pods on a device of this node",
    make: `${dummy('eth7')}; ip addr add 10.244.3.77/32 dev eth7; ip addr add fd10:244:0:3::77/128 dev eth7 nodad`,
    undo: 'ip link del eth7',
    tells: [
      /^CW1303 device\/eth7: packets to 10\.244\.3\.77 of node-3, fd10:244:0:3::77 of node-3 do not .*: address 10\.244\.3\.77 on device eth7 /m,
    ],
    isReady: true,
  },
  {
    name: 'a rule for packets that come from other nodes',
    make: 'for d in cw-vxlan u; do ip rule add pref 60 iif $d to 10.244.1.0/24 blackhole; done',
    undo: 'ip rule del pref 60; ip rule del pref 60',
    tells: [
      /^CW1301 rule\/60: packets to 10\.244\.1\.0\/24 of this node do not .*: rule 60: from all to 10\.244\.1\.0\/24 iif (cw-vxlan|u) blackhole/m,
      /NOT READY: the IPv4 pods of this node are not reached/,
    ],
    isReady: false,
  },
  {
    name: 'a rule for IPv6 packets that come from other nodes',
    make: 'for d in cw-vxlan u; do ip -6 rule add pref 60 iif $d prohibit; done',
    undo: 'ip -6 rule del pref 60; ip -6 rule del pref 60',
    tells: [
      /^CW1301 rule\/60: packets to fd10:244:0:1::\/64 of this node do not /m,
      /NOT READY: the IPv6 pods of this/,
    ],
    isReady: false,
  },
  {
    name: 'routes to single pods, which are those that stand for all of their nodes',
    make: `${dummy('x0')}; for n in 2 3 4 5 6; do ip route add 10.244.$n.2/32 dev x0; ip -6 route add fd10:244:0:$n::2/128 dev x0; done`,
    undo: 'ip link del x0',
    tells: [
      /^CW1302 device\/x0: packets to 10\.244\.2\.2 of node-2, fd10:244:0:2::2 of node-2, .* and 7 more do not /m,
    ],
    isReady: true,
  },
  {
    name: 'a route that drops packets to other nodes, and with them the tunnel',
    routing: 'vxlan',
    make: 'ip route add blackhole 172.30.1.0/29',
    undo: 'ip route del blackhole 172.30.1.0/29',
    tells: [
      /^CW1302 route\/172\.30\.1\.0\/29: packets to 172\.30\.1\.2 of node-2, .* and 2 more do not go as planned: another's route: blackhole/m,
      /NOT READY: 5 of 5 IPv4 pod CIDRs/,
    ],
    isReady: false,
  },
  {
    name: "the bridge's forwarding switched off",
    make: 'sysctl -qw net.ipv4.conf.cw-br0.forwarding=0',
    undo: 'sysctl -qw net.ipv4.conf.cw-br0.forwarding=1',
    tells: [
      /^CW1304 node\/routes: .*: the kernel answers EHOSTUNREACH, though all routes are made; remedy: ask the kernel yourself with "ip route get/m,
      /NOT READY/,
    ],
    isReady: false,
  },
]

for (const routing of ['vxlan', 'native'] as const)
  test(`${routing}: what others have in the way is named, and goes when it is gone`, async () => {
    using scene = new Scene(routing)
    for (let pass = 0; pass < 3; pass++) await scene.pass()
    assert.equal(scene.told, '')
    for (const { name, make, undo, tells, isReady } of faults.filter(
      (fault) => (fault.routing ?? routing) === routing,
    )) {
      scene.host.sh(make)
      for (let pass = 0; pass < 2; pass++) await scene.pass()
      for (const pattern of tells) assert.match(scene.told, pattern, name)
      assert.equal(scene.told.split('\n').length, tells.length, `${name}: one line for each cause: ${scene.told}`)
      assert.equal(scene.keeper.isolation === undefined, isReady, name)
      scene.host.sh(undo)
      for (let pass = 0; pass < 2; pass++) assert.equal(await scene.pass(), 0, name)
      assert.equal(scene.told, '', `${name} is gone`)
    }
  })

test('the remedy of a rule in the way gives the pods their way back', async () => {
  using scene = new Scene('vxlan')
  scene.host.sh(faults[0]!.make)
  for (let pass = 0; pass < 2; pass++) await scene.pass()
  const command = /: (ip rule add pref \d+ to \S+ lookup main)/.exec(scene.told)?.[1]
  scene.host.sh(command!)
  await scene.pass()
  assert.equal(scene.told, '')
})

test('routes that went without a notification are made again by the pass after the one that asked', async () => {
  using scene = new Scene('vxlan')
  for (let pass = 0; pass < 2; pass++) await scene.pass()
  const routes = (): number =>
    scene.host.sh('ip route show proto 67 type unicast').trim().split('\n').filter(Boolean).length
  assert.equal(routes(), others)
  scene.host.sh('ip addr del 10.244.1.1/32 dev cw-vxlan; ip addr add 10.244.1.1/32 dev cw-vxlan')
  assert.equal(routes(), 0)
  assert.equal(await scene.pass(), 1)
  assert.equal(await scene.pass(), 0)
  assert.equal(routes(), others)
  assert.equal(scene.told, '')
})

// a rule of somebody else, even one that is gone, makes the kernel keep the table local apart for ever: so this needs a namespace of its own
test('an address of a pod of another node is told as one cause where the kernel names the table main for it', async () => {
  for (const routing of ['vxlan', 'native'] as const) {
    using scene = new Scene(routing)
    for (let pass = 0; pass < 3; pass++) await scene.pass()
    // the address by which this node asks about packets of that one's pods
    scene.host.sh('ip addr add 10.244.2.2/32 dev lo; ip addr add fd10:244:0:2::2/128 dev lo nodad')
    for (let pass = 0; pass < 3; pass++) await scene.pass()
    assert.match(
      scene.told,
      /^CW1303 device\/lo: packets to 10\.244\.2\.2 of node-2, fd10:244:0:2::2 of node-2 do not .*: address 10\.244\.2\.2 on device lo of this node; address fd10:244:0:2::2 on/,
    )
    assert.equal(scene.told.split('\n').length, 1, scene.told)
    scene.host.sh('ip addr del 10.244.2.2/32 dev lo; ip addr del fd10:244:0:2::2/128 dev lo')
    for (let pass = 0; pass < 2; pass++) assert.equal(await scene.pass(), 0)
    assert.equal(scene.told, '')
  }
})

test("another network's bridge with this node's pod CIDR is one cause too, where the kernel names the table main for its address", async () => {
  using scene = new Scene('vxlan')
  for (let pass = 0; pass < 3; pass++) await scene.pass()
  const fault = faults.find(({ name }) => name.startsWith("another network's bridge"))!
  scene.host.sh(fault.make)
  for (let pass = 0; pass < 2; pass++) await scene.pass()
  for (const pattern of fault.tells) assert.match(scene.told, pattern)
  assert.equal(scene.told.split('\n').length, fault.tells.length, scene.told)
})
