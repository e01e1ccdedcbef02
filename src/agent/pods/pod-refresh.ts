// Gives running pods a new MTU, so that a change of underlay or overlay does not require new pods, and limits that somebody took off.
import { setImmediate } from 'node:timers/promises'
import { type PodNetwork, PodNetworkError } from '#/datapath/datapath.ts'
import { type Datapaths } from '#/datapath/registry.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { type NamespaceFinder } from '#/sys/namespaces.ts'
import { attachmentKey } from '#/wire/cni/index.ts'
import { type Endpoint, type EndpointStore } from '../endpoints/endpoint-store.ts'

export type PodRefresherDeps = {
  readonly datapaths: Datapaths
  readonly store: EndpointStore
  readonly namespaces: NamespaceFinder
  readonly log: Logger
}

export class PodRefresher {
  readonly #deps: PodRefresherDeps
  /** The MTUs of the last refresh, also as JSON: all pods have them except those in `#failed`. */
  #done: { readonly mtus: string; readonly deviceMtuBytes: number } | undefined
  /** Why a pod keeps the MTUs that it had, by its attachment. */
  readonly #failed = new Map<string, string>()

  constructor(deps: PodRefresherDeps) {
    this.#deps = deps
  }

  /**
   * Refreshes all pods when the MTUs have changed since the last call (and at the first call), otherwise only those that failed in the
   * last call and, where `isFull`, those whose own end has a limit: nothing notifies of what happens in a pod's namespace. Yields to the
   * event loop after each pod. Does not reject when a pod cannot be changed.
   */
  async refresh(network: PodNetwork, isFull: boolean): Promise<void> {
    const { store } = this.#deps
    const mtus = JSON.stringify([network.deviceMtuBytes, network.overlay])
    const isNew = mtus !== this.#done?.mtus
    if (!isNew && !isFull && this.#failed.size === 0) return
    const isDue = (endpoint: Endpoint): boolean =>
      isNew ||
      this.#failed.has(attachmentKey(endpoint)) ||
      (isFull && podLimits(endpoint.bandwidth).egress !== undefined)
    const due = store.list().filter(isDue)
    this.#failed.clear()
    for (const { containerId, ifName } of due) {
      // the pod may have been deleted since `due` was made, or its ADD may not be finished
      const endpoint = store.find({ containerId, ifName })
      if (endpoint?.state === 'ready') this.#refreshOne(endpoint, network)
      await setImmediate()
    }
    this.#done = { mtus, deviceMtuBytes: network.deviceMtuBytes }
  }

  /** The MTU that the devices of all pods were given; undefined while some may have another. */
  get deviceMtuBytes(): number | undefined {
    return this.#failed.size === 0 ? this.#done?.deviceMtuBytes : undefined
  }

  /** One line for each pod that keeps the MTUs that it had, as they could not be changed. */
  get failures(): readonly string[] {
    return [...this.#failed.values()]
  }

  #refreshOne(endpoint: Endpoint, network: PodNetwork): void {
    const { datapaths, namespaces, log } = this.#deps
    try {
      const { pod } = endpoint
      const namespace = namespaces.at(endpoint.netns)
      if (namespace.kind !== 'there') throw new PodNetworkError(namespace.why)
      if (datapaths[endpoint.datapath].refresh({ ...endpoint, netns: namespace.path }, network))
        log.info('pod has another MTU or its limit again', { pod, mtu: network.deviceMtuBytes })
    } catch (error) {
      this.#failed.set(attachmentKey(endpoint), `pod ${endpoint.pod}: ${messageOf(error)}`)
      log.warn('the MTU or limit of a pod could not be set', { pod: endpoint.pod, error: messageOf(error) })
    }
  }
}
