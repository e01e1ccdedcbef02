// Keeps a copy of one collection of API objects: lists it, watches from the list's version on, and starts over when the
// server no longer knows that version (410). What it holds stays, stale, for as long as the API is away.
//
//   listing ──► watching ──end of watch──► watching (from the last version)
//      ▲           │ failure
//      └─ backoff ◄┘   back to listing only if the version is gone (then without delay) or cannot be resumed, else to watching
import { setImmediate as immediate } from 'node:timers/promises'
import type { Logger } from '#/lib/log.ts'
import type { KubeObject } from '#/model/kubernetes.ts'
import { Backoff } from './backoff.ts'
import type { ApiClient } from './client.ts'
import { type Clock, sleep, systemClock } from './clock.ts'
import { ApiError, describe, isApiError, isUnanswered } from './errors.ts'
import { type Keep, lean, type Listener, ObjectStore, type Unsubscribe } from './store.ts'
import { type WatchEvent, watchEvents } from './watch.ts'

export type ReflectorOptions = {
  readonly path: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly pageSize?: number
  /** The kind may be undefined in the cluster: then the collection is empty, and the kind is looked for again later. */
  readonly mayBeUndefined?: boolean
}

export type ReflectorDeps<T extends KubeObject> = {
  readonly client: ApiClient
  readonly log: Logger
  readonly clock?: Clock
  /** A number in [0, 1). */
  readonly random?: () => number
  /** Reduces each object to what is kept; by default all but metadata.managedFields. Objects of thousands of nodes add up. */
  readonly keep?: Keep<T>
}

export type ReflectorStatus = {
  readonly phase: 'listing' | 'watching' | 'backoff'
  /** The error behind the current or last backoff; absent once a watch has proven healthy. */
  readonly lastError?: string
  /** Wall clock time of the last event, bookmarks included. */
  readonly lastEventAtMs?: number
  readonly resourceVersion?: string
  /** How often a watch or list was begun after the first. */
  readonly restarts: number
}

/** A watch that has lived this long, or has delivered an event, counts as healthy and resets the backoff. */
const healthyAfterMs = 5_000
/** After this many failed attempts in a row to resume a watch, list anew: the server may be unable to serve the version. */
const maxFailedResumes = 3
/** Status codes that refuse the client or any load: a list would be refused too, and costs the server more than a watch. */
const saysNothingOfVersions = [401, 403, 429, 502, 503]
/** The longest Retry-After that is obeyed. */
const longestAskedMs = 60_000
/** An API server that starts may not know all kinds yet: known objects are given up only when it has denied the kind for this long. */
const undefinedAfterMs = 30_000
/** So many objects are taken over at most before the event loop gets a turn, and for so long: what follows of an object may take a while. */
const objectsPerTurn = 50
const turnMs = 4

export class Reflector<T extends KubeObject> implements AsyncDisposable {
  readonly #options: ReflectorOptions
  readonly #client: ApiClient
  readonly #log: Logger
  readonly #clock: Clock
  readonly #random: () => number
  readonly #keep: Keep<T>
  readonly #store: ObjectStore<T>
  readonly #backoff: Backoff
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #phase: ReflectorStatus['phase'] = 'listing'
  #lastError: string | undefined
  #lastErrorCode: number | undefined
  /** Whether the log says that the API is lost. */
  #isLossTold = false
  #lastEventAtMs: number | undefined
  /** The version from which a watch can continue; undefined when a list is needed to learn it. */
  #resourceVersion: string | undefined
  #failedResumes = 0
  /** How many versions in a row were gone, without a healthy watch in between. */
  #goneVersions = 0
  /** Whether it has waited since the last healthy watch: then agents that lost their watches at the same moment act at different ones. */
  #hasWaited = false
  #attempts = 0
  /** Since when the server has answered that there is no such kind. */
  #undefinedSinceMs: number | undefined

  constructor(options: ReflectorOptions, deps: ReflectorDeps<T>) {
    this.#options = options
    this.#client = deps.client
    this.#log = deps.log.with({ path: options.path })
    this.#clock = deps.clock ?? systemClock
    this.#random = deps.random ?? Math.random
    this.#keep = deps.keep ?? lean
    this.#store = new ObjectStore<T>({ log: this.#log, keep: this.#keep })
    this.#backoff = new Backoff({ firstMs: 200, maxMs: 30_000 }, { random: this.#random })
  }

  /** Begins in the background; never throws. A second call changes nothing. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Whether a whole list has been taken over once. It stays true: during an outage the objects are stale, not gone. */
  get inSync(): boolean {
    return this.#store.inSync
  }

  /** The objects by "name" or "namespace/name". A live view: it changes only between turns of the event loop. */
  get objects(): ReadonlyMap<string, T> {
    return this.#store.objects
  }

  /** Calls the listener for changes from now on; `objects` has the objects known already. */
  subscribe(listener: Listener<T>): Unsubscribe {
    return this.#store.subscribe(listener)
  }

