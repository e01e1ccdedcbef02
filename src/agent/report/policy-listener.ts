// Listens to what the kernel tells of denied packets, for as long as there is anything that could deny.
import { type Clock } from '#/cluster/clock.ts'
import { type NflogListener } from '#/kernel/nflog.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type PolicyDenials, type ToldPacket } from './policy-denials.ts'

/** An agent that is being replaced has the group for a moment more. */
const retryMs = 5_000

export type DenialListenerDeps = {
  readonly denials: PolicyDenials
  /** Throws KernelError. */
  readonly listen: (onPacket: (packet: ToldPacket) => void, onError: (error: unknown) => void) => NflogListener
  readonly clock: Clock
  readonly log: Logger
}

export class DenialListener implements Disposable {
  readonly #deps: DenialListenerDeps
  #listener: NflogListener | undefined
  #why: string | undefined
  #isWanted = false
  #lostBefore = 0
  #cancelRetry: (() => void) | undefined

  constructor(deps: DenialListenerDeps) {
    this.#deps = deps
  }

  get denials(): PolicyDenials {
    return this.#deps.denials
  }

  get isListening(): boolean {
    return this.#listener !== undefined
  }

  /** Why it does not listen though there are rules that may deny; undefined while it does, or there are none. */
  get why(): string | undefined {
    return this.#isWanted && !this.isListening ? this.#why : undefined
  }

  /** Packets that were not looked at, since they came too fast. */
  get notTold(): number {
    return this.denials.notTold + this.#lostBefore + (this.#listener?.lost ?? 0)
  }

  /** Whether there are rules that may deny. */
  want(isWanted: boolean): void {
    if (isWanted === this.#isWanted) return
    this.#isWanted = isWanted
    if (isWanted) this.#listen()
    else this.#end()
  }

  #listen(): void {
    this.#cancelRetry = undefined
    const { denials, listen } = this.#deps
    try {
      this.#listener = listen(
        (packet) => denials.note(packet),
        (error) => this.#fail(error),
      )
      this.#why = undefined
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    const { log, clock } = this.#deps
    this.#end()
    const why = messageOf(error)
    if (why !== this.#why) log.warn('denials by policies are not heard of for now', { error: why })
    this.#why = why
    if (this.#isWanted) this.#cancelRetry = clock.after(retryMs, () => this.#listen())
  }

  #end(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    this.#lostBefore += this.#listener?.lost ?? 0
    this.#listener?.[Symbol.dispose]()
    this.#listener = undefined
  }

  [Symbol.dispose](): void {
    this.#isWanted = false
    this.#end()
  }
}
