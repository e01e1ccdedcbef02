// Ends connections that policies have come to forbid: looks through connection tracking, asks the evaluator about each that a change may
// concern, and deletes those that are denied. Their next packet is a new one to the rules. In doubt a connection stays.
import { setImmediate } from 'node:timers/promises'
import { type Clock } from '#/cluster/clock.ts'
import { findFlows, flowDelete } from '#/kernel/flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type PolicyPacket, type PolicyVerdict } from '#/policy/verdict.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { addrKey, type Flow } from '#/wire/netlink/flow.ts'
import { type EndedConnections } from './ended-connections.ts'
import { type Touched } from './touched.ts'

/**
 * Between a change and the look that it causes, and between two looks at least. A look can take as long as a dozen changes, and many come
 * together: they are enforced first, by this agent and by others that share its processors, and one look is for all of them.
 */
const pauseMs = 100
/** A look at a large table takes long: at most this part of the time is spent so. */
const share = 0.25
/** So long the evaluator is asked before the event loop gets a turn. */
const turnMs = 4
/** How many connections are ended before the event loop gets a turn. */
const portion = 64
/** The pause after a look that failed. */
const retryMs = 5000
/** The API tells of a new pod's address some time after the pod has it: a connection with one that is not known is judged only then. */
const doubtMs = 10_000

const keyOf = (addr: Addr): string => addrKey(addr.toBytes())

function endsText({ protocol, src, srcPort, dst, dstPort }: Flow): string {
  return [protocol, src, srcPort, dst, dstPort].join(' ')
}

export type RunningConnectionsDeps = {
  readonly evaluate: (packet: PolicyPacket) => PolicyVerdict
  /** Whether the kernel has what the evaluator knows; while it has not, nothing is ended. */
  readonly isLevel: () => boolean
  /** The addresses of pods of this node: what policies of other pods say is their nodes' to enforce. */
  readonly localAddrs: () => Iterable<Addr>
  /** The addresses of this node's own devices, with which its pods may always talk. */
  readonly nodeAddrs: () => Iterable<Addr>
  /** Whether an address may be that of a pod of which nothing is known yet. */
  readonly mayBeUnknownPod: (addr: Addr) => boolean
  readonly ended: EndedConnections
  readonly clock: Clock
  readonly log: Logger
  /** Opens a socket of NETLINK_NETFILTER. */
  readonly open?: () => Netlink
}

export class RunningConnections implements AsyncDisposable {
  readonly #deps: RunningConnectionsDeps
  /** In question since the last look began, as keys of addresses. */
  #locals = new Set<string>()
  #peers = new Set<string>()
  /** Since when connections with addresses that nobody knows are in question, by both ends. */
  readonly #doubtedMs = new Map<string, number>()
  /** The pods of this node that have such connections, as keys of addresses. */
  readonly #later = new Set<string>()
  #cancelTimer: (() => void) | undefined
  #cancelDoubt: (() => void) | undefined
  #running: Promise<void> | undefined
  #notBeforeMs = -Infinity
  #count = 0
  #isStopped = false

  constructor(deps: RunningConnectionsDeps) {
    this.#deps = deps
  }

  /** How many connections were ended. */
  get count(): number {
    return this.#count
  }

  /** Puts connections into question; a look at them follows. */
  note({ locals, peers }: Touched): void {
    for (const addr of locals) this.#locals.add(keyOf(addr))
    for (const addr of peers) this.#peers.add(keyOf(addr))
    this.#schedule()
  }

  /** The kernel has what the evaluator knows: looks that waited for that can be made. */
  noteLevel(): void {
    this.#schedule()
  }

