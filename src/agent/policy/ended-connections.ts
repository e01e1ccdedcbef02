// The connections that policies ended here. Nothing of them may pass until their ends have given up, or connection tracking would take an answer
// for a connection of its own, and none of them is entered into connection tracking again (adopt.ts).
import { type Clock } from '#/cluster/clock.ts'
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Answers } from '#/plan/policy/ended.ts'
import { type Flow } from '#/wire/netlink/flow.ts'

const IPPROTO_TCP = 6
const IPPROTO_UDP = 17
/** So long the ends of a connection try: TCP for a quarter of an hour after the last answer. */
const rememberedMs = 3_600_000
/** What UDP sends by the same ports later may be something else. */
const udpMs = 60_000
const mostEntries = 50_000
const lookMs = 10_000

/** Two ends of a connection, in either order. */
export type Ends = { readonly src: Addr; readonly srcPort: number; readonly dst: Addr; readonly dstPort: number }

export type EndedConnectionsDeps = {
  /** Lets no answers of ended connections pass, and those of `over` again. Throws when they may pass. */
  readonly block: (ended: readonly Answers[], over: readonly Answers[]) => void
  readonly clock: Clock
  readonly log: Logger
}

type Entry = { readonly untilMs: number; readonly answers: Answers }

export class EndedConnections implements Disposable {
  readonly #deps: EndedConnectionsDeps
  readonly #entries = new Map<string, Entry>()
  /** Until when any connection may be one that was ended, as more were than are remembered. */
  #unsureUntilMs = -Infinity
  #cancelLook: (() => void) | undefined

  constructor(deps: EndedConnectionsDeps) {
    this.#deps = deps
  }

  /** To be called before they are deleted from connection tracking. Throws when their answers may pass. */
  add(flows: readonly Flow[]): void {
    const nowMs = this.#deps.clock.monotonicMs()
    const added: Answers[] = []
    const replaced: Answers[] = []
    for (const flow of flows) {
      const entry = entryOf(flow, nowMs)
      if (entry === undefined) continue
      const key = keyOf(flow as Ends, flow.protocol)
      const before = this.#entries.get(key)
      if (before === undefined && this.#entries.size >= mostEntries) {
        this.#unsureUntilMs = nowMs + rememberedMs
        continue
      }
      this.#entries.set(key, entry)
      added.push(entry.answers)
      // masqueraded another way than the last time
      if (before !== undefined && !isSame(before.answers, entry.answers)) replaced.push(before.answers)
    }
    this.#lookLater()
    if (added.length > 0) this.#deps.block(added, replaced)
  }

  /** Whether the TCP connection may have been ended within the last hour. */
  mayHave(ends: Ends): boolean {
    const nowMs = this.#deps.clock.monotonicMs()
    const untilMs = this.#entries.get(keyOf(ends, IPPROTO_TCP))?.untilMs ?? -Infinity
    return nowMs < this.#unsureUntilMs || nowMs < untilMs
  }

  #lookLater(): void {
    if (this.#entries.size === 0) return
    this.#cancelLook ??= this.#deps.clock.after(lookMs, () => {
      this.#cancelLook = undefined
      this.#forget()
      this.#lookLater()
    })
  }

  #forget(): void {
    const { block, clock, log } = this.#deps
    const nowMs = clock.monotonicMs()
    const over = [...this.#entries].filter(([, { untilMs }]) => untilMs <= nowMs)
    if (over.length === 0) return
    for (const [key] of over) this.#entries.delete(key)
    try {
      block(
        [],
        over.map(([, { answers }]) => answers),
      )
    } catch (error) {
      log.warn('answers of connections that were ended are blocked for longer', { error: messageOf(error) })
    }
  }

  [Symbol.dispose](): void {
    this.#cancelLook?.()
  }
}

/** Undefined for a protocol without ports: connection tracking takes no answer of those for a request. */
function entryOf({ protocol, srcPort, dst, dstPort, answered }: Flow, nowMs: number): Entry | undefined {
  if (srcPort === undefined || dstPort === undefined || answered.port === undefined) return undefined
  const untilMs = nowMs + (protocol === IPPROTO_UDP ? udpMs : rememberedMs)
  return {
    untilMs,
    answers: { protocol, src: dst, srcPort: dstPort, dst: answered.addr, dstPort: answered.port },
  }
}

function keyOf({ src, srcPort, dst, dstPort }: Ends, protocol: number): string {
  return [`${src} ${srcPort}`, `${dst} ${dstPort}`].sort().join(' ') + ` ${protocol}`
}

/** Of two connections between the same ends. */
function isSame(one: Answers, other: Answers): boolean {
  const isSameEnd = one.src.equals(other.src) && one.srcPort === other.srcPort
  return isSameEnd && one.dst.equals(other.dst) && one.dstPort === other.dstPort
}
