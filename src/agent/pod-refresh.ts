// Brings pods that run already to another MTU: a changed underlay or another overlay needs no new pods.
import { setImmediate } from 'node:timers/promises'
import { type Logger, messageOf } from '#/lib/log.ts'
import { findLink, linkSet } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listRoutes, routeReplace } from '#/kernel/routes.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { Netns } from '#/sys/netns.ts'
import { attachmentKey } from '#/wire/cni/index.ts'
import { type Endpoint, type EndpointStore } from './endpoints.ts'
import { type PodNetwork, podRoutes } from './pod-network.ts'

/**
 * Sets the MTU of a pod's device and of the routes that lead through the tunnel, where they differ; returns whether anything
 * did. The veth's host end has the MTU that was given last: a pod whose own end differs from it was changed by a later
 * plugin, and its device stays so; a route that is not there any more stays away. Throws KernelError, and the errno of
 * open(2) when the namespace is gone.
 */
export function refreshPod(netlink: Netlink, endpoint: Endpoint, network: PodNetwork): boolean {
  const { ifName, hostDevice } = endpoint
  const wanted = { mtuBytes: network.deviceMtuBytes }
  using netns = new Netns(endpoint.netns)
  using inside = new Netlink(NETLINK_ROUTE, netns)
  const host = findLink(netlink, hostDevice)
  const pod = findLink(inside, ifName)
  // what is not the other end of ours is another pod's, where the path was used again
  if (host === undefined || pod?.peerIndex !== host.index) return false
  const isOurs = pod.mtuBytes === host.mtuBytes
  const podChanges = isOurs && pod.mtuBytes !== wanted.mtuBytes ? [linkSet(ifName, wanted)] : []
  const routes = listRoutes(inside)
  for (const { dst, gateway, mtuBytes } of podRoutes(endpoint.addrs, network)) {
    if (mtuBytes === undefined) continue
    const found = routes.find(
      (route) =>
        route.dst.equals(dst) && route.nextHops.some((hop) => hop.oif === pod.index && hop.gateway?.equals(gateway)),
    )
    if (found && found.mtuBytes !== mtuBytes) podChanges.push(routeReplace({ ...found, mtuBytes }, () => ifName))
  }
  // the host's end last: until it has the new MTU, another attempt knows that this one was cut off
  inside.execute(...podChanges)
  if (host.mtuBytes !== wanted.mtuBytes) netlink.execute(linkSet(hostDevice, wanted))
  return podChanges.length > 0 || host.mtuBytes !== wanted.mtuBytes
}

export type PodRefresherDeps = { readonly netlink: Netlink; readonly store: EndpointStore; readonly log: Logger }

export class PodRefresher {
  readonly #deps: PodRefresherDeps
  /** The MTUs that all pods have but for the failed ones. */
  #done: string | undefined
  readonly #failed = new Set<string>()

  constructor(deps: PodRefresherDeps) {
    this.#deps = deps
  }

  /**
   * Refreshes all pods when the MTUs are others than at the last call (and at the first one), else those that failed then.
   * Gives the event loop a turn after each pod. Never rejects for a pod's sake.
   */
  async refresh(network: PodNetwork): Promise<void> {
    const { store } = this.#deps
    const mtus = JSON.stringify([network.deviceMtuBytes, network.overlay])
    const isNew = mtus !== this.#done
    if (!isNew && this.#failed.size === 0) return
    const due = store.list().filter((endpoint) => isNew || this.#failed.has(attachmentKey(endpoint)))
    this.#failed.clear()
    for (const { containerId, ifName } of due) {
      // it may be gone by now, or not be whole yet
      const endpoint = store.find({ containerId, ifName })
      if (endpoint?.isReady) this.#refreshOne(endpoint, network)
      await setImmediate()
    }
    this.#done = mtus
  }

  #refreshOne(endpoint: Endpoint, network: PodNetwork): void {
    const { netlink, log } = this.#deps
    try {
      const { pod } = endpoint
      if (refreshPod(netlink, endpoint, network))
        log.info('pod has another MTU now', { pod, mtu: network.deviceMtuBytes })
    } catch (error) {
      this.#failed.add(attachmentKey(endpoint))
      log.warn('the MTU of a pod could not be changed', { pod: endpoint.pod, error: messageOf(error) })
    }
  }
}
