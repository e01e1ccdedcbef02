// Releases endpoints that no runtime will ever DEL: their namespace is gone, or their ADD never came to its end.
// Runtimes lose pods when they are killed or their own state is removed, and most never call GC; each lost pod would cost
// an address for ever. What is not known for sure counts as alive.
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Datapaths } from '#/datapath/registry.ts'
import { findLink } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type BootClock } from '#/sys/boot-clock.ts'
import { attachmentKey } from '#/wire/cni/index.ts'
import { type Endpoint, type EndpointStore } from './endpoint-store.ts'
import { isAnother, namespaceAt } from '#/sys/namespaces.ts'

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
  readonly clock: Pick<BootClock, 'sinceBootMs'>
  /** Called after endpoints were released. */
  readonly onChange: () => void
  readonly log: Logger
}

/** Why an endpoint is leaked, or undefined when it is in use or nobody can tell. */
export function leakOf(netlink: Netlink, endpoint: Endpoint): string | undefined {
  // ADD and DEL run from start to end within one turn of the event loop: an endpoint on the way in or out is one whose call broke off
  if (endpoint.state === 'leaving') return 'its DEL did not come to its end'
  if (endpoint.state !== 'ready') return 'its ADD did not come to its end'
  const namespace = namespaceAt(endpoint.netns)
  const isOther = namespace.kind === 'there' && isAnother(namespace.id, endpoint.netnsId)
  if (namespace.kind === 'unknown' || (namespace.kind === 'there' && !isOther)) return undefined
  // the two ends of a veth die together: while ours is here, its namespace lives, under whatever name
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
    this.#timer = setInterval(() => this.#tick(), this.#times.intervalMs)
  }

  /** How many endpoints it has released since the agent started. */
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
   * Looks at all endpoints once, and releases those that were leaked at an earlier look too, the grace ago or longer. Also
   * takes up again a state file that could not be used. Returns what was released.
   */
  sweep(): Endpoint[] {
    const { store, netlink, clock, onChange } = this.#deps
    const lacked = store.lacks
    store.settle()
    if (lacked !== undefined) onChange()
    const nowMs = clock.sinceBootMs()
    const endpoints = store.list()
    const keys = new Set(endpoints.map(attachmentKey))
    for (const key of this.#suspects.keys()) if (!keys.has(key)) this.#suspects.delete(key)
    const released = endpoints.filter((endpoint) => {
      const why = leakOf(netlink, endpoint)
      if (why === undefined) this.#suspects.delete(attachmentKey(endpoint))
      return why !== undefined && this.#isDue(endpoint, nowMs) && this.#release(endpoint, why)
    })
    this.#released += released.length
    if (released.length > 0) onChange()
    return released
  }

  /** Whether the very same endpoint was seen leaked long enough ago; notes the first sight. */
  #isDue(endpoint: Endpoint, nowMs: number): boolean {
    const key = attachmentKey(endpoint)
    const { createdMs, netnsId } = endpoint
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
