// The underlay of a lab: a namespace per node, and one more that is switch and router for all underlay subnets.
//
// With racks the router is the spine, and the bridges, without addresses, are in a namespace of their own: routers/underlay.ts.
//
//   node-1 [eth0]───[node-1]┐                 ┌[node-2]───[eth0] node-2
//                        bridge subnet-1   bridge subnet-2
//                           └────── router ──────┘   .1 in every subnet; forwards between them
//
// Every function makes sure of a state, any part of which may exist already.
import { readdirSync } from 'node:fs'
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import { addressAdd } from '#/kernel/addresses.ts'
import { bridgeAdd, cableAdd, findLink, linkSet } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { routeReplace } from '#/kernel/routes.ts'
import { deviceMac } from '#/model/names.ts'
import { createNetns, Netns, netnsFolder, netnsPath, removeNetns } from '#/sys/netns.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { writeSysctl } from '#/sys/sysctl.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN } from '#/wire/netlink/route.ts'
import {
  familiesOf,
  gatewaysOf,
  type LabNode,
  type LabSpec,
  netnsPrefix,
  nodeNetns,
  routerAddr,
  routerNetns,
  subnetCIDR,
  switchesNetns,
} from './spec.ts'
import { errorCode } from '#/lib/error-code.ts'

const RTPROT_BOOT = 3

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The names of all namespaces of a lab, of nodes and pods alike. */
export function labNetns(lab: string): string[] {
  return namesIn(netnsFolder).filter((name) => name.startsWith(netnsPrefix(lab)))
}

/** Opens a namespace; makes it when it is missing, or when only a plain file with its name is left. */
export function ensureNetns(name: string): Netns {
  try {
    const netns = new Netns(netnsPath(name))
    try {
      netns.run(() => {})
      return netns
    } catch {
      netns[Symbol.dispose]()
      removeNetns(name)
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  const made = createNetns(name)
  using netlink = new Netlink(NETLINK_ROUTE, made)
  netlink.execute(linkSet('lo', { isUp: true }))
  return made
}

export function forwardIn(netns: Netns): void {
  netns.run(() => {
    writeSysctl('net/ipv4/ip_forward', '1')
    writeSysctl('net/ipv6/conf/all/forwarding', '1')
    writeSysctl('net/ipv6/conf/default/accept_dad', '0')
  })
}

export function bridgeOf(subnet: number): string {
  return `subnet-${subnet}`
}

/** One end of a cable: a device of that name in a namespace. */
export type CableEnd = { readonly netns: Netns; readonly device: string; readonly owner: string }

/** Makes a veth from one namespace to another if the near end is missing. The owner of each end configures it. */
export function ensureCable(near: CableEnd, far: CableEnd, mtuBytes: number): void {
  using netlink = new Netlink(NETLINK_ROUTE, near.netns)
  if (findLink(netlink, near.device)) return
  const ends = [
    { name: near.device, netnsFd: near.netns.fd, mac: deviceMac(near.device, near.owner) },
    { name: far.device, netnsFd: far.netns.fd },
  ] as const
  netlink.execute(cableAdd(ends, mtuBytes))
}

/** Connects a device to the switch of a subnet. */
export function ensurePort(netlink: Netlink, device: string, subnet: number, mtuBytes: number): void {
  const bridge = findLink(netlink, bridgeOf(subnet))!
  netlink.execute(linkSet(device, { master: bridge.name, mtuBytes, isUp: true }, bridge.index))
}

/** Makes the router's namespace, bridges and gateway addresses. */
export function ensureRouter(spec: LabSpec): void {
  using netns = ensureNetns(routerNetns(spec.name))
  forwardIn(netns)
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  for (let subnet = 1; subnet <= spec.subnets; subnet++) {
    const name = bridgeOf(subnet)
    if (!findLink(netlink, name)) {
      netlink.execute(bridgeAdd(name, deviceMac(name, 'router')))
      // until its MTU is changed once, a bridge takes that of its narrowest port: a router with a switch before it does not
      netlink.execute(linkSet(name, { mtuBytes: spec.underlayMtuBytes + 1 }))
    }
    const bridge = findLink(netlink, name)!
    netlink.execute(linkSet(name, { mtuBytes: spec.underlayMtuBytes, isUp: true }))
    for (const family of familiesOf(spec)) {
      netlink.execute(addressAdd(bridge, routerAddr(family, subnet), subnetCIDR(family, subnet).length))
    }
  }
}

const anywhere = { 4: Prefix.parse('0.0.0.0/0'), 6: Prefix.parse('::/0') } as const

/** Makes the node's namespace with its eth0 connected to its subnet. */
export function ensureNode(spec: LabSpec, node: LabNode): void {
  using switches = new Netns(netnsPath(spec.racks ? switchesNetns(spec.name) : routerNetns(spec.name)))
  using switchLinks = new Netlink(NETLINK_ROUTE, switches)
  using netns = ensureNetns(nodeNetns(spec.name, node.name))
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  netns.run(() => writeSysctl('net/ipv6/conf/default/accept_dad', '0'))
  const mtuBytes = spec.underlayMtuBytes
  ensureCable(
    { netns, device: 'eth0', owner: node.name },
    { netns: switches, device: node.name, owner: node.name },
    mtuBytes,
  )
  ensurePort(switchLinks, node.name, node.subnet, mtuBytes)
  const eth0 = findLink(netlink, 'eth0')!
  netlink.execute(linkSet('eth0', { mtuBytes, isUp: true }))
  for (const addr of node.addrs) configure(netlink, eth0, addr, spec, node.subnet)
}

function configure(
  netlink: Netlink,
  eth0: { index: number; name: string },
  addr: Addr,
  spec: LabSpec,
  subnet: number,
): void {
  const family: Family = addr.family
  netlink.execute(addressAdd(eth0, addr, subnetCIDR(family, subnet).length))
  const route = {
    dst: anywhere[family],
    type: 'unicast',
    protocol: RTPROT_BOOT,
    table: RT_TABLE_MAIN,
    metric: 0,
    scope: RT_SCOPE_UNIVERSE,
    nextHops: gatewaysOf(spec, family, subnet).map((gateway) => ({ oif: eth0.index, gateway })),
  } as const
  netlink.execute(routeReplace(route, () => eth0.name))
}