  get status(): ReflectorStatus {
    return {
      phase: this.#phase,
      restarts: Math.max(0, this.#attempts - 1),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      ...(this.#lastEventAtMs === undefined ? {} : { lastEventAtMs: this.#lastEventAtMs }),
      ...(this.#resourceVersion === undefined ? {} : { resourceVersion: this.#resourceVersion }),
    }
  }

  /** The HTTP status of `status.lastError`; undefined when there is none, or it was no answer. */
  get lastErrorCode(): number | undefined {
    return this.#lastErrorCode
  }

  /** Ends the watch and resolves when nothing runs any more. `objects` stays readable. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        this.#attempts++
        if (this.#resourceVersion === undefined) this.#resourceVersion = await this.#list()
        await this.#watch(this.#resourceVersion)
      } catch (error) {
        // an abort shows as an error of the request under way; the loop condition handles it
        if (!signal.aborted) await this.#recover(error)
      }
    }
  }

  async #list(): Promise<string> {
    this.#phase = 'listing'
    const { path, ...options } = this.#options
    const { items, resourceVersion } = await this.#client.list<T>(path, {
      ...options,
      keep: this.#keep,
      signal: this.#stop.signal,
    })
    this.#stop.signal.throwIfAborted()
    this.#undefinedSinceMs = undefined
    await this.#replaceAll(items)
    this.#client.outage.noteSize(items.length)
    this.#log.debug('listed', { objects: items.length, resourceVersion })
    return resourceVersion
  }

  async #replaceAll(items: readonly T[]): Promise<void> {
    const giveTurn = this.#turns()
    for (const _ of this.#store.replaceAll(items)) await giveTurn()
  }

  /** To be called, and awaited, after each object: gives the event loop a turn when it is due. */
  #turns(): () => Promise<void> | undefined {
    let count = 0
    let beganMs = this.#clock.monotonicMs()
    return () => {
      if (++count < objectsPerTurn && this.#clock.monotonicMs() - beganMs < turnMs) return undefined
      return immediate().then(() => {
        count = 0
        beganMs = this.#clock.monotonicMs()
      })
    }
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { path, labelSelector, fieldSelector } = this.#options
    const query = {
      resourceVersion,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    }
    const lifeSeconds = Math.round(300 + this.#random() * 300)
    let cancelHealthTimer = (): void => {}
    const onOpen = (): void => {
      this.#phase = 'watching'
      cancelHealthTimer = this.#clock.after(healthyAfterMs, () => this.#proveHealthy())
    }
    const openedAtMs = this.#clock.monotonicMs()
    try {
      const deps = { client: this.#client, clock: this.#clock, signal: this.#stop.signal, onOpen }
      const giveTurn = this.#turns()
      for await (const event of watchEvents({ path, query, lifeSeconds }, deps)) {
        this.#apply(event)
        await giveTurn()
      }
    } finally {
      cancelHealthTimer()
    }
    // a server that ends every watch at once must not be asked again at once
    if (this.#clock.monotonicMs() - openedAtMs < healthyAfterMs) throw new Error(`watch of ${path} ended too early`)
  }

  #apply(event: WatchEvent): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as for every object of the client: typed but unread
    if (event.kind !== 'bookmark') this.#take(event.kind, event.object as T)
    this.#resourceVersion = event.resourceVersion
    this.#lastEventAtMs = this.#clock.wallMs()
    this.#failedResumes = 0
  }

  #take(kind: 'added' | 'modified' | 'deleted', object: T): void {
    if (kind === 'deleted') this.#store.remove(object)
    else this.#store.put(object)
  }

  #proveHealthy(): void {
    this.#backoff.reset()
    this.#failedResumes = 0
    this.#goneVersions = 0
    this.#hasWaited = false
    if (this.#isLossTold) this.#log.info('watches the API again')
    this.#isLossTold = false
    this.#lastError = undefined
    this.#lastErrorCode = undefined
  }

  async #recover(error: unknown): Promise<void> {
    if (isVersionGone(error)) {
      this.#resourceVersion = undefined
      if (this.#goneVersions++ === 0) return this.#listAnew(error)
    }
    const message = describe(error)
    const isUndefined = this.#options.mayBeUndefined === true && isApiError(error, 404)
    if (isUndefined) await this.#takeUndefined()
    else if (error instanceof ApiError && this.#mustRelist(error)) this.#resourceVersion = undefined
    // only a failure that differs from the last one is worth a warning
    const isNews = !isUndefined && message !== this.#lastError
    this.#log[isNews ? 'warn' : 'debug']('lost the API, keeping what is known', { error: message })
    this.#isLossTold ||= isNews
    this.#phase = 'backoff'
    this.#lastError = message
    this.#lastErrorCode = error instanceof ApiError ? error.code : undefined
    this.#hasWaited = true
    await this.#wait(error)
  }

  /** A version that is gone is no fault of the API: the list that it takes is not delayed, only spread over the agents of the cluster. */
  async #listAnew(error: unknown): Promise<void> {
    this.#log.debug('lists anew', { why: describe(error) })
    if (!this.#hasWaited) await sleep(this.#clock, this.#client.outage.spreadMs(), this.#stop.signal)
    this.#hasWaited = true
  }

  async #wait(error: unknown): Promise<void> {
    const { signal } = this.#stop
    const { outage } = this.#client
    const askedMs = error instanceof ApiError ? Math.min(error.retryAfterMs ?? 0, longestAskedMs) : 0
    if (askedMs > 0) await sleep(this.#clock, Math.max(askedMs, this.#backoff.next()), signal)
    else if (outage.isOn && isUnanswered(error)) await outage.turn(signal)
    else await outage.pause(this.#backoff.next(), signal)
  }

  async #takeUndefined(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    this.#undefinedSinceMs ??= nowMs
    if (this.inSync && nowMs - this.#undefinedSinceMs < undefinedAfterMs) return
    this.#resourceVersion = undefined
    if (!this.inSync || this.objects.size > 0) await this.#replaceAll([])
  }

  /** Whether a list is to be tried because watches from the known version have failed a few times. */
  #mustRelist(error: ApiError): boolean {
    if (saysNothingOfVersions.includes(error.code)) return false
    this.#failedResumes++
    return this.#failedResumes % maxFailedResumes === 0
  }
}

/** 410: the version is compacted away, or the server has a new watch cache that begins later. 400: the server rejects it. */
function isVersionGone(error: unknown): boolean {
  return isApiError(error, 410) || isApiError(error, 400)
}
