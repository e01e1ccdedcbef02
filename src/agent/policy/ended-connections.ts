// The TCP connections that policies ended here, so that none of them is entered into connection tracking again (adopt.ts).
import { type Addr } from '#/lib/addr.ts'

/** Two ends of a connection, in either order. */
export type Ends = { readonly src: Addr; readonly srcPort: number; readonly dst: Addr; readonly dstPort: number }

/** So long a connection is remembered: its ends have given up by then. */
const rememberedMs = 3_600_000
const mostEntries = 50_000

export class EndedConnections {
  readonly #nowMs: () => number
  /** When each was ended, oldest first. */
  readonly #endedMs = new Map<string, number>()
  /** Until when any connection may be one that was ended, as more were than are remembered. */
  #unsureUntilMs = -Infinity

  /** `nowMs` is a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  add(ends: Ends): void {
    const nowMs = this.#nowMs()
    this.#forget(nowMs)
    const key = keyOf(ends)
    // at the end again, as the newest
    this.#endedMs.delete(key)
    this.#endedMs.set(key, nowMs)
    if (this.#endedMs.size <= mostEntries) return
    const [oldest] = this.#endedMs.keys()
    this.#endedMs.delete(oldest!)
    this.#unsureUntilMs = nowMs + rememberedMs
  }

  /** Whether the connection may have been ended within the last hour. */
  mayHave(ends: Ends): boolean {
    const nowMs = this.#nowMs()
    this.#forget(nowMs)
    return nowMs < this.#unsureUntilMs || this.#endedMs.has(keyOf(ends))
  }

  #forget(nowMs: number): void {
    for (const [key, endedMs] of this.#endedMs) {
      if (nowMs - endedMs < rememberedMs) return
      this.#endedMs.delete(key)
    }
  }
}

function keyOf({ src, srcPort, dst, dstPort }: Ends): string {
  return [`${src} ${srcPort}`, `${dst} ${dstPort}`].sort().join(' ')
}