  #schedule(): void {
    const isIdle = this.#running === undefined && this.#cancelTimer === undefined
    if (!isIdle || this.#isStopped || this.#locals.size + this.#peers.size === 0 || !this.#deps.isLevel()) return
    const { clock } = this.#deps
    this.#cancelTimer = clock.after(Math.max(pauseMs, this.#notBeforeMs - clock.monotonicMs()), () => {
      this.#cancelTimer = undefined
      if (!this.#deps.isLevel()) return
      this.#running = this.#look().finally(() => {
        this.#running = undefined
        this.#schedule()
      })
    })
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#deps
    const startedMs = clock.monotonicMs()
    const locals = this.#locals
    const peers = this.#peers
    this.#locals = new Set()
    this.#peers = new Set()
    let waitMs = pauseMs
    try {
      const ended = await this.#endDenied(
        (key) => locals.has(key),
        (key) => peers.has(key),
      )
      this.#judgeLater()
      if (ended > 0) log.info('connections that policies deny were ended', { connections: ended })
    } catch (error) {
      // they are still in question
      for (const key of locals) this.#locals.add(key)
      for (const key of peers) this.#peers.add(key)
      waitMs = retryMs
      log.warn('connections that policies deny may go on for now', { error: messageOf(error) })
    }
    const endMs = clock.monotonicMs()
    this.#notBeforeMs = Math.max(startedMs + waitMs, endMs + (endMs - startedMs) * (1 / share - 1))
  }

  async #endDenied(isLocal: (key: string) => boolean, isPeer: (key: string) => boolean): Promise<number> {
    const { open = () => new Netlink(NETLINK_NETFILTER), ended } = this.#deps
    const own = new Set([...this.#deps.localAddrs()].map(keyOf))
    const ofNode = new Set([...this.#deps.nodeAddrs()].map(keyOf))
    const isInQuestion = (src: string, dst: string): boolean => {
      if (ofNode.has(src) || ofNode.has(dst)) return false
      return isLocal(src) || isLocal(dst) || (isPeer(src) && own.has(dst)) || (isPeer(dst) && own.has(src))
    }
    using netlink = open()
    const denied = await this.#deniedOf(await findFlows(netlink, isInQuestion), own, isPeer)
    for (let start = 0; start < denied.length; start += portion) {
      const some = denied.slice(start, start + portion)
      ended.add(some)
      netlink.executeAll(some.map(flowDelete))
      await setImmediate()
    }
    this.#count += denied.length
    return denied.length
  }

  async #deniedOf(
    flows: readonly Flow[],
    own: ReadonlySet<string>,
    hasMoved: (key: string) => boolean,
  ): Promise<Flow[]> {
    const { clock, isLevel } = this.#deps
    const denied: Flow[] = []
    let turnEndsMs = clock.monotonicMs() + turnMs
    for (const flow of flows) {
      if (clock.monotonicMs() >= turnEndsMs) {
        await setImmediate()
        turnEndsMs = clock.monotonicMs() + turnMs
      }
      if (this.#isStopped) return []
      // the rules could not be written meanwhile: nobody knows what they say
      if (!isLevel()) throw new Error('the rules in the kernel are not those of now')
      if (!this.#isDenied(flow, own)) continue
      if (this.#isInDoubt(flow, hasMoved)) {
        for (const addr of [flow.src, flow.dst]) if (own.has(keyOf(addr))) this.#later.add(keyOf(addr))
      } else denied.push(flow)
    }
    return denied
  }

  /** Looks again at connections that were in doubt. */
  #judgeLater(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const [text, sinceMs] of this.#doubtedMs) if (nowMs - sinceMs > 3 * doubtMs) this.#doubtedMs.delete(text)
    if (this.#later.size === 0 || this.#isStopped) return
    this.#cancelDoubt ??= this.#deps.clock.after(doubtMs, () => {
      this.#cancelDoubt = undefined
      for (const key of this.#later) this.#locals.add(key)
      this.#later.clear()
      this.#schedule()
    })
  }

  /** An address that has just left a set was a pod's that is gone: its connections are not to pass for those of whoever gets it next. */
  #isInDoubt(flow: Flow, hasMoved: (key: string) => boolean): boolean {
    const { mayBeUnknownPod, clock } = this.#deps
    const unknown = [flow.src, flow.dst].filter((addr) => mayBeUnknownPod(addr))
    if (unknown.length === 0 || unknown.some((addr) => hasMoved(keyOf(addr)))) return false
    const text = endsText(flow)
    const sinceMs = this.#doubtedMs.get(text) ?? clock.monotonicMs()
    this.#doubtedMs.set(text, sinceMs)
    return clock.monotonicMs() - sinceMs < doubtMs
  }

  #isDenied({ src, dst, protocol, dstPort }: Flow, own: ReadonlySet<string>): boolean {
    const { egress, ingress } = this.#deps.evaluate({
      src,
      dst,
      protocol,
      ...(dstPort !== undefined && { port: dstPort }),
    })
    const is = (addr: Addr): boolean => own.has(keyOf(addr))
    return (is(src) && egress.isDenied && !egress.isAudited) || (is(dst) && ingress.isDenied && !ingress.isAudited)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    this.#cancelTimer?.()
    this.#cancelDoubt?.()
    await this.#running
  }
}
