// Keeps what the kernel enforces level with the index of policies: changes are written as they come, in portions when many come at once, and
// everything is compared at the begin, once a minute, after a failure, and when somebody else has changed a table.
import { type Clock, sleep } from '#/cluster/clock.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Addr } from '#/lib/addr.ts'
import { Signal } from '#/lib/signal.ts'
import { type Form, type FormChange } from '#/policy/form.ts'
import { type PolicyFacts, type PolicySink } from '#/reconcile/policy/policy-sink.ts'
import { Portion } from './portion.ts'

/** A change that comes alone is written at once; those that come within this time of the last one share a transaction. */
const gatherMs = 5
const resyncMs = 60_000
/** After a comparison so many times what it took until the next: whoever changes the tables all the time has them read all the time. */
const pauses = 3
const firstRetryMs = 500
const maxRetryMs = 30_000

/** What the keeper needs of the index (src/policy/index). */
export type FormSource = { readonly form: Form; take(): FormChange; readonly hasPolicies: boolean }

export type PolicyKeeperDeps = {
  readonly source: FormSource
  readonly sinks: readonly PolicySink[]
  readonly ports: ReadonlyMap<string, readonly Addr[]>
  readonly clock: Clock
  readonly log: Logger
}

/** Since when, on the wall clock, and on the monotonic one. */
type Since = { readonly sinceMs: number; readonly sinceMonotonicMs: number }

/** `waiting`: the index is not complete yet, or what the kernel has is not known. */
export type KeeperState =
  | { readonly kind: 'waiting' }
  | ({ readonly kind: 'level' } & Since)
  | ({ readonly kind: 'failing'; readonly why: string } & Since)

export type Applied = {
  readonly form: Form
  readonly change: FormChange
  readonly durationMs: number
  /** Since the first of the events that the change is made of; absent when there was none. */
  readonly sinceEventMs?: number
}

export class PolicyKeeper implements AsyncDisposable {
  readonly #deps: PolicyKeeperDeps
  /** Emitted after each change that all sinks have taken. */
  readonly applied = new Signal<Applied>()
  /** Emitted when everything was compared and the kernel is as it should be; `wasOther`: it may have been another way before. */
  readonly compared = new Signal<{ readonly wasOther: boolean }>()
  /** Emitted when the state is another one. */
  readonly changed = new Signal<void>()
  #state: KeeperState = { kind: 'waiting' }
  #hasBegun = false
  readonly #stop = new AbortController()
  #changedPorts = new Set<string>()
  /** What is not written yet. */
  readonly #portion = new Portion()
  /** When the first event came that is not written yet; undefined: all is. */
  #dirtySinceMs: number | undefined
  #notBeforeMs = -Infinity
  #cancelFlush: (() => void) | undefined
  #comparing: Promise<void> | undefined
  #isCompareDue = false
  #compareNotBeforeMs = -Infinity
  #failures = 0
  #cancelRetry: (() => void) | undefined
  #cancelResync: (() => void) | undefined

  constructor(deps: PolicyKeeperDeps) {
    this.#deps = deps
  }

  get state(): KeeperState {
    return this.#state
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** Whether the kernel has all that the index knew at the last flush. */
  get isLevel(): boolean {
    return this.#state.kind === 'level'
  }

  /** Whether anything has come that is not written yet. */
  get isBehind(): boolean {
    return this.#dirtySinceMs !== undefined
  }

  /** The index is complete: from now on the kernel follows it. */
  begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    this.compareSoon()
  }

