// What hangs on our devices comes back in one pass, also what the kernel takes along without a notification; and the sysctls of our
// devices are ours, whatever "default" was when they were made.
import assert from 'node:assert/strict'
import { afterEach, mock, test } from 'node:test'
import { allDrivers } from '#/agent/network/drivers.ts'
import { planBridge } from '#/datapath/bridge/plan.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { deviceMac, overlayMetric, vxlanName } from '#/model/names.ts'
import { type DesiredNetwork, emptyNetwork } from '#/model/network.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { routedSysctls } from '#/plan/device-sysctls.ts'
import { type DesiredRoute } from '#/model/network.ts'
import { type Comparison } from '#/reconcile/driver.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { SysctlDriver } from '#/reconcile/sysctl-driver.ts'
import { TestNetns } from './namespace.ts'

const { compare } = SysctlDriver.prototype

afterEach(() => mock.restoreAll())

const port = 'cwv0123456789a'

function wantedNetwork(): DesiredNetwork {
  const bridge = planBridge({
    nodeName: 'node-1',
    families: [4, 6],
    served: [Prefix.parse('10.244.1.0/24'), Prefix.parse('fd10:244:0:1::/64')],
  })
  const routes = ['10.244.2.0/24', 'fd10:244:0:2::/64'].map((text): DesiredRoute => {
    const dst = Prefix.parse(text)
    return {
      kind: 'overlay',
      dst,
      metric: overlayMetric(dst),
      device: vxlanName,
      gateway: Addr.parse(dst.family === 4 ? '169.254.42.1' : 'fe80::4243'),
      mtuBytes: 1400,
      encap: { vni: 1, src: Addr.parse('172.30.1.1'), dst: Addr.parse('172.30.1.2') },
      node: 'node-2',
    }
  })
  return {
    ...emptyNetwork,
    sysctls: [...bridge.sysctls, ...routedSysctls(vxlanName, [4, 6])],
    links: [
      ...bridge.links,
      { kind: 'vxlan', name: vxlanName, mac: deviceMac(vxlanName, 'node-1'), mtuBytes: 1450, port: 8472 },
    ],
    ports: [{ name: port, pod: 'default/web', datapath: 'bridge' }],
    addresses: [
      ...bridge.addresses,
      { device: vxlanName, addr: Addr.parse('10.244.1.1'), prefixLength: 32 },
      { device: vxlanName, addr: Addr.parse('fd10:244:0:1::1'), prefixLength: 128 },
    ],
    routes,
  }
}

class Host implements Disposable {
  readonly host = new TestNetns()
  readonly #netlink = new Netlink(0, this.host.netns)
  readonly #reconciler: Reconciler
  #monotonicMs = 0

  constructor() {
    this.host.sh(`ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
      ip link add ${port} mtu 1450 up type veth peer name pod0 mtu 1450; ip link set pod0 up`)
    // sysctls belong to the namespace of the calling thread
    const { host } = this
    mock.method(SysctlDriver.prototype, 'compare', function (this: SysctlDriver, network: DesiredNetwork): Comparison {
      const comparison = host.netns.run(() => compare.call(this, network))
      const changes = comparison.changes.map((change) => {
        const { work } = change
        return 'call' in work ? { ...change, work: { call: () => host.netns.run(() => work.call()) } } : change
      })
      return { ...comparison, changes }
    })
    const pods = { isInUse: () => true, hostMtuBytes: () => 1450, rewire() {} }
    const drivers = allDrivers(this.#netlink, {} as NftClient, pods)
    this.#reconciler = new Reconciler({
      netlink: this.#netlink,
      drivers: drivers.filter(({ kind }) => kind !== 'table' && kind !== 'forward'),
      log: silent,
      nowMs: Date.now,
      // long after the last fault: none is one of many in a row
      monotonicMs: () => (this.#monotonicMs += 3_600_000),
    })
  }

