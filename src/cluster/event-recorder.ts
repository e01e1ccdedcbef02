// Writes core/v1 Events: news for people, shown by "kubectl describe". This is best effort: an event that cannot be written is
// dropped, nobody waits for it, and a component that repeats itself raises one event's count, as with client-go.
import type { Logger } from '#/lib/log.ts'
import type { Event, EventType, ObjectReference } from '#/model/kubernetes.ts'
import type { ApiClient } from './client.ts'
import { type Clock, sleep, systemClock } from './clock.ts'
import { ApiError, describe, isApiError } from './errors.ts'
import { eventPath, eventsPath } from './paths.ts'
import { TokenBucket } from './token-bucket.ts'

export type EventRecorderOptions = {
  /** The program that reports events, such as "causeway-controller". */
  readonly component: string
  /** The instance of that program, such as the node's name. */
  readonly instance: string
}

type Series = {
  readonly regarding: ObjectReference
  readonly type: EventType
  readonly reason: string
  readonly message: string
  readonly firstMs: number
  lastMs: number
  count: number
  /** The name of the event object once it exists. */
  name: string | undefined
  isDirty: boolean
}

/** client-go's spam filter: 25 events about one object at once, then one every five minutes. */
const perObject = { burst: 25, perSecond: 1 / 300 }
/** A limit over all objects, to spare the API server. */
const overall = { burst: 50, perSecond: 10 }
const maxSeries = 1024
const maxTries = 3
const retryMs = 5_000
const drainMs = 1_000
/** The longest message that core/v1 validation accepts. */
const maxMessageLength = 1024

export class EventRecorder implements AsyncDisposable {
  readonly #options: EventRecorderOptions
  readonly #client: Pick<ApiClient, 'create' | 'patch'>
  readonly #log: Logger
  readonly #clock: Clock
  /** Series in order of last use: the first is the next to be forgotten. */
  readonly #series = new Map<string, Series>()
  readonly #objectBuckets = new Map<string, TokenBucket>()
  readonly #overall: TokenBucket
  readonly #stop = new AbortController()
  #writing: Promise<void> | undefined
  #lastName = 0

  constructor(
    options: EventRecorderOptions,
    deps: { readonly client: Pick<ApiClient, 'create' | 'patch'>; readonly log: Logger; readonly clock?: Clock },
  ) {
    this.#options = options
    this.#client = deps.client
    this.#log = deps.log
    this.#clock = deps.clock ?? systemClock
    this.#overall = new TokenBucket(overall, { clock: this.#clock })
  }

  /** Notes the event and returns at once; never throws. */
  record(regarding: ObjectReference, type: EventType, reason: string, message: string): void {
    if (this.#stop.signal.aborted || !this.#bucketOf(regarding).take()) return
    const text = message.slice(0, maxMessageLength)
    const key = JSON.stringify([regarding.kind, regarding.namespace, regarding.name, regarding.uid, type, reason, text])
    const now = this.#clock.wallMs()
    const known = this.#series.get(key)
    const fresh = { regarding, type, reason, message: text, firstMs: now, lastMs: now, count: 0, name: undefined }
    const series: Series = known ?? { ...fresh, isDirty: false }
    series.count++
    series.lastMs = now
    series.isDirty = true
    moveToEnd(this.#series, key, series, maxSeries)
    this.#writing ??= this.#writeAll()
  }

  /** Waits up to a second for noted events to be written. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { signal } = this.#stop
    if (this.#writing !== undefined) await Promise.race([this.#writing, sleep(this.#clock, drainMs, signal)])
    this.#stop.abort(new Error('stopped'))
    await this.#writing
  }

  #bucketOf(regarding: ObjectReference): TokenBucket {
    const key = JSON.stringify([regarding.kind, regarding.namespace, regarding.name])
    const bucket = this.#objectBuckets.get(key) ?? new TokenBucket(perObject, { clock: this.#clock })
    moveToEnd(this.#objectBuckets, key, bucket, maxSeries)
    return bucket
  }

  async #writeAll(): Promise<void> {
    const { signal } = this.#stop
    // wait a moment, so that events noted together are written together
    await Promise.resolve()
    for (let series = this.#nextDirty(); series !== undefined; series = this.#nextDirty()) {
      const waitMs = this.#overall.msUntilNext()
      if (waitMs > 0) await sleep(this.#clock, waitMs, signal)
      if (signal.aborted) break
      this.#overall.take()
      series.isDirty = false
      await this.#writeWithRetries(series)
    }
    // done in the same turn as the last look for work, so that no event noted in between is forgotten
    this.#writing = undefined
  }

  #nextDirty(): Series | undefined {
    return this.#series.values().find(({ isDirty }) => isDirty)
  }

  async #writeWithRetries(series: Series): Promise<void> {
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      try {
        await this.#write(series)
        return
      } catch (error) {
        const isFinal = attempt >= maxTries || (error instanceof ApiError && error.code < 500 && error.code !== 429)
        if (isFinal) {
          const { reason, regarding } = series
          this.#log.warn('dropped an event', { reason, object: regarding.name, error: describe(error) })
          return
        }
        await sleep(this.#clock, retryMs, this.#stop.signal)
      }
    }
  }

  async #write(series: Series): Promise<void> {
    const { signal } = this.#stop
    const event = this.#eventOf(series)
    const { name, namespace = '' } = event.metadata
    if (series.name !== undefined) {
      const { count, lastTimestamp } = event
      try {
        await this.#client.patch(eventPath(namespace, name), { count, lastTimestamp }, 'merge', {}, { signal })
        return
      } catch (error) {
        // events expire after an hour: begin a new one
        if (!isApiError(error, 404)) throw error
      }
    }
    await this.#client.create(eventsPath(namespace), event, { signal })
    series.name = name
  }

  #eventOf(series: Series): Event {
    const { regarding, type, reason, message, count } = series
    const { component, instance } = this.#options
    // events about objects without a namespace live in "default", where kubectl looks for them
    const namespace = regarding.namespace ?? 'default'
    const name = series.name ?? this.#newName(regarding.name)
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: regarding,
      type,
      reason,
      message,
      count,
      firstTimestamp: secondsTime(series.firstMs),
      lastTimestamp: secondsTime(series.lastMs),
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
    }
  }

  /** A name as client-go makes it: the object's name and a time, here made unique within the process. */
  #newName(objectName: string): string {
    this.#lastName = Math.max(this.#lastName + 1, Math.floor(this.#clock.wallMs() * 1000))
    return `${objectName}.${this.#lastName.toString(16)}`
  }
}

function moveToEnd<V>(map: Map<string, V>, key: string, value: V, maxSize: number): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.size > maxSize ? map.keys().next() : undefined
  if (oldest?.done === false) map.delete(oldest.value)
}

/** metav1.Time: RFC 3339 in whole seconds. */
function secondsTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z')
}
