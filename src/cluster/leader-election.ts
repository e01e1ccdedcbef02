// Leader election on a coordination.k8s.io Lease, interoperable with client-go's leaderelection package and as careful: it trusts no wall
// clock. A lease counts as expired when this process itself has seen it unchanged for its whole duration. The leader gives up after 10 s
// without renewal and the other candidates wait 15 s: in the 5 s between, requests that are still under way come to an end.
import type { Logger } from '#/lib/log.ts'
import { fieldsOf, type Lease, type LeaseSpec, leaseSpecOf } from '#/model/kubernetes.ts'
import type { ApiClient } from './client.ts'
import { type Clock, Deadline, sleep, systemClock } from './clock.ts'
import { describe, isApiError } from './errors.ts'
import { leasePath, leasesPath } from './paths.ts'

export type LeaderElectionOptions = {
  readonly namespace: string
  readonly name: string
  /** This candidate's name: unique among candidates and over restarts, such as host name plus a random part. */
  readonly identity: string
}

export type LeaderElectionDeps = {
  readonly client: Pick<ApiClient, 'get' | 'create' | 'replace'>
  readonly log: Logger
  /** Called when the lease is ours. The signal aborts at the moment it no longer is. */
  readonly onStarted: (signal: AbortSignal) => void
  /** Called after that signal; the lease is given back, or fought for again, only when this has resolved. */
  readonly onStopped: () => void | Promise<void>
  readonly clock?: Clock
  readonly random?: () => number
}

const leaseDurationMs = 15_000
const renewDeadlineMs = 10_000
const retryMs = 2_000
/** A request that hangs on a dead connection must leave time for another try before the deadline. */
const attemptTimeoutMs = 4_000
const releaseTimeoutMs = 2_000

/** A state of the lease, and since when (monotonic) it has been seen unchanged. */
type Observed = { readonly spec: LeaseSpec; readonly sinceMs: number }

type Attempt = { readonly kind: 'ours' } | { readonly kind: 'other'; readonly holder: string }

export class LeaderElection implements AsyncDisposable {
  readonly #options: LeaderElectionOptions
  readonly #deps: LeaderElectionDeps
  readonly #log: Logger
  readonly #clock: Clock
  readonly #random: () => number
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #observed: Observed | undefined
  #isLeading = false
  #renewedAtMs = 0
  #lastError: string | undefined

  constructor(options: LeaderElectionOptions, deps: LeaderElectionDeps) {
    this.#options = options
    this.#deps = deps
    this.#log = deps.log.with({ lease: `${options.namespace}/${options.name}`, identity: options.identity })
    this.#clock = deps.clock ?? systemClock
    this.#random = deps.random ?? Math.random
  }

  /** Begins in the background; never throws. A second call changes nothing. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Computed from the clock on every call, so it is right even if the process was stopped and no timer has run since. */
  get isLeader(): boolean {
    return this.#isLeading && this.#clock.monotonicMs() < this.#renewedAtMs + renewDeadlineMs
  }

  /** The identity of the lease's holder as last seen; "" for nobody. */
  get holder(): string {
    return this.#observed?.spec.holderIdentity ?? ''
  }

