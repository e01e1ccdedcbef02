// A node of ours among flannel nodes, which are made by hand with the kernel state that flannel makes
// (flannel: pkg/backend/vxlan). Both sides know of each other by flannel's annotations alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allDrivers } from '#/agent/network/drivers.ts'
import { bridgeDatapath } from '#/datapath/bridge/bridge.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { flannelAnnotationsFor, flannelEndOf } from '#/model/flannel.ts'
import { deviceMac, vxlanName } from '#/model/names.ts'
import { type NodeState } from '#/model/network.ts'
import { NodeWays } from '#/plan/node-ways.ts'
import { planNetwork } from '#/plan/network.ts'
import { RemoteNodes } from '#/plan/remote-nodes.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { TestNetns } from './namespace.ts'

const settings = {
  clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'].map(Prefix.parse),
  vni: 1,
  vxlanPort: 8472,
  opensForwardChains: true,
  routing: 'vxlan' as const,
}
const flannelMac = (number: number): string => `9e:00:00:00:00:0${number}`

/** A node's place on the underlay and its pod CIDRs. */
function stateOf(number: number, annotations?: Record<string, string>): NodeState {
  const end = annotations && flannelEndOf({ metadata: { name: `node-${number}`, annotations } })?.end
  return {
    name: `node-${number}`,
    podCIDRs: [Prefix.parse(`10.244.${number}.0/24`), Prefix.parse(`fd10:244:0:${number}::/64`)],
    addrs: end?.publicAddrs ?? [Addr.parse(`172.30.1.${number}`), Addr.parse(`fd30::${number}`)],
    ...(end && { vtepMacs: end.vtepMacs }),
  }
}

/** What flannel writes on its own nodes (the annotations are of its documentation, not made by our code). */
function flannelsOwn(number: number): Record<string, string> {
  const prefix = 'flannel.alpha.coreos.com'
  return {
    [`${prefix}/kube-subnet-manager`]: 'true',
    [`${prefix}/backend-type`]: 'vxlan',
    [`${prefix}/backend-data`]: `{"VNI":1,"VtepMAC":"${flannelMac(number)}"}`,
    [`${prefix}/backend-v6-data`]: `{"VNI":1,"VtepMAC":"${flannelMac(number)}"}`,
    [`${prefix}/public-ip`]: `172.30.1.${number}`,
    [`${prefix}/public-ipv6`]: `fd30::${number}`,
  }
}

class Underlay implements Disposable {
  readonly switch = new TestNetns()
  readonly nodes = new Map<number, TestNetns>()
  readonly pods = new Map<number, TestNetns>()

  constructor(count: number) {
    this.switch.sh('ip link add br0 type bridge; ip link set br0 up')
    for (let number = 1; number <= count; number++) {
      const node = new TestNetns()
      const pod = new TestNetns()
      this.nodes.set(number, node)
      this.pods.set(number, pod)
      this.switch.sh(`ip link add port${number} master br0 up type veth peer name eth0 netns ${node.name}`)
      node.sh(`ip link set lo up; ip link set eth0 up; ip addr add 172.30.1.${number}/24 dev eth0
        ip addr add fd30::${number}/64 dev eth0 nodad; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`)
    }
  }

  /** A pod behind a bridge of the node that is there already. */
  wirePod(number: number, bridge: string): void {
    const pod = this.pods.get(number)!
    this.nodes.get(number)!.sh(`ip link add veth0 master ${bridge} up type veth peer name eth0 netns ${pod.name}`)
    pod.sh(`ip link set lo up; ip link set eth0 up; ip addr add 10.244.${number}.9/24 dev eth0
      ip addr add fd10:244:0:${number}::9/64 dev eth0 nodad
      ip route add default via 10.244.${number}.1 mtu 1430; ip -6 route add default via fd10:244:0:${number}::1 mtu 1430`)
  }

  ping(from: number, to: number): void {
    for (const addr of [`10.244.${to}.9`, `fd10:244:0:${to}::9`]) {
      // of full size too: the tunnel's overhead must fit
      for (const size of [56, 1370]) this.pods.get(from)!.sh(`ping -c1 -W3 -M do -s ${size} ${addr}`)
    }
  }

  [Symbol.dispose](): void {
    for (const netns of [...this.nodes.values(), ...this.pods.values(), this.switch]) netns[Symbol.dispose]()
  }
}

