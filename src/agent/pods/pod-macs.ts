// The MACs that pods' interfaces really have. A plugin that runs after ours in the chain may set another one (tuning), which nothing tells
// of; programs of the eBPF datapath drop what a pod sends from a MAC that is not its own. So it is read: of each pod a few times after its
// ADD, and of all pods once a minute and before an agent's first pass.
import { setImmediate } from 'node:timers/promises'
import { findLink } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { Netns } from '#/sys/netns.ts'
import { type NamespaceFinder } from '#/sys/namespaces.ts'
import { type Endpoint } from '../endpoints/endpoint-store.ts'

/** So long after its ADD a pod counts as young: by then the rest of the chain is over, or the runtime has given up. */
const youngMs = 10_000
const betweenYoungMs = 1500
const betweenAllMs = 60_000

export type PodMacsDeps = {
  readonly netlink: Netlink
  readonly namespaces: Pick<NamespaceFinder, 'at'>
  /** Called when young pods are to be read again, which the next pass does. */
  readonly onDue: () => void
  readonly log: Logger
  /** The wall clock, by which endpoints say when they were made. */
  readonly nowMs?: () => number
}

export class PodMacs implements Disposable {
  readonly #deps: PodMacsDeps
  readonly #nowMs: () => number
  /** By host device; only those that differ from what the ADD gave. */
  #others = new Map<string, string>()
  #allReadMs = -Infinity
  #timer: NodeJS.Timeout | undefined

  constructor(deps: PodMacsDeps) {
    this.#deps = deps
    this.#nowMs = deps.nowMs ?? Date.now
  }

  macOf({ hostDevice, mac }: Pick<Endpoint, 'hostDevice' | 'mac'>): string {
    return this.#others.get(hostDevice) ?? mac
  }

  /** Reads the MACs that are due; returns whether any is another one than before. Does not reject. */
  async read(endpoints: readonly Endpoint[]): Promise<boolean> {
    const nowMs = this.#nowMs()
    const isAllDue = nowMs - this.#allReadMs >= betweenAllMs
    if (isAllDue) this.#allReadMs = nowMs
    const isYoung = ({ createdMs }: Endpoint): boolean => Math.abs(nowMs - createdMs) < youngMs
    const known = new Set(endpoints.map(({ hostDevice }) => hostDevice))
    for (const hostDevice of this.#others.keys()) if (!known.has(hostDevice)) this.#others.delete(hostDevice)
    let isChanged = false
    for (const endpoint of endpoints.filter((each) => isAllDue || isYoung(each))) {
      const before = this.macOf(endpoint)
      const mac = this.#macIn(endpoint) ?? before
      if (mac !== before) isChanged = true
      if (mac === endpoint.mac) this.#others.delete(endpoint.hostDevice)
      else this.#others.set(endpoint.hostDevice, mac)
      await setImmediate()
    }
    if (endpoints.some(isYoung)) this.#timer ??= setTimeout(() => this.#due(), betweenYoungMs).unref()
    return isChanged
  }

  #due(): void {
    this.#timer = undefined
    this.#deps.onDue()
  }

  /** Undefined when the interface is not there, or is another pod's. */
  #macIn({ netns: path, ifName, hostDevice, pod }: Endpoint): string | undefined {
    const { netlink, namespaces, log } = this.#deps
    try {
      const namespace = namespaces.at(path)
      if (namespace.kind !== 'there') return undefined
      using netns = new Netns(namespace.path)
      using inside = new Netlink(NETLINK_ROUTE, netns)
      const link = findLink(inside, ifName)
      return link !== undefined && link.peerIndex === findLink(netlink, hostDevice)?.index ? link.mac : undefined
    } catch (error) {
      log.debug('the MAC of a pod could not be read', { pod, error: messageOf(error) })
      return undefined
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
