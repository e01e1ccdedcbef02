// Changes the MTU of a running pod and brings back its limit, in the same way for every datapath that gives pods a veth.
import { findLink, linkSet } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listRootQdiscs } from '#/kernel/qdiscs.ts'
import { listRoutes, routeReplace } from '#/kernel/routes.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { Netns } from '#/sys/netns.ts'
import { type PodInterface, type PodNetwork } from './datapath.ts'
import { judgeLimit } from './limit.ts'
import { podRoutes, refuseAdvertisements } from './pod-side.ts'

/**
 * Sets the MTU of a pod's device and of its routes that lead through the tunnel, and the limit on what it sends, where they differ; returns
 * whether any did.
 * The veth's host end has the MTU that was set last: when the pod's end differs from it, a later plugin changed the pod's end,
 * which then keeps its MTU. A missing route is not made again. Throws KernelError, and the errno of open(2) when the namespace
 * is gone.
 */
export function refreshPod(netlink: Netlink, podInterface: PodInterface, network: PodNetwork): boolean {
  const { ifName, hostDevice } = podInterface
  const wanted = { mtuBytes: network.deviceMtuBytes }
  using netns = new Netns(podInterface.netns)
  using inside = Netlink.brief(netns)
  const host = findLink(netlink, hostDevice)
  const pod = findLink(inside, ifName)
  // a device that is not the other end of our veth is another pod's: the namespace's path was used again
  if (host === undefined || pod?.peerIndex !== host.index) return false
  netns.run(() => refuseAdvertisements(ifName))
  const isOurs = pod.mtuBytes === host.mtuBytes
  const podChanges = isOurs && pod.mtuBytes !== wanted.mtuBytes ? [linkSet(ifName, wanted)] : []
  const routes = listRoutes(inside)
  for (const { dst, gateway, mtuBytes } of podRoutes(podInterface.addrs, network)) {
    if (mtuBytes === undefined) continue
    const found = routes.find(
      (route) =>
        route.dst.equals(dst) && route.nextHops.some((hop) => hop.oif === pod.index && hop.gateway?.equals(gateway)),
    )
    if (found && found.mtuBytes !== mtuBytes) podChanges.push(routeReplace({ ...found, mtuBytes }, () => ifName))
  }
  const limit = judgeLimit(pod, podLimits(podInterface.bandwidth).egress, () => listRootQdiscs(inside).get(pod.index))
  // another discipline may be what the pod itself wants; CNI CHECK tells of it
  if (limit.kind === 'lost') podChanges.push(limit.remedy)
  // the host's end comes last: while it has the old MTU, a retry knows that this attempt was interrupted
  inside.execute(...podChanges)
  if (host.mtuBytes !== wanted.mtuBytes) netlink.execute(linkSet(hostDevice, wanted))
  return podChanges.length > 0 || host.mtuBytes !== wanted.mtuBytes
}
