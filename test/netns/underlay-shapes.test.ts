// Underlays of other shapes than one subnet: which MTU and which way packets between pods get, in both families.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type DualNode, DualNodes, flat, podAddrs, type Shape } from './dual-nodes.ts'

/** As a host that speaks BGP has it: the node's address is on lo, and every link has addresses of its own. */
const addressOnLo: Shape = {
  addrs: (number) => [`192.0.2.${number}`, `2001:db8::${number}`],
  onNode: (number) => `ip addr add 192.0.2.${number}/32 dev lo; ip addr add 2001:db8::${number}/128 dev lo nodad
    ip link set eth0 mtu 1400; ip addr add 172.30.1.${number}/24 dev eth0; ip addr add fd30::${number}/64 dev eth0 nodad
    ip route add default via 172.30.1.254 src 192.0.2.${number}
    ip -6 route add default via fd30::fe src 2001:db8::${number}`,
  onRouter: [1, 2]
    .map(
      (number) =>
        `ip route add 192.0.2.${number} via 172.30.1.${number}; ip route add 2001:db8::${number} via fd30::${number}`,
    )
    .join('\n'),
}

/** Addresses with the length of one address, as DHCPv6 gives them, and routes that say what is on the link. */
const singleAddresses: Shape = {
  addrs: flat.addrs,
  onNode: (number) => `ip addr add 172.30.1.${number}/32 dev eth0; ip addr add fd30::${number}/128 dev eth0 nodad
    ip route add 172.30.1.0/24 dev eth0 scope ${number === 1 ? 'link' : 'global'}; ip route add fd30::/64 dev eth0`,
}

/** The node's address is not the first of its subnet, and not what the kernel prefers as source. */
const secondAddress: Shape = {
  addrs: flat.addrs,
  onNode: (number) => `ip addr add 172.30.1.10${number}/24 dev eth0; ip addr add fd30::10${number}/64 dev eth0 nodad
    ${flat.onNode(number)}`,
}

/** As in some clouds: nothing but the gateway is on the link. */
const allBehindRouter: Shape = {
  addrs: flat.addrs,
  onNode: (number) => `ip addr add 172.30.1.${number}/32 dev eth0; ip addr add fd30::${number}/128 dev eth0 nodad
    ip route add 172.30.1.254 dev eth0; ip route add fd30::fe dev eth0
    ip route add default via 172.30.1.254 mtu 1460; ip -6 route add default via fd30::fe mtu 1460`,
  onRouter: 'ip link set br0 type bridge mcast_snooping 0',
}

/** The same, with addresses of the length of the subnet, which has no route. */
const subnetBehindRouter: Shape = {
  addrs: flat.addrs,
  onNode: (number) => `ip addr add 172.30.1.${number}/24 dev eth0 noprefixroute
    ip addr add fd30::${number}/64 dev eth0 nodad noprefixroute
    ip route add 172.30.1.254 dev eth0; ip route add fd30::fe dev eth0
    ip route add default via 172.30.1.254; ip -6 route add default via fd30::fe`,
  onRouter: allBehindRouter.onRouter!,
}

/** As on a machine with several uplinks: the main table leads elsewhere than the rule for the node's address. */
const ruleForSource: Shape = {
  addrs: flat.addrs,
  onNode: (number) => `ip addr add 172.30.1.${number}/24 dev eth0 noprefixroute; ip link set eth0 mtu 1420
    ip addr add fd30::${number}/64 dev eth0 nodad noprefixroute; ip link add other0 up type veth peer name other1; ip link set other1 up
    ip addr add 192.0.2.1/24 dev other0; ip route add default via 192.0.2.254 dev other0
    ip -6 route add default via fe80::1 dev other0
    ip route add 172.30.1.0/24 dev eth0 table 100; ip route add default via 172.30.1.254 dev eth0 table 100
    ip route add fd30::/64 dev eth0 table 100; ip -6 route add default via fd30::fe dev eth0 table 100
    ip rule add pref 1000 from 172.30.1.${number} lookup 100; ip -6 rule add pref 1000 from fd30::${number} lookup 100`,
}

const addressOnDownDevice: Shape = {
  addrs: flat.addrs,
  onNode: (number) => `${flat.onNode(number)}; ip link add old0 mtu 9000 type veth peer name old1
    ip addr add 172.30.1.${number}/24 dev old0; ip addr add fd30::${number}/64 dev old0 nodad`,
}

/** Full packets between the pods. */
function cross({ pod }: DualNode, mtuBytes: readonly [number, number]): void {
  for (const [index, addr] of podAddrs(2).entries())
    pod.sh(`ping -n -c1 -W2 -M do -s ${mtuBytes[index]! - (index === 0 ? 28 : 48)} ${addr}`)
}

const mtusOf = ({ host }: DualNode): string =>
  host
    .sh('ip route show dev cw-vxlan; ip -6 route show dev cw-vxlan')
    .match(/ mtu \d+/g)
    ?.join() ?? ''

const deviceMtu = ({ podNetwork: { value } }: DualNode): unknown =>
  value.kind === 'there' ? value.network.deviceMtuBytes : value.why

