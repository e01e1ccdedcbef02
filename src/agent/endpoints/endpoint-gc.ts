// Releases endpoints that no runtime will ever DEL: their namespace is gone, or their ADD or DEL was never finished.
// Runtimes lose pods when they are killed or their own state is removed, and most never call GC; each lost pod would occupy an
// address for ever. In case of doubt an endpoint counts as alive.
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Datapaths } from '#/datapath/registry.ts'
import { findLink } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type BootClock } from '#/sys/boot-clock.ts'
import { attachmentKey } from '#/wire/cni/index.ts'
import { type EarlierNetwork } from './earlier-network.ts'
import { type Endpoint, type EndpointStore } from './endpoint-store.ts'
import { isAnother, type NamespaceFinder } from '#/sys/namespaces.ts'

export type GcTimes = {
  readonly intervalMs: number
  /** From the first sight of a leaked endpoint to its release. Longer than the CNI plugin waits for an answer to ADD (60 s). */
  readonly graceMs: number
}

export const defaultGcTimes: GcTimes = { intervalMs: 30_000, graceMs: 90_000 }

export type GcDeps = {
  readonly netlink: Netlink
  readonly store: EndpointStore
  readonly datapaths: Datapaths
  readonly namespaces: NamespaceFinder
  readonly clock: Pick<BootClock, 'sinceBootMs'>
  /** Absent: no endpoint is of an earlier network. */
  readonly earlier?: EarlierNetwork
  /** Called after endpoints were released, and when a state file that could not be used is in use again. */
  readonly onChange: () => void
  readonly log: Logger
}

/** Why an endpoint is leaked; undefined when it is in use or that cannot be determined. */
export function leakOf(netlink: Netlink, namespaces: NamespaceFinder, endpoint: Endpoint): string | undefined {
  // ADD and DEL each run within one turn of the event loop, so an endpoint that is not ready is left over from a call that broke off
  if (endpoint.state === 'leaving') return 'its DEL did not come to its end'
  if (endpoint.state !== 'ready') return 'its ADD did not come to its end'
  const namespace = namespaces.at(endpoint.netns)
  const isOther = namespace.kind === 'there' && isAnother(namespace.id, endpoint.netnsId)
  if (namespace.kind === 'unknown' || (namespace.kind === 'there' && !isOther)) return undefined
  // the kernel deletes both ends of a veth together: while the host's end exists, the pod's namespace does too, perhaps under another name
  if (findLink(netlink, endpoint.hostDevice) !== undefined) return undefined
  return namespace.kind === 'there' ? `${endpoint.netns} is another namespace now` : namespace.why
}

type Suspect = { readonly sinceMs: number; readonly createdMs: number; readonly netnsId: string }

export class EndpointGc implements Disposable {
  readonly #times: GcTimes
  readonly #deps: GcDeps
  readonly #suspects = new Map<string, Suspect>()
  #released = 0
  #timer: NodeJS.Timeout | undefined

  constructor(times: GcTimes, deps: GcDeps) {
    this.#times = times
    this.#deps = deps
  }

  start(): void {
    this.#tick()
    this.#timer = setInterval(() => this.#tick(), this.#times.intervalMs)
  }

  /** How many leaked endpoints were released since the agent started. */
  get released(): number {
    return this.#released
  }

  #tick(): void {
    try {
      this.sweep()
    } catch (error) {
      this.#deps.log.error('looking for leaked addresses failed', { error: messageOf(error) })
    }
  }

  /**
   * Checks all endpoints once, and releases those that were first found leaked `graceMs` ago or longer, or that are of an earlier network
   * of this node. Also opens a state file again that could not be used. Returns the released endpoints.
   */
  sweep(): Endpoint[] {
    const { store, netlink, namespaces, clock, onChange } = this.#deps
    const lacked = store.lacks
    store.settle()
    if (lacked !== undefined) onChange()
    const nowMs = clock.sinceBootMs()
    const endpoints = store.list()
    const keys = new Set(endpoints.map(attachmentKey))
    for (const key of this.#suspects.keys()) if (!keys.has(key)) this.#suspects.delete(key)
    const released = endpoints.filter((endpoint) => {
      const why = leakOf(netlink, namespaces, endpoint)
      if (why === undefined) this.#suspects.delete(attachmentKey(endpoint))
      return why !== undefined && this.#isDue(endpoint, nowMs) && this.#release(endpoint, why)
    })
    this.#released += released.length
    if (released.length > 0) onChange()
    return released
  }

  /** Whether this same endpoint was first found leaked long enough ago; records the time when this is the first find. */
  #isDue(endpoint: Endpoint, nowMs: number): boolean {
    const key = attachmentKey(endpoint)
    const { createdMs, netnsId } = endpoint
    // a node that is a container was started anew: its pods ended with its network, and nobody waits for an answer to their ADD
    if (this.#deps.earlier?.has(endpoint) === true) return true
    const suspect = this.#suspects.get(key)
    if (suspect?.createdMs === createdMs && suspect.netnsId === netnsId)
      return nowMs - suspect.sinceMs >= this.#times.graceMs
    this.#suspects.set(key, { sinceMs: nowMs, createdMs, netnsId })
    return false
  }

  #release(endpoint: Endpoint, why: string): boolean {
    const { store, datapaths, log } = this.#deps
    const addrs = endpoint.addrs.map(({ addr }) => String(addr))
    try {
      datapaths[endpoint.datapath].unwire(endpoint)
      store.release(endpoint)
    } catch (error) {
      log.error('a leaked address could not be released', { pod: endpoint.pod, addrs, error: messageOf(error) })
      return false
    }
    this.#suspects.delete(attachmentKey(endpoint))
    log.warn('released a leaked address', { pod: endpoint.pod, containerId: endpoint.containerId, addrs, why })
    return true
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