  /** Why the lease could not be read or written the last time. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /** Stops leading, waits for onStopped, and gives the lease back so that another need not wait for it to expire. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      if (!(await this.#acquire())) return
      await this.#lead()
    }
  }

  /** Tries until the lease is ours (true) or we are stopped (false). */
  async #acquire(): Promise<boolean> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const attempt = await this.#try(attemptTimeoutMs)
      if (attempt?.kind === 'ours') return true
      // client-go's jitter: candidates that started together must not collide for ever
      await sleep(this.#clock, retryMs * (1 + 0.2 * this.#random()), signal)
    }
    return false
  }

  async #lead(): Promise<void> {
    const term = new AbortController()
    this.#isLeading = true
    this.#log.info('became leader')
    // abort at once, not when the loop below gets to it: after a missed deadline no write may begin
    let cancel = (): void => {}
    const guard = (): void => {
      const leftMs = this.#renewedAtMs + renewDeadlineMs - this.#clock.monotonicMs()
      if (leftMs > 0) cancel = this.#clock.after(leftMs, guard)
      else term.abort(new Error('the lease could not be renewed in time'))
    }
    guard()
    const onStop = (): void => term.abort(this.#stop.signal.reason)
    this.#stop.signal.addEventListener('abort', onStop)
    if (this.#stop.signal.aborted) onStop()
    try {
      if (!term.signal.aborted) this.#deps.onStarted(term.signal)
      await this.#renew(term)
    } finally {
      cancel()
      this.#stop.signal.removeEventListener('abort', onStop)
      this.#isLeading = false
      this.#log.info('is leader no more', { why: describe(term.signal.reason) })
      await this.#afterTerm()
    }
  }

  /** Renews until the term ends: this candidate is stopped, runs out of time, or somebody else holds the lease. */
  async #renew(term: AbortController): Promise<void> {
    for (;;) {
      await sleep(this.#clock, retryMs, term.signal)
      if (term.signal.aborted) return
      const leftMs = this.#renewedAtMs + renewDeadlineMs - this.#clock.monotonicMs()
      const attempt = await this.#try(Math.min(leftMs, attemptTimeoutMs), term.signal)
      if (attempt?.kind === 'other') term.abort(new Error(`the lease was taken by "${attempt.holder}"`))
    }
  }

  async #afterTerm(): Promise<void> {
    try {
      await this.#deps.onStopped()
    } catch (error) {
      this.#log.error('what ran as leader did not end well', { error })
    }
    if (this.#stop.signal.aborted) await this.#release()
  }

  /** Reads the lease once and, if it is free or ours, writes it once. Gives undefined when that failed. */
  async #try(timeoutMs: number, signal: AbortSignal = this.#stop.signal): Promise<Attempt | undefined> {
    using deadline = new Deadline(this.#clock, timeoutMs, signal)
    try {
      const attempt = await this.#acquireOrRenew(deadline.signal)
      this.#lastError = undefined
      return attempt
    } catch (error) {
      if (signal.aborted) return undefined
      const message = describe(error)
      // losing a race (409) is normal in an election
      const level = message === this.#lastError || isApiError(error, 409) ? 'debug' : 'warn'
      this.#log[level]('cannot acquire or renew the lease', { error: message })
      this.#lastError = message
      return undefined
    }
  }

  async #acquireOrRenew(signal: AbortSignal): Promise<Attempt> {
    const { namespace, name, identity } = this.#options
    const { client } = this.#deps
    // the term counts from before the request: the server may have written the lease at any moment since
    const askedAtMs = this.#clock.monotonicMs()
    const lease = await this.#read(signal)
    if (lease === undefined) {
      const fresh = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } }
      const body = { ...fresh, spec: this.#claim(undefined) }
      this.#won(await client.create<Lease>(leasesPath(namespace), body, { signal }), askedAtMs)
      return { kind: 'ours' }
    }
    this.#observe(leaseSpecOf(lease))
    if (this.#isHeldByOther()) return { kind: 'other', holder: this.holder }
    // everything else in the object is kept as found, its resourceVersion is the precondition
    const body = { ...lease, spec: { ...fieldsOf(lease.spec), ...this.#claim(leaseSpecOf(lease)) } }
    this.#won(await client.replace<Lease>(leasePath(namespace, name), body, { signal }), askedAtMs)
    this.#log.debug('renewed the lease', { holder: identity })
    return { kind: 'ours' }
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    const { namespace, name } = this.#options
    try {
      return await this.#deps.client.get<Lease>(leasePath(namespace, name), { signal })
    } catch (error) {
      if (isApiError(error, 404)) return undefined
      throw error
    }
  }

  #observe(spec: LeaseSpec): void {
    const isSame = this.#observed !== undefined && JSON.stringify(this.#observed.spec) === JSON.stringify(spec)
    if (!isSame) this.#observed = { spec, sinceMs: this.#clock.monotonicMs() }
  }

  #isHeldByOther(): boolean {
    if (this.#observed === undefined) return false
    const { spec, sinceMs } = this.#observed
    if (spec.holderIdentity === '' || spec.holderIdentity === this.#options.identity) return false
    const durationMs = spec.leaseDurationSeconds > 0 ? spec.leaseDurationSeconds * 1000 : leaseDurationMs
    return this.#clock.monotonicMs() < sinceMs + durationMs
  }

  /** The spec to write; acquireTime and transitions stay the same while the holder does. */
  #claim(previous: LeaseSpec | undefined): LeaseSpec {
    const now = microTime(this.#clock.wallMs())
    const isRenewal = previous?.holderIdentity === this.#options.identity
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: leaseDurationMs / 1000,
      acquireTime: isRenewal && previous.acquireTime !== '' ? previous.acquireTime : now,
      renewTime: now,
      leaseTransitions: (previous?.leaseTransitions ?? 0) + (previous === undefined || isRenewal ? 0 : 1),
    }
  }

  #won(lease: Lease, askedAtMs: number): void {
    this.#observe(leaseSpecOf(lease))
    this.#renewedAtMs = askedAtMs
  }

  async #release(): Promise<void> {
    const { namespace, name, identity } = this.#options
    using deadline = new Deadline(this.#clock, releaseTimeoutMs)
    try {
      const lease = await this.#read(deadline.signal)
      if (lease === undefined || leaseSpecOf(lease).holderIdentity !== identity) return
      // as client-go releases it: no holder, and a duration of one second for candidates that judge a lease by its times
      const released = { ...this.#claim(leaseSpecOf(lease)), holderIdentity: '', leaseDurationSeconds: 1 }
      const body = { ...lease, spec: { ...fieldsOf(lease.spec), ...released } }
      await this.#deps.client.replace(leasePath(namespace, name), body, { signal: deadline.signal })
      this.#log.info('gave the lease back')
    } catch (error) {
      this.#log.warn('could not give the lease back; it expires by itself', { error: describe(error) })
    }
  }
}

/** metav1.MicroTime: RFC 3339 with six digits of the second. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z')
}
