// Namespaces, cables and addresses of a lab with racks. The routing daemons set up routes, this code sets up none.
//
//   switches: [subnet-1]──[rack-1]═══[nodes] rack-1 [spine]═══[rack-1] router (the spine)
//
// Every function makes sure of a state, any part of which may exist already.
import { addressAdd } from '#/kernel/addresses.ts'
import { bridgeAdd, findLink, linkSet } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { deviceMac } from '#/model/names.ts'
import { type Netns } from '#/sys/netns.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { writeSysctl } from '#/sys/sysctl.ts'
import { type LabSpec, switchesNetns } from '../spec.ts'
import { bridgeOf, ensureCable, ensureNetns, ensurePort, forwardIn } from '../underlay.ts'
import { nodesDevice, type Router, routersOf, spineDevice } from './fabric.ts'

export function ensureRacks(spec: LabSpec): void {
  using switches = ensureSwitches(spec)
  const [spine, ...tors] = routersOf(spec) as [Router, ...Router[]]
  using spineNetns = ensureRouterNetns(spine)
  for (const tor of tors) ensureTor(spec, tor, switches, spineNetns)
  address(spine, spineNetns, spec.underlayMtuBytes)
}

/** Makes the bridges that only switch. */
function ensureSwitches(spec: LabSpec): Netns {
  const netns = ensureNetns(switchesNetns(spec.name))
  netns.run(() => writeSysctl('net/ipv6/conf/default/disable_ipv6', '1'))
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  for (let subnet = 1; subnet <= spec.subnets; subnet++) {
    const name = bridgeOf(subnet)
    if (!findLink(netlink, name)) netlink.execute(bridgeAdd(name, deviceMac(name, 'switches')))
    netlink.execute(linkSet(name, { mtuBytes: spec.underlayMtuBytes, isUp: true }))
  }
  return netns
}

function ensureRouterNetns(router: Router): Netns {
  const netns = ensureNetns(router.netns)
  forwardIn(netns)
  netns.run(() => {
    // hash ports too, else all flows between two nodes take the same one of several paths
    writeSysctl('net/ipv4/fib_multipath_hash_policy', '1')
    writeSysctl('net/ipv6/fib_multipath_hash_policy', '1')
  })
  return netns
}

function ensureTor(spec: LabSpec, tor: Router, switches: Netns, spine: Netns): void {
  using netns = ensureRouterNetns(tor)
  const mtuBytes = spec.underlayMtuBytes
  const owner = tor.name
  ensureCable({ netns, device: nodesDevice, owner }, { netns: switches, device: tor.name, owner }, mtuBytes)
  ensureCable({ netns, device: spineDevice, owner }, { netns: spine, device: tor.name, owner }, mtuBytes)
  using switchLinks = new Netlink(NETLINK_ROUTE, switches)
  ensurePort(switchLinks, tor.name, tor.rack!.number, mtuBytes)
  address(tor, netns, mtuBytes)
}

function address(router: Router, netns: Netns, mtuBytes: number): void {
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  const loopback = findLink(netlink, 'lo')!
  for (const addr of router.loopbacks) netlink.execute(addressAdd(loopback, addr, addr.bits))
  for (const { device, addrs } of router.links) {
    netlink.execute(linkSet(device, { mtuBytes, isUp: true }))
    const link = findLink(netlink, device)!
    for (const { addr, prefixLength } of addrs) netlink.execute(addressAdd(link, addr, prefixLength))
  }
}
