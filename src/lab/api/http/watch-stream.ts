// One watch: a chunked answer that goes on until the client leaves, its time is up, or the client reads too slowly.
import type { ServerResponse } from 'node:http'
import { expired } from '../api-error.ts'
import { apiVersionOf, type Resource } from '../kinds/resource.ts'
import type { KubeObject } from '../objects.ts'
import type { Bucket } from '../storage/bucket.ts'
import type { Change } from '../storage/history.ts'
import type { Context } from '../verbs/context.ts'
import { atRevision, encodeChange, encodeEvent, shape, sightOf, type Sight } from './encode.ts'
import type { Form } from './negotiate.ts'
import type { IncludeObject } from './table.ts'

export type WatchOptions = {
  readonly resource: Resource
  readonly isMeant: (object: KubeObject) => boolean
  readonly form: Form
  readonly include: IncludeObject
  /** The watch sends events after this revision; 0 means: first all existing objects. */
  readonly revision: number
  readonly sendsInitial: boolean
  /** Whether a marked bookmark ends the initial events (KEP-3157). */
  readonly marksInitialEnd: boolean
  readonly allowsBookmarks: boolean
  readonly timeoutMs: number
}

/** A client this far behind is disconnected and has to list again; the objects that it gets at the start are not counted. */
const backlogLimitBytes = 16 * 1024 * 1024
const firstBookmarkMs = 1000
const bookmarkIntervalMs = 15_000

export class WatchStream implements Disposable {
  readonly #context: Context
  readonly #response: ServerResponse
  readonly #options: WatchOptions
  readonly #bucket: Bucket
  readonly #timers: NodeJS.Timeout[] = []
  readonly #listener = (change: Change): void => this.#send(change)
  #sentHeaders = false
  #initialBytes = 0

  /** Takes over `response` and starts at once. */
  constructor(response: ServerResponse, options: WatchOptions, context: Context) {
    this.#context = context
    this.#response = response
    this.#options = options
    this.#bucket = context.store.bucket(options.resource.bucket)
    response.writeHead(200, {
      'content-type': 'application/json',
      'transfer-encoding': 'chunked',
      'cache-control': 'no-cache, private',
    })
    response.flushHeaders()
    response.once('close', () => this[Symbol.dispose]())
    this.#start()
  }

  #start(): void {
    const { revision, sendsInitial, marksInitialEnd, allowsBookmarks, timeoutMs } = this.#options
    if (sendsInitial) this.#sendAll()
    else if (!this.#sendMissed(revision)) return
    if (marksInitialEnd) this.#write(this.#bookmark({ 'k8s.io/initial-events-end': 'true' }))
    this.#bucket.listeners.add(this.#listener)
    this.#timers.push(setTimeout(() => this[Symbol.dispose](), timeoutMs))
    if (!allowsBookmarks) return
    const sendBookmark = (): void => this.#write(this.#bookmark())
    this.#timers.push(setTimeout(sendBookmark, firstBookmarkMs), setInterval(sendBookmark, bookmarkIntervalMs))
  }

  #sendAll(): void {
    for (const entry of this.#bucket.all()) {
      if (!this.#options.isMeant(entry.object)) continue
      const line = this.#encode('ADDED', entry.object)
      this.#initialBytes += line.length
      this.#write(line)
    }
  }

  /** Sends the missed events. False when some are no longer kept: the client is told, and the stream ends. */
  #sendMissed(revision: number): boolean {
    const missed = this.#bucket.history.since(revision)
    if (missed === undefined) {
      const status = expired(`too old resource version: ${revision} (${this.#bucket.history.floor})`).toStatus()
      this.#write(encodeEvent('ERROR', status))
      this[Symbol.dispose]()
      return false
    }
    for (const change of missed) this.#send(change)
    return true
  }

  #send(change: Change): void {
    const { resource, form, isMeant } = this.#options
    const sight = sightOf(change, isMeant)
    if (sight === undefined) return
    if (form.kind === 'object') this.#write(encodeChange(resource, change, sight))
    else
      this.#write(
        this.#encode(
          sight.type,
          sight.type === 'DELETED' ? atRevision(sight.entry.object, change.revision) : sight.entry.object,
        ),
      )
  }

  #encode(type: Sight['type'], object: KubeObject): Buffer {
    const { resource, form, include } = this.#options
    const shaped = shape(resource, object, form, { include, now: this.#context.now(), withHeaders: !this.#sentHeaders })
    this.#sentHeaders = true
    return encodeEvent(type, shaped)
  }

  #bookmark(annotations?: Readonly<Record<string, string>>): Buffer {
    const { resource, form } = this.#options
    const metadata = {
      resourceVersion: String(this.#context.store.revision),
      ...(annotations && { annotations }),
    }
    const plain = { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata }
    if (form.kind === 'object') return encodeEvent('BOOKMARK', plain)
    return encodeEvent(
      'BOOKMARK',
      shape(resource, plain, form, {
        include: 'Metadata',
        now: this.#context.now(),
        withHeaders: false,
      }),
    )
  }

  #write(line: Buffer): void {
    if (this.#response.destroyed || this.#response.writableEnded) return
    this.#response.write(line)
    if (this.#response.writableLength <= backlogLimitBytes + this.#initialBytes) return
    this.#context.log.warn('watcher reads too slowly, closing it', {
      resource: this.#options.resource.plural,
      backlogBytes: this.#response.writableLength,
    })
    this.#response.destroy()
  }

  [Symbol.dispose](): void {
    this.#bucket.listeners.delete(this.#listener)
    for (const timer of this.#timers) clearTimeout(timer)
    if (!this.#response.writableEnded) this.#response.end()
  }
}