  /** The index has changed; `ofPolicy`: what rules are made of, not only members of sets. */
  note(ofPolicy = false): void {
    this.#dirtySinceMs ??= this.#deps.clock.monotonicMs()
    this.#portion.add(ofPolicy)
    if (!this.isLevel || this.#isStopped) return
    if (this.#portion.isFull) return this.#flushOrTell()
    if (this.#cancelFlush !== undefined) return
    const { clock } = this.#deps
    const delayMs = Math.max(0, this.#notBeforeMs - clock.monotonicMs())
    this.#cancelFlush = clock.after(delayMs, () => this.#flushOrTell())
  }

  /** The addresses of a host device are others, or gone. To be followed by `note` or `flush`. */
  notePort(hostDevice: string): void {
    this.#changedPorts.add(hostDevice)
  }

  /** Writes what has changed now. Throws KernelError; everything is compared then. Does nothing while the kernel is not level. */
  flush(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    if (!this.isLevel) return
    const { source, sinks, clock } = this.#deps
    const startedMs = clock.monotonicMs()
    const change = source.take()
    const { form } = source
    const facts = this.#takeFacts()
    const dirtySinceMs = this.#dirtySinceMs
    this.#dirtySinceMs = undefined
    try {
      for (const sink of sinks) sink.apply(form, change, facts)
    } catch (error) {
      this.#fail(error)
      throw error
    }
    const endMs = clock.monotonicMs()
    const durationMs = endMs - startedMs
    this.#portion.written(durationMs)
    // a large change holds up the event loop: the next one leaves as much time to others
    this.#notBeforeMs = endMs + Math.max(gatherMs, durationMs)
    this.applied.emit({
      form,
      change,
      durationMs,
      ...(dirtySinceMs !== undefined && { sinceEventMs: endMs - dirtySinceMs }),
    })
  }

  #flushOrTell(): void {
    try {
      this.flush()
    } catch (error) {
      this.#deps.log.error('policies could not be written', { error: messageOf(error) })
    }
  }

  #takeFacts(): PolicyFacts {
    const { source, ports } = this.#deps
    const changedPorts = this.#changedPorts
    this.#changedPorts = new Set()
    return { hasPolicies: source.hasPolicies, ports, changedPorts }
  }

  #fail(error: unknown): void {
    this.#enter({ kind: 'failing', why: messageOf(error), ...this.#since('failing') })
    this.#retryLater()
  }

  #since(kind: 'level' | 'failing'): Since {
    const { clock } = this.#deps
    if (this.#state.kind !== kind) return { sinceMs: clock.wallMs(), sinceMonotonicMs: clock.monotonicMs() }
    const { sinceMs, sinceMonotonicMs } = this.#state
    return { sinceMs, sinceMonotonicMs }
  }

  #enter(state: KeeperState): void {
    const isOther = state.kind !== this.#state.kind
    this.#state = state
    if (isOther) this.changed.emit()
  }

  #retryLater(): void {
    if (this.#isStopped) return
    const pauseMs = Math.min(firstRetryMs * 2 ** this.#failures, maxRetryMs)
    this.#failures++
    this.#cancelRetry?.()
    this.#cancelRetry = this.#deps.clock.after(pauseMs, () => this.compareSoon())
  }

  /** Has everything compared: somebody else may have changed what is in the kernel. */
  compareSoon(): void {
    if (!this.#hasBegun || this.#isStopped) return
    this.#isCompareDue = true
    this.#comparing ??= this.#compareWhileDue().finally(() => {
      this.#comparing = undefined
    })
  }

  async #compareWhileDue(): Promise<void> {
    const { clock } = this.#deps
    while (this.#isCompareDue && !this.#isStopped) {
      const pauseMs = this.#compareNotBeforeMs - clock.monotonicMs()
      if (pauseMs > 0) await sleep(clock, pauseMs, this.#stop.signal)
      if (this.#isStopped) return
      this.#isCompareDue = false
      this.#cancelRetry?.()
      this.#cancelRetry = undefined
      const startedMs = clock.monotonicMs()
      await this.#compare()
      const endMs = clock.monotonicMs()
      this.#compareNotBeforeMs = endMs + pauses * (endMs - startedMs)
      // no timer may keep a process that is to end
      if (this.#isStopped) return
      this.#cancelResync?.()
      this.#cancelResync = clock.after(resyncMs, () => this.compareSoon())
    }
  }

  /** Before the kernel is level nothing else is written, so the form stays as it is until all sinks have it. */
  async #compare(): Promise<void> {
    const { source, sinks, log } = this.#deps
    if (this.isLevel) this.#flushOrTell()
    const wasLevel = this.isLevel
    if (!wasLevel) source.take()
    // once: a port that changes while a sink reads is for the flush at the end, which tells all of them
    const facts = this.#takeFacts()
    let count = 0
    try {
      // what was taken, and of what failed the rest, no sink was told
      if (!wasLevel) for (const sink of sinks) sink.noteMissed()
      for (const sink of sinks) {
        const differences = await sink.compare(source.form, facts)
        if (this.#isStopped) return
        count += differences.length
        if (wasLevel && differences.length > 0)
          log.warn('policies in the kernel were not as they should be, and are again', {
            differences: differences.slice(0, 5).join('; '),
            count: differences.length,
          })
      }
    } catch (error) {
      log.error('policies could not be compared with the kernel', { error: messageOf(error) })
      return this.#fail(error)
    }
    // a change that came meanwhile may have failed
    if (wasLevel && !this.isLevel) return
    this.#failures = 0
    this.#enter({ kind: 'level', ...this.#since('level') })
    this.#flushOrTell()
    if (this.isLevel) this.compared.emit({ wasOther: !wasLevel || count > 0 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    for (const cancel of [this.#cancelFlush, this.#cancelRetry, this.#cancelResync]) cancel?.()
    await this.#comparing
  }
}
