// Sets up a pod's own namespace, the same in every datapath: addresses, routes, sysctls, and the limit of what the pod sends.
import { findLinkIndex, linkSet } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { addressAdd } from '#/kernel/addresses.ts'
import { tbfReplace } from '#/kernel/qdiscs.ts'
import { listRoutes, routeReplace } from '#/kernel/routes.ts'
import { type Addr, Prefix } from '#/lib/addr.ts'
import { type PodAddress } from '#/model/network.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { Netns } from '#/sys/netns.ts'
import { readSysctl, writeSysctl } from '#/sys/sysctl.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type PodInterface, type PodNetwork, PodNetworkError } from './datapath.ts'

export type PodRoute = { readonly dst: Prefix; readonly gateway: Addr; readonly mtuBytes?: number }

const anywhere = { 4: Prefix.parse('0.0.0.0/0'), 6: Prefix.parse('::/0') } as const

/** The routes by which a pod reaches everything through its gateway, for each family of its addresses. */
export function podRoutes(addrs: readonly PodAddress[], { overlay }: PodNetwork): PodRoute[] {
  return addrs.flatMap(({ addr, cidr }) => {
    const gateway = cidr.at(1)
    return [
      { dst: anywhere[addr.family], gateway },
      ...overlay
        .filter(({ dst }) => dst.family === addr.family)
        .map(({ dst, mtuBytes }) => ({ dst, gateway, mtuBytes })),
    ]
  })
}

const RTPROT_BOOT = 3

/** The metric that comes after all routes to the same prefix: when a pod gets a second network, routes of the first stay in use. */
function metricAfter(routes: readonly Route[], { dst }: PodRoute): number {
  return Math.max(-1, ...routes.filter((route) => route.dst.equals(dst)).map(({ metric }) => metric)) + 1
}

/** The route as the kernel has it in the pod's namespace; `index` is the pod's interface there. */
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

/**
 * Has the pod's device take no router advertisements, which only another pod can send (CVE-2020-10749). That holds for pods without IPv6
 * addresses too: one advertisement would give them an address and a default route. For the pod's namespace as the calling thread's.
 */
export function refuseAdvertisements(ifName: string): void {
  const path = `net/ipv6/conf/${ifName}/accept_ra`
  try {
    writeSysctl(path, '0')
  } catch (error) {
    // a kernel without IPv6 has no such sysctl, and one that is right need not be writable
    const found = readSysctl(path)
    if (found !== undefined && found !== '0') throw error
  }
}

/** Configures the pod's end of a veth, which is already in the namespace. Throws PodNetworkError and KernelError. */
export function configurePod(netns: Netns, podInterface: PodInterface, network: PodNetwork): void {
  const { ifName } = podInterface
  const families = podInterface.addrs.map(({ addr }) => addr.family)
  // the namespace is entered once for all that has to be done in it
  using netlink = netns.run(() => {
    refuseAdvertisements(ifName)
    if (families.includes(6)) {
      // runtimes switch IPv6 off in new namespaces
      writeSysctl(`net/ipv6/conf/${ifName}/disable_ipv6`, '0')
      writeSysctl(`net/ipv6/conf/${ifName}/accept_dad`, '0')
    }
    return Netlink.brief()
  })
  const index = findLinkIndex(netlink, ifName)
  if (index === undefined) throw new PodNetworkError(`the pod's ${ifName} vanished while it was set up`)
  const pod = { index, name: ifName }
  const { egress } = podLimits(podInterface.bandwidth)
  const before = listRoutes(netlink, families)
  netlink.execute(
    linkSet(ifName, { isUp: true }),
    linkSet('lo', { isUp: true }),
    ...podInterface.addrs.map(({ addr, cidr }) => addressAdd(pod, addr, cidr.length)),
    ...podRoutes(podInterface.addrs, network).map((route) =>
      routeReplace(kernelRoute(pod.index, route, metricAfter(before, route)), () => ifName),
    ),
    // the limit is set in the pod, where a full queue makes sockets wait; at the host's end packets could only be dropped
    ...(egress ? [tbfReplace(pod, egress)] : []),
  )
}