  async apply(...kinds: ObjectKind[]): Promise<void> {
    assert.equal(await this.tryOnce(...kinds), 0, JSON.stringify(this.#reconciler.failures))
  }

  /** Returns how many objects failed. */
  async tryOnce(...kinds: ObjectKind[]): Promise<number> {
    const options = { isComplete: true, ...(kinds.length > 0 && { kinds: new Set(kinds) }) }
    const { failed } = await this.#reconciler.apply(wantedNetwork(), options)
    return failed
  }

  /** All that the plan asks for, as the kernel shows it. */
  get all(): string {
    const mac = 's/ *link.*//'
    return this.host.sh(`ip -br link | awk '{print $1}' | sort; ip route show proto 67; ip -6 route show proto 67
      for d in cw-br0 cw-vxlan ${port}; do ip link show $d | grep -o '<.*mtu [0-9]*'; done
      ip -d link show cw-br0 | grep -o 'stp_state [0-9]'
      ip -d link show ${port} | tr ' ' '\\n' | grep -A1 -E '^(state|hairpin|learning|flood|[mb]cast_flood|neigh_suppress|isolated|locked)$'
      ip -br addr show cw-br0 | sed '${mac}' | tr ' ' '\\n' | grep / | sort; ip -br addr show cw-vxlan | grep -o '[^ ]*/\\(32\\|128\\)'
      cat /proc/sys/net/ipv4/conf/cw-br0/forwarding /proc/sys/net/ipv4/conf/cw-vxlan/forwarding
      cat /proc/sys/net/ipv6/conf/cw-br0/disable_ipv6 /proc/sys/net/ipv6/conf/cw-vxlan/disable_ipv6
      cat /proc/sys/net/ipv6/conf/cw-br0/accept_ra /proc/sys/net/ipv6/conf/cw-vxlan/accept_ra`)
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]()
    this.host[Symbol.dispose]()
  }
}

/** Each fault with the kinds that its notifications make dirty; none: everything. */
const faults: readonly (readonly [command: string, ...kinds: ObjectKind[]])[] = [
  ['ip addr del 10.244.1.1/32 dev cw-vxlan; ip addr del fd10:244:0:1::1/128 dev cw-vxlan', 'address'],
  ['ip addr flush dev cw-br0 scope link', 'address'],
  ['ip addr del fd10:244:0:1::1/64 dev cw-br0; ip addr del 10.244.1.1/24 dev cw-br0', 'address'],
  ['sysctl -qw net.ipv6.conf.cw-vxlan.disable_ipv6=1', 'sysctl'],
  ['sysctl -qw net.ipv6.conf.cw-br0.disable_ipv6=1', 'sysctl'],
  ['sysctl -qw net.ipv4.conf.cw-br0.forwarding=0 net.ipv6.conf.cw-br0.accept_ra=2', 'sysctl'],
  ['ip link set cw-br0 mtu 1300', 'link'],
  // below 1280 bytes the device loses IPv6, with all its addresses and sysctls
  ['ip link set cw-br0 mtu 600', 'link'],
  ['ip link set cw-br0 mtu 1600', 'port'],
  ['ip link set cw-vxlan mtu 1200', 'link'],
  ['ip link set cw-br0 arp off; ip link set cw-vxlan arp off', 'link'],
  ['ip link set cw-br0 type bridge stp_state 1', 'link'],
  [`bridge link set dev ${port} isolated on`, 'port'],
  [`bridge link set dev ${port} learning off flood off mcast_flood off neigh_suppress on hairpin off`, 'port'],
  [`bridge link set dev ${port} bcast_flood off locked on`, 'port'],
  [`bridge link set dev ${port} state 4`, 'port'],
  [`ip link set ${port} nomaster`, 'port'],
  [`ip link set ${port} mtu 1300`, 'port', 'link'],
  ['ip link del cw-vxlan', 'link'],
  ['ip link del cw-br0', 'link'],
  ['ip link set cw-vxlan down', 'link'],
  ['ip link set cw-br0 down', 'link'],
  ['ip link set cw-vxlan down; ip link set cw-vxlan name foo0; ip link set foo0 up'],
  ['ip link set cw-br0 down; ip link set cw-br0 name foo1; ip link set foo1 up'],
]

test('what hangs on an object comes back in the pass that makes the object anew', async () => {
  using node = new Host()
  await node.apply()
  const before = node.all
  for (const [command, ...kinds] of faults) {
    node.host.sh(command)
    await node.apply(...kinds)
    assert.equal(node.all, before, command)
  }
})

test('a port too narrow for IPv6, which takes it from the bridge, is mended, and what hung on the bridge by the next pass', async () => {
  using node = new Host()
  await node.apply()
  const before = node.all
  node.host.sh(`ip link set ${port} mtu 1000`)
  await node.tryOnce()
  await node.apply()
  assert.equal(node.all, before)
})

test('devices made under unfriendly defaults forward and have IPv6', async () => {
  using friendly = new Host()
  await friendly.apply()
  mock.restoreAll()
  using node = new Host()
  node.host.sh(`sysctl -qw net.ipv4.conf.default.forwarding=0 net.ipv6.conf.default.disable_ipv6=1
    sysctl -qw net.ipv6.conf.default.accept_ra=2 net.ipv6.conf.default.addr_gen_mode=1`)
  await node.apply()
  assert.equal(node.all, friendly.all)
})
