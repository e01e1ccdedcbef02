// The connections that policies ended here. Nothing of them may pass until their ends have given up, or connection tracking would take an answer
// for a connection of its own, and none of them is entered into connection tracking again (adopt.ts).
import { type Clock } from '#/cluster/clock.ts'
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Answers } from '#/plan/policy/ended.ts'
import { type Flow } from '#/wire/netlink/flow.ts'

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
  /** Lets no answers of ended connections pass, and those of `over` again. Throws KernelError. */
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

  /** To be called before they are deleted from connection tracking. Throws KernelError. */
  add(flows: readonly Flow[]): void {
    const { block, clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const added: Answers[] = []
    for (const flow of flows) {
      const entry = entryOf(flow, nowMs)
      if (entry === undefined) continue
      if (this.#entries.size >= mostEntries) {
        this.#unsureUntilMs = nowMs + rememberedMs
        continue
      }
      this.#entries.set(keyOf(flow as Ends), entry)
      added.push(entry.answers)
    }
    if (added.length > 0) block(added, [])
    this.#lookLater()
  }

  /** Whether the connection may have been ended within the last hour. */
  mayHave(ends: Ends): boolean {
    const nowMs = this.#deps.clock.monotonicMs()
    const untilMs = this.#entries.get(keyOf(ends))?.untilMs ?? -Infinity
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

function keyOf({ src, srcPort, dst, dstPort }: Ends): string {
  return [`${src} ${srcPort}`, `${dst} ${dstPort}`].sort().join(' ')
}
