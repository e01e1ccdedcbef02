// The BGP speaker as the agent sees it: a thread of its own, so that keepalives and BFD packets never wait for what the agent does.
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type LearnedRouteChange, type RouteFilter } from '#/model/bgp.ts'
import { bgpFromJson } from '#/model/bgp-json.ts'
import { type PortService } from './compose.ts'
import {
  type FromSpeaker,
  type ListName,
  type Lists,
  type Question,
  type Questions,
  type Slice,
  type StopKind,
  type ToSpeaker,
} from './thread-messages.ts'

export type SpeakerThreadDeps = {
  readonly onRoutes: (changes: readonly LearnedRouteChange[]) => void
  readonly onReady: () => void
  readonly onSessions: (hasAny: boolean) => void
  readonly onPortTrouble: (service: PortService, why: string | undefined) => void
  /** The thread ended by itself: none of its routes can be relied on to be kept up to date. */
  readonly onFailure: (error: string) => void
  readonly log: Logger
}

/** Beside the sources, or beside the bundle's chunks (scripts/bundle.ts). */
const workerFile = import.meta.url.endsWith('.ts') ? './worker.ts' : './bgp-worker.cjs'
const stopTimeoutMs = 2_000
/** Of the thread: much of what a burst of routes makes lives just long enough to be copied again and again in the agent's 1 MiB. */
const youngGenerationMiB = 8

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }

export class SpeakerThread {
  readonly #deps: SpeakerThreadDeps
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #stopped = Promise.withResolvers<void>()
  #lastId = 0
  #isStopping = false

  constructor(deps: SpeakerThreadDeps) {
    this.#deps = deps
    // the agent's own heap has its size already
    setFlagsFromString(`--max-semi-space-size=${youngGenerationMiB}`)
    this.#worker = new Worker(new URL(workerFile, import.meta.url))
    this.#worker.on('message', (message: FromSpeaker) => this.#take(message))
    this.#worker.on('error', (error) => this.#ended(messageOf(error)))
    this.#worker.on('exit', (code) => this.#ended(`it ended with status ${code}`))
  }

  /** `config` is a SpeakerConfig as JSON. */
  configure(config: string): void {
    this.#tell({ kind: 'configure', config })
  }

  async ask<Q extends Question>(question: Q, argument: Questions[Q]['argument']): Promise<Questions[Q]['answer']> {
    const id = ++this.#lastId
    // the thread answers with what the question is for
    return this.#request({ kind: 'ask', id, question, argument }) as Promise<Questions[Q]['answer']>
  }

  /** In slices, each made when it is wanted. Rejects when the thread ends meanwhile. */
  async *list<L extends ListName>(list: L, filter: RouteFilter): AsyncGenerator<readonly Lists[L][], void, void> {
    const id = ++this.#lastId
    this.#tell({ kind: 'list', id, list, filter })
    try {
      for (;;) {
        const { items, isLast } = (await this.#request({ kind: 'more', id })) as Slice<Lists[L]>
        yield items
        if (isLast) return
      }
    } finally {
      this.#tell({ kind: 'enough', id })
    }
  }

  async #request(message: ToSpeaker & { readonly id: number }): Promise<unknown> {
    if (this.#isStopping) throw new Error('the BGP speaker is gone')
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(message.id, { resolve, reject })
    this.#tell(message)
    return promise
  }

  /** Ends the sessions, and the thread. */
  async stop(how: StopKind, text: string): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true
      this.#tell({ kind: 'stop', how, text })
    }
    const timer = setTimeout(() => this.#stopped.resolve(), stopTimeoutMs)
    await this.#stopped.promise
    clearTimeout(timer)
    await this.#worker.terminate()
  }

  #tell(message: ToSpeaker): void {
    this.#worker.postMessage(message)
  }

  #take(message: FromSpeaker): void {
    // whoever ended the thread does not hold its routes any more
    if (this.#isStopping && (message.kind === 'routes' || message.kind === 'ready')) return
    switch (message.kind) {
      case 'routes':
        // what the other side wrote with JSON.stringify of just this type
        this.#deps.onRoutes(bgpFromJson(message.changes) as readonly LearnedRouteChange[])
        return
      case 'ready':
        this.#deps.onReady()
        return
      case 'sessions':
        this.#deps.onSessions(message.hasAny)
        return
      case 'port':
        this.#deps.onPortTrouble(message.service, message.trouble)
        return
      case 'answer': {
        const waiting = this.#waiting.get(message.id)
        this.#waiting.delete(message.id)
        if (message.error === undefined) waiting?.resolve(message.value)
        else waiting?.reject(new Error(message.error))
        return
      }
      case 'log':
        this.#deps.log[message.level](message.message, message.fields)
        return
      case 'failed':
        this.#ended(message.error)
        return
      case 'stopped':
        this.#stopped.resolve()
        return
      default:
        message satisfies never
    }
  }

  #ended(error: string): void {
    this.#stopped.resolve()
    for (const { reject } of this.#waiting.values()) reject(new Error(`the BGP speaker is gone: ${error}`))
    this.#waiting.clear()
    if (this.#isStopping) return
    this.#isStopping = true
    // a thread that failed may still have sessions, and the port that the next one needs
    void this.#worker.terminate()
    this.#deps.onFailure(error)
  }
}
