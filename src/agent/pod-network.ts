// Wires one pod: a veth between bridge and pod namespace, addresses, routes. And takes it away again.
import { createHash } from 'node:crypto'
import { type Addr, Prefix } from '#/lib/addr.ts'
import { addressAdd, listAddresses } from '#/kernel/addresses.ts'
import { bridgePortSet, findLink, linkDelete, linkSet, vethAdd } from '#/kernel/links.ts'
import { KernelError, Netlink } from '#/kernel/netlink.ts'
import { listRoutes, routeReplace, routeText } from '#/kernel/routes.ts'
import { bridgeName, podMac, portPrefix } from '#/model/names.ts'
import { Netns } from '#/sys/netns.ts'
import { writeSysctl } from '#/sys/sysctl.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type Attachment, type Endpoint } from './endpoints.ts'

/** What is the same for all pods of the node at one time. */
export type PodNetwork = {
  readonly podCIDRs: readonly Prefix[]
  /** Routes besides the default one, which lower the MTU for what goes through the tunnel. */
  readonly overlay: readonly { readonly dst: Prefix; readonly mtuBytes: number }[]
  readonly deviceMtuBytes: number
}

export class PodNetworkError extends Error {
  override name = 'PodNetworkError'
}

/** The host's end of an attachment's veth: the same on every attempt, so that a half-done one is found again. */
export function hostDeviceOf({ containerId, ifName }: Attachment): string {
  return portPrefix + createHash('sha1').update(`${containerId} ${ifName}`).digest('hex').slice(0, 11)
}

const RTPROT_BOOT = 3

/** What a pod's namespace needs to reach everything by way of the gateway, per family of its addresses. */
function routesOf(index: number, addrs: readonly Addr[], { podCIDRs, overlay }: PodNetwork): Route[] {
  return addrs.flatMap((addr) => {
    const gateway = podCIDRs.find((cidr) => cidr.contains(addr))!.at(1)
    const anywhere = Prefix.parse(addr.family === 4 ? '0.0.0.0/0' : '::/0')
    const via = {
      type: 'unicast',
      protocol: RTPROT_BOOT,
      table: RT_TABLE_MAIN,
      metric: 0,
      scope: RT_SCOPE_UNIVERSE,
      nextHops: [{ oif: index, gateway }],
    } as const
    return [
      { ...via, dst: anywhere },
      ...overlay
        .filter(({ dst }) => dst.family === addr.family)
        .map(({ dst, mtuBytes }) => ({ ...via, dst, mtuBytes })),
    ]
  })
}

function configurePod(netns: Netns, endpoint: Endpoint, network: PodNetwork): void {
  const { ifName } = endpoint
  const hasV6 = endpoint.addrs.some(({ family }) => family === 6)
  if (hasV6) {
    netns.run(() => {
      // runtimes switch IPv6 off in new namespaces; router advertisements of a neighbour pod must not count (CVE-2020-10749)
      writeSysctl(`net/ipv6/conf/${ifName}/disable_ipv6`, '0')
      writeSysctl(`net/ipv6/conf/${ifName}/accept_dad`, '0')
      writeSysctl(`net/ipv6/conf/${ifName}/accept_ra`, '0')
    })
  }
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  const pod = findLink(netlink, ifName)
  if (pod === undefined) throw new PodNetworkError(`the pod's ${ifName} vanished while it was set up`)
  const operations = [
    linkSet(ifName, { isUp: true }),
    linkSet('lo', { isUp: true }),
    ...endpoint.addrs.map((addr) => {
      const cidr = network.podCIDRs.find((each) => each.contains(addr))!
      return addressAdd(pod, addr, cidr.length)
    }),
    ...routesOf(pod.index, endpoint.addrs, network).map((route) => routeReplace(route, () => ifName)),
  ]
  const failed = netlink.executeAll(operations).find((error) => error !== undefined)
  if (failed) throw failed
}

/** The pod's end has this MAC. */
export function macOf(endpoint: Endpoint): string {
  return podMac(endpoint.addrs[0]!)
}

/**
 * Makes the pod's network. Whatever an earlier attempt left is replaced. Throws PodNetworkError when the namespace is gone
 * or the interface exists already, KernelError when the kernel refuses; then nothing of it stays.
 */
export function wirePod(netlink: Netlink, endpoint: Endpoint, network: PodNetwork): void {
  const bridge = findLink(netlink, bridgeName)
  if (bridge === undefined) throw new PodNetworkError(`bridge ${bridgeName} is not there yet`)
  unwirePod(netlink, endpoint)
  using netns = new Netns(endpoint.netns)
  try {
    netlink.execute(
      vethAdd({
        name: endpoint.hostDevice,
        bridgeIndex: bridge.index,
        peerName: endpoint.ifName,
        peerMac: macOf(endpoint),
        peerNetnsFd: netns.fd,
        mtuBytes: network.deviceMtuBytes,
      }),
    )
    const failed = netlink
      .executeAll(bridgePortSet(endpoint.hostDevice, endpoint.pod, bridge))
      .find((error) => error !== undefined)
    if (failed) throw failed
    configurePod(netns, endpoint, network)
  } catch (error) {
    unwirePod(netlink, endpoint)
    throw error
  }
}

/** Removes the veth, and with it the pod's end, wherever that is. No error when it is gone already. */
export function unwirePod(netlink: Netlink, { hostDevice }: { hostDevice: string }): void {
  try {
    netlink.execute(linkDelete(hostDevice))
  } catch (error) {
    if (!(error instanceof KernelError) || error.code !== 'ENODEV') throw error
  }
}

/** Whether the namespace has a device of that name. */
export function hasDevice(netnsPath: string, name: string): boolean {
  using netns = new Netns(netnsPath)
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  return findLink(netlink, name) !== undefined
}

/** What is wrong with a pod's network as the kernel has it now, in words; empty when it is as it was made. */
export function faultsOf(netlink: Netlink, endpoint: Endpoint, network: PodNetwork): string[] {
  const faults: string[] = []
  const bridge = findLink(netlink, bridgeName)
  const host = findLink(netlink, endpoint.hostDevice)
  if (host === undefined) return [`host device ${endpoint.hostDevice} is gone`]
  if (bridge === undefined) faults.push(`bridge ${bridgeName} is gone`)
  else if (host.master !== bridge.index) faults.push(`${host.name} is no port of ${bridgeName}`)
  if (!host.isUp) faults.push(`${host.name} is down`)
  using netns = new Netns(endpoint.netns)
  using inside = new Netlink(NETLINK_ROUTE, netns)
  const pod = findLink(inside, endpoint.ifName)
  if (pod === undefined) return [...faults, `${endpoint.ifName} is gone from ${endpoint.netns}`]
  if (!pod.isUp) faults.push(`${endpoint.ifName} is down`)
  const present = new Set(
    listAddresses(inside).flatMap(({ index, addr }) => (index === pod.index ? [String(addr)] : [])),
  )
  faults.push(...endpoint.addrs.filter((addr) => !present.has(String(addr))).map((addr) => `address ${addr} is gone`))
  const routes = new Set(listRoutes(inside).map(({ dst, nextHops }) => `${dst} ${nextHops[0]?.gateway ?? ''}`))
  for (const route of routesOf(pod.index, endpoint.addrs, network)) {
    const key = `${route.dst} ${route.nextHops[0]?.gateway ?? ''}`
    if (!routes.has(key)) faults.push(`route "${routeText(route, () => endpoint.ifName)}" is gone`)
  }
  return faults
}