const tunnelled: readonly (readonly [what: string, shape: Shape, underlay: number])[] = [
  ['the node’s address is on lo', addressOnLo, 1400],
  ['all nodes are behind a router', allBehindRouter, 1460],
  ['the node’s address is also on a device that is down', addressOnDownDevice, 1500],
  ['a rule leads packets of the node’s address', ruleForSource, 1420],
]

for (const [what, shape, underlay] of tunnelled) {
  test(`the MTU follows from the way to other nodes: ${what}`, async () => {
    using cluster = new DualNodes(shape)
    await cluster.start()
    const [one] = cluster.nodes
    assert.deepEqual(
      [mtusOf(one), deviceMtu(one), one.keeper.isolation, one.problems.replace(/^CW1203.*/gm, '')],
      [` mtu ${underlay - 50}, mtu ${underlay - 70}`, underlay, undefined, ''],
    )
    for (const node of cluster.nodes) node.wirePod()
    cross(one, [underlay - 50, underlay - 70])
    assert.equal(cluster.inTheClear, 0)
    // a narrower way is noticed
    one.host.sh('ip link set eth0 mtu 1350')
    await one.pass()
    assert.equal(mtusOf(one), ' mtu 1300, mtu 1280')
  })
}

test('nodes whose addresses have the length of one address reach each other natively where the kernel has them on a link', async () => {
  using cluster = new DualNodes(singleAddresses)
  const [one, two] = cluster.nodes
  for (const node of cluster.nodes) node.routing = 'native'
  cluster.underlay.sh('nft delete table netdev clear')
  await cluster.start()
  for (const node of cluster.nodes) node.wirePod()
  assert.equal(one.problems.replace(/^CW1203.*/gm, ''), '')
  cross(one, [1500, 1500])
  // where the route to the link does not have scope link, the kernel takes the next hop unseen
  assert.match(one.host.sh('ip route show 10.244.2.0/24'), /via 172\.30\.1\.2 dev eth0 proto 67 src \S+ metric \d+ $/m)
  assert.match(two.host.sh('ip route show 10.244.1.0/24'), / onlink/)
})

test('nodes on a link to which a rule leads reach each other natively in both families', async () => {
  using cluster = new DualNodes(ruleForSource)
  const [one] = cluster.nodes
  for (const node of cluster.nodes) node.routing = 'auto'
  cluster.underlay.sh('nft delete table netdev clear')
  await cluster.start()
  for (const node of cluster.nodes) node.wirePod()
  assert.deepEqual(
    one.keeper.verdicts.map(({ way }) => way),
    ['native', 'native'],
  )
  cross(one, [1420, 1420])
})

for (const [what, shape, way] of [
  ['all is behind the router', subnetBehindRouter, 'vxlan'],
  ['a rule leads to it', ruleForSource, 'native'],
] as const)
  test(`nodes that tell their pod CIDRs by BGP, on a subnet without a route in the main table, reach each other: ${what}`, async () => {
    using cluster = new DualNodes(shape)
    cluster.underlay.sh('nft delete table netdev clear')
    for (const node of cluster.nodes) {
      node.routing = 'auto'
      const other = 3 - node.number
      node.learned = flat.addrs(other).map((addr, index) => {
        const prefix = Prefix.parse([`10.244.${other}.0/24`, `fd10:244:0:${other}::/64`][index]!)
        const nextHops = [{ addr: Addr.parse(addr) }]
        return { prefix, route: { prefix, nextHops, peers: ['other'], isAllowed: false, isStale: false } }
      })
    }
    await cluster.start()
    for (const node of cluster.nodes) node.wirePod()
    assert.deepEqual(
      cluster.nodes[0].keeper.verdicts.map((verdict) => verdict.way),
      [way, way],
    )
    cross(cluster.nodes[0], [1350, 1350])
  })

test('a node whose address is not the first of its subnet is on the link all the same', async () => {
  using cluster = new DualNodes(secondAddress)
  const [one] = cluster.nodes
  one.routing = 'auto'
  await one.pass()
  assert.deepEqual(
    one.keeper.verdicts.map(({ way }) => way),
    ['native', 'native'],
  )
})

test('behind a router, auto takes the tunnel', async () => {
  using cluster = new DualNodes(allBehindRouter)
  const [one] = cluster.nodes
  one.routing = 'auto'
  await cluster.start()
  assert.deepEqual(
    one.keeper.verdicts.map(({ way }) => way),
    ['vxlan', 'vxlan'],
  )
  // the route of another's container is no reason to plan all nodes again
  const planOfOther = () => one.keeper.remoteNodes!.plans.get('node-2')
  const before = planOfOther()
  assert.ok(before)
  one.host.sh('ip link add cali0 up type veth peer name c0; ip link set c0 up; ip route add 10.9.0.7 dev cali0')
  await one.pass()
  assert.equal(planOfOther(), before)
})

test('an address on lo of a node without a default route is told', async () => {
  using cluster = new DualNodes({
    addrs: addressOnLo.addrs,
    onNode: (number) => `ip addr add 192.0.2.${number}/32 dev lo; ip addr add 2001:db8::${number}/128 dev lo nodad`,
  })
  const [one] = cluster.nodes
  await one.keeper.pass()
  assert.match(one.problems, /CW1207 node\/node-1: its address 192\.0\.2\.1 is on lo, and no IPv4 route leads out/)
  assert.match(one.keeper.isolation ?? '', /CW1207/)
})