/** flannel's device and bridge, and per other node its neighbour, FDB entry and route, as flannel makes them. */
function makeFlannelNode(
  underlay: Underlay,
  number: number,
  others: readonly [number, Record<string, string>][],
): void {
  const node = underlay.nodes.get(number)!
  const families = [
    { device: 'flannel.1', own: `172.30.1.${number}`, cidr: (n: number) => `10.244.${n}.0`, length: 24, v6: '' },
    { device: 'flannel-v6.1', own: `fd30::${number}`, cidr: (n: number) => `fd10:244:0:${n}::`, length: 64, v6: '-6' },
  ]
  node.sh(`ip link add cni0 type bridge; ip link set cni0 up; ip addr add 10.244.${number}.1/24 dev cni0
    ip addr add fd10:244:0:${number}::1/64 dev cni0 nodad`)
  for (const { device, own, cidr, length, v6 } of families) {
    node.sh(`ip link add ${device} address ${flannelMac(number)} type vxlan id 1 local ${own} dev eth0 dstport 8472 nolearning
      ip ${v6} addr add ${cidr(number)}/${v6 ? 128 : 32} dev ${device} ${v6 && 'nodad'}; ip link set ${device} up`)
    for (const [other, annotations] of others) {
      const { vtepMacs, publicAddrs } = flannelEndOf({ metadata: { name: 'x', annotations } })!.end
      const family = v6 ? 6 : 4
      const dst = publicAddrs.find((addr) => addr.family === family)
      node.sh(`ip neigh replace ${cidr(other)} lladdr ${vtepMacs[family]} dev ${device} nud permanent
        bridge fdb append ${vtepMacs[family]} dev ${device} dst ${dst} self permanent
        ip ${v6} route replace ${cidr(other)}/${length} via ${cidr(other)} dev ${device} onlink`)
    }
  }
  underlay.wirePod(number, 'cni0')
}

/** Brings about what our agent would, on a node that has these others. */
async function makeOurNode(underlay: Underlay, self: NodeState, others: readonly NodeState[]): Promise<void> {
  const number = Number(self.name.split('-')[1])
  const { netns } = underlay.nodes.get(number)!
  const mtus = { 4: 1500, 6: 1500 }
  const remoteNodes = new RemoteNodes({
    self,
    underlay: mtus,
    connected: [],
    ways: new NodeWays(),
    routing: 'vxlan',
    settings,
  })
  remoteNodes.update(others.map((other) => [other.name, other]))
  const { network } = planNetwork({
    remoteNodes,
    isComplete: true,
    keepsOverlay: false,
    underlay: mtus,
    ports: [],
    datapaths: [bridgeDatapath],
    settings,
  })
  using netlink = new Netlink(0, netns)
  using nftables = new NftClient(netns)
  const reconciler = new Reconciler({
    netlink,
    drivers: allDrivers(netlink, nftables, { isInUse: () => true, rewire() {} }),
    log: silent,
    nowMs: Date.now,
  })
  // the sysctls belong to the namespace of the calling thread, which here is the machine's
  assert.equal((await reconciler.apply({ ...network, sysctls: [] }, { isComplete: true })).failed, 0)
  underlay.nodes.get(number)!.sh('sysctl -qw net.ipv6.conf.cw-br0.accept_dad=0')
  underlay.wirePod(number, 'cw-br0')
}

const ours = (number: number): Record<string, string> =>
  flannelAnnotationsFor({
    vni: 1,
    mac: deviceMac(vxlanName, `node-${number}`),
    addrs: [Addr.parse(`172.30.1.${number}`), Addr.parse(`fd30::${number}`)],
  })

test('a cluster is moved node by node: pods of flannel nodes and of ours reach each other, both families, full size', async () => {
  using underlay = new Underlay(4)
  // 1 and 2 have been moved, 3 and 4 have not
  const annotations = new Map([
    [1, ours(1)],
    [2, ours(2)],
    [3, flannelsOwn(3)],
    [4, flannelsOwn(4)],
  ])
  const othersOf = (number: number) => [...annotations].filter(([other]) => other !== number)
  for (const number of [3, 4]) makeFlannelNode(underlay, number, othersOf(number))
  for (const number of [1, 2]) {
    const others = othersOf(number).map(([other, of]) => stateOf(other, of))
    await makeOurNode(underlay, stateOf(number), others)
  }
  for (const from of [1, 2, 3, 4]) for (const to of [1, 2, 3, 4]) if (from !== to) underlay.ping(from, to)
  const kernel = underlay.nodes.get(1)!
  assert.match(
    kernel.sh('ip route show 10.244.3.0/24'),
    /encap ip id 1 src 172\.30\.1\.1 dst 172\.30\.1\.3 .*via 10\.244\.3\.0 dev cw-vxlan/,
  )
  assert.match(kernel.sh('ip neigh show 10.244.3.0'), /dev cw-vxlan lladdr 9e:00:00:00:00:03 PERMANENT/)
  // flannel's nodes see nothing but flannel: its VNI, its port, the MACs of the annotations
  assert.match(
    underlay.nodes.get(3)!.sh('bridge fdb show dev flannel.1'),
    new RegExp(`${deviceMac(vxlanName, 'node-1')} dst 172\\.30\\.1\\.1 self permanent`),
  )
})

test('a node of ours without annotations, and those of a node that was moved with flannel gone, are the shared VTEP', async () => {
  using underlay = new Underlay(2)
  // node 2 is ours now, but still has the annotations that flannel left, with a MAC that no device has
  await makeOurNode(underlay, stateOf(1), [stateOf(2, flannelsOwn(2))])
  await makeOurNode(underlay, stateOf(2), [stateOf(1)])
  underlay.ping(1, 2)
  underlay.ping(2, 1)
})
