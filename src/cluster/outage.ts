// Whether the API answers at all, learned from the requests of one client, and who asks it again when.
//
// While no request is answered, the client's callers ask one after the other, at a short pace: an agent watches several kinds of object,
// and each of them asking on its own would multiply what a returning API server has to bear. With the first answer the outage is over,
// and all others ask again too, each at a random moment within the pace.
import { Signal } from '#/lib/signal.ts'
import { Backoff } from './backoff.ts'
import { type Clock } from './clock.ts'

/** The first pause between two tries. The following ones double, up to the pace. */
const firstPauseMs = 200
/** The pace in small clusters. */
const minPaceMs = 1_000
const maxPaceMs = 10_000
/** What each known object adds to the pace: a cluster of thousands of nodes has as many agents, of which 500 a second may ask. */
const paceMsPerObject = 2

/** A caller that waits. */
type Waiter = {
  readonly goOn: () => void
  /** Lets it go on at a random moment within the pace, if it does not do so earlier. */
  readonly hurry: () => void
}

export class Outage {
  /** Emitted when an outage ends, for those who do not wait here. `spreadMs` is how long to wait before asking. */
  readonly ended = new Signal<void>()
  readonly #clock: Clock
  readonly #random: () => number
  readonly #waiters = new Set<Waiter>()
  /** Those of the waiters that are to ask while the API is away, in the order of their turns. */
  readonly #turns = new Set<Waiter>()
  /** The pauses between tries; undefined when there is no outage. */
  #backoff: Backoff | undefined
  #paceMs = minPaceMs
  #nextTurnAtMs = 0
  #cancelTurn: (() => void) | undefined

  /** `random` gives a number in [0, 1). */
  constructor(deps: { readonly clock: Clock; readonly random: () => number }) {
    this.#clock = deps.clock
    this.#random = deps.random
  }

  /** Whether the last request that ended was not answered. */
  get isOn(): boolean {
    return this.#backoff !== undefined
  }

  /** A random part of the pace, in milliseconds: the wait before something that all agents of a cluster have reason to do now. */
  spreadMs(): number {
    return this.#random() * this.#paceMs
  }

  /** To be called with the number of objects in a collection. The largest number so far sets the pace. */
  noteSize(objects: number): void {
    this.#paceMs = Math.min(maxPaceMs, Math.max(this.#paceMs, objects * paceMsPerObject))
  }

  /** To be called when a request was not answered. */
  failed(): void {
    if (this.#backoff !== undefined) return
    this.#backoff = new Backoff({ firstMs: firstPauseMs, maxMs: this.#paceMs }, { random: this.#random })
    this.#nextTurnAtMs = this.#clock.monotonicMs() + this.#backoff.next()
  }

  /** To be called when a request was answered, whatever the answer. */
  answered(): void {
    if (this.#backoff === undefined) return
    this.#backoff = undefined
    this.#cancelTurn?.()
    this.#cancelTurn = undefined
    for (const waiter of this.#waiters) waiter.hurry()
    this.ended.emit()
  }

  /** During an outage, resolves when the caller is to ask again or the signal aborts. Never rejects. */
  async turn(signal: AbortSignal): Promise<void> {
    await this.#wait(undefined, signal)
  }

  /** Resolves after `delayMs`, earlier when an outage ends meanwhile, and at once when the signal aborts. Never rejects. */
  async pause(delayMs: number, signal: AbortSignal): Promise<void> {
    await this.#wait(delayMs, signal)
  }

  /** Without `delayMs` the caller waits for its turn. */
  async #wait(delayMs: number | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const goOn = (): void => resolve()
    const cancels = delayMs === undefined ? [] : [this.#clock.after(delayMs, goOn)]
    const waiter = { goOn, hurry: () => void cancels.push(this.#clock.after(this.spreadMs(), goOn)) }
    this.#waiters.add(waiter)
    signal.addEventListener('abort', goOn)
    if (delayMs === undefined) this.#queue(waiter)
    await promise
    for (const cancel of cancels) cancel()
    signal.removeEventListener('abort', goOn)
    this.#waiters.delete(waiter)
    this.#turns.delete(waiter)
    if (this.#turns.size === 0) this.#cancelTurn?.()
    if (this.#turns.size === 0) this.#cancelTurn = undefined
  }

  #queue(waiter: Waiter): void {
    this.#turns.add(waiter)
    if (this.#backoff === undefined) waiter.hurry()
    else this.#scheduleTurn(this.#backoff)
  }

  #scheduleTurn(backoff: Backoff): void {
    if (this.#cancelTurn !== undefined || this.#turns.size === 0) return
    const delayMs = Math.max(0, this.#nextTurnAtMs - this.#clock.monotonicMs())
    this.#cancelTurn = this.#clock.after(delayMs, () => {
      this.#cancelTurn = undefined
      this.#nextTurnAtMs = this.#clock.monotonicMs() + backoff.next()
      const [first] = this.#turns
      if (first === undefined) return
      this.#turns.delete(first)
      first.goOn()
      // a request into nothing takes long to fail: the next caller does not wait for that
      this.#scheduleTurn(backoff)
    })
  }
}
