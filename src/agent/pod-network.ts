// Wires one pod: a veth between bridge and pod namespace, addresses, routes. And takes it away again.
import { createHash } from 'node:crypto'
import { type Addr, Prefix } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { addressAdd } from '#/kernel/addresses.ts'
import { bridgePortSet, findLink, linkDelete, linkSet, vethAdd } from '#/kernel/links.ts'
import { isNoDevice, Netlink } from '#/kernel/netlink.ts'
import { tbfReplace } from '#/kernel/qdiscs.ts'
import { listRoutes, routeReplace } from '#/kernel/routes.ts'
import { bridgeName, deviceMac, portPrefix } from '#/model/names.ts'
import { type PodAddress } from '#/model/network.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { Netns } from '#/sys/netns.ts'
import { writeSysctl } from '#/sys/sysctl.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type Attachment, type Endpoint } from './endpoints.ts'

/** What is the same for all pods of the node at one time. */
export type PodNetwork = {
  readonly podCIDRs: readonly Prefix[]
  /** Routes besides the default one, which lower the MTU for what may go through the tunnel. */
  readonly overlay: readonly { readonly dst: Prefix; readonly mtuBytes: number }[]
  readonly deviceMtuBytes: number
}

/** Whether packets that fitted before may not any more. */
export function isLower(network: PodNetwork, before: PodNetwork): boolean {
  const isNarrower = ({ dst, mtuBytes }: PodNetwork['overlay'][number]): boolean =>
    before.overlay.some((other) => other.dst.equals(dst) && mtuBytes < other.mtuBytes)
  return network.deviceMtuBytes < before.deviceMtuBytes || network.overlay.some(isNarrower)
}

export class PodNetworkError extends Error {
  override name = 'PodNetworkError'
}

/** The host's end of an attachment's veth: the same on every attempt, so that a half-done one is found again. */
export function hostDeviceOf({ containerId, ifName }: Attachment): string {
  return portPrefix + createHash('sha1').update(`${containerId} ${ifName}`).digest('hex').slice(0, 11)
}

/** Derived, so that a veth made anew has the MAC that the ADD told. */
export function hostMacOf({ hostDevice, containerId }: Endpoint): string {
  return deviceMac(hostDevice, containerId)
}

export type PodRoute = { readonly dst: Prefix; readonly gateway: Addr; readonly mtuBytes?: number }

/** What a pod needs to reach everything by way of the gateway, per family of its addresses. */
export function podRoutes(addrs: readonly PodAddress[], { overlay }: PodNetwork): PodRoute[] {
  return addrs.flatMap(({ addr, cidr }) => {
    const gateway = cidr.at(1)
    const anywhere = Prefix.parse(addr.family === 4 ? '0.0.0.0/0' : '::/0')
    return [
      { dst: anywhere, gateway },
      ...overlay
        .filter(({ dst }) => dst.family === addr.family)
        .map(({ dst, mtuBytes }) => ({ dst, gateway, mtuBytes })),
    ]
  })
}

const RTPROT_BOOT = 3

/** Behind all that lead there already: those of the sandbox's first network stay in use when it is given a second one. */
function metricAfter(routes: readonly Route[], { dst }: PodRoute): number {
  return Math.max(-1, ...routes.filter((route) => route.dst.equals(dst)).map(({ metric }) => metric)) + 1
}

/** The route in the pod's namespace, where its interface has this index. */
function kernelRoute(index: number, { dst, gateway, mtuBytes }: PodRoute, metric: number): Route {
  return {
    dst,
    type: 'unicast',
    protocol: RTPROT_BOOT,
    table: RT_TABLE_MAIN,
    metric,
    scope: RT_SCOPE_UNIVERSE,
    nextHops: [{ oif: index, gateway }],
    ...(mtuBytes !== undefined && { mtuBytes }),
  }
}

function configurePod(netns: Netns, endpoint: Endpoint, network: PodNetwork): void {
  const { ifName } = endpoint
  const hasV6 = endpoint.addrs.some(({ addr }) => addr.family === 6)
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
  const { egress } = podLimits(endpoint.bandwidth)
  const before = listRoutes(netlink)
  netlink.execute(
    linkSet(ifName, { isUp: true }),
    linkSet('lo', { isUp: true }),
    ...endpoint.addrs.map(({ addr, cidr }) => addressAdd(pod, addr, cidr.length)),
    ...podRoutes(endpoint.addrs, network).map((route) =>
      routeReplace(kernelRoute(pod.index, route, metricAfter(before, route)), () => ifName),
    ),
    // in the pod, where a full queue makes its sockets wait; at the host's end packets could only be dropped
    ...(egress ? [tbfReplace(pod, egress)] : []),
  )
}

/**
 * Makes the pod's network. Whatever an earlier attempt left is replaced. Throws PodNetworkError when the namespace is gone
 * or the interface exists already, KernelError when the kernel refuses; then nothing of it stays.
 */
export function wirePod(netlink: Netlink, endpoint: Endpoint, network: PodNetwork): void {
  const bridge = findLink(netlink, bridgeName)
  if (bridge?.kind !== 'bridge') throw new PodNetworkError(`bridge ${bridgeName} is not there yet`)
  unwirePod(netlink, endpoint)
  using netns = new Netns(endpoint.netns)
  try {
    netlink.execute(
      vethAdd({
        name: endpoint.hostDevice,
        mac: hostMacOf(endpoint),
        bridgeIndex: bridge.index,
        peerName: endpoint.ifName,
        peerMac: endpoint.mac,
        peerNetnsFd: netns.fd,
        mtuBytes: network.deviceMtuBytes,
      }),
    )
    const { ingress } = podLimits(endpoint.bandwidth)
    const host = ingress && findLink(netlink, endpoint.hostDevice)
    netlink.execute(
      ...bridgePortSet(endpoint.hostDevice, endpoint.pod, bridge),
      ...(host ? [tbfReplace(host, ingress)] : []),
    )
    configurePod(netns, endpoint, network)
  } catch (error) {
    try {
      unwirePod(netlink, endpoint)
    } catch (second) {
      throw new PodNetworkError(`${messageOf(error)}; and what was made of it stays: ${messageOf(second)}`)
    }
    throw error
  }
}

/** Removes the veth, and with it the pod's end, wherever that is. No error when it is gone already. */
export function unwirePod(netlink: Netlink, { hostDevice }: { hostDevice: string }): void {
  try {
    netlink.execute(linkDelete(hostDevice))
  } catch (error) {
    if (!isNoDevice(error)) throw error
  }
}

/** Whether the namespace has a device of that name. */
export function hasDevice(netnsPath: string, name: string): boolean {
  using netns = new Netns(netnsPath)
  using netlink = new Netlink(NETLINK_ROUTE, netns)
  return findLink(netlink, name) !== undefined
}
