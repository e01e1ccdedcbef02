// Background work after writes: definitions are served, deleted namespaces are emptied, garbage is collected. It runs soon after a write
// rather than in it, so that no write waits for its consequences.
import { messageOf } from '#/lib/log.ts'
import type { Change } from '../storage/history.ts'
import type { Context } from '../verbs/context.ts'
import { definitionsBucket, establish, serve, withdraw } from './definitions.ts'
import { GarbageCollector } from './garbage.ts'
import { ensureNamespaces, finishNamespaces } from './namespaces.ts'

export class Lifecycle implements Disposable {
  readonly #context: Context
  readonly #garbage: GarbageCollector
  readonly #stopListening: () => void
  #scheduled: NodeJS.Immediate | undefined

  constructor(context: Context) {
    this.#context = context
    for (const { object } of context.store.bucket(definitionsBucket).all()) serve(context, object)
    this.#garbage = new GarbageCollector(context)
    this.#stopListening = context.store.listen((bucket, change) => this.#note(bucket, change))
    ensureNamespaces(context)
    this.#schedule()
  }

  #note(bucket: string, change: Change): void {
    this.#garbage.note(bucket, change)
    // at once, because a client that created a definition may create its objects with the next request
    if (bucket === definitionsBucket && change.after !== undefined) serve(this.#context, change.after.object)
    if (bucket === definitionsBucket && change.after === undefined)
      setImmediate(() => this.#attempt(() => withdraw(this.#context, change.before!.object)))
    const concernsNamespaces = this.#hasTerminating() || bucket === 'namespaces'
    if (concernsNamespaces || bucket === definitionsBucket || !this.#garbage.isIdle) this.#schedule()
  }

  #hasTerminating(): boolean {
    return this.#context.store
      .bucket('namespaces')
      .all()
      .some(({ object }) => object.metadata.deletionTimestamp !== undefined)
  }

  #schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined
      this.#attempt(() => establish(this.#context))
      this.#attempt(() => finishNamespaces(this.#context))
      this.#attempt(() => this.#garbage.collect())
    })
  }

  #attempt(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#context.log.error('background work of the API server failed', { error: messageOf(error) })
    }
  }

  [Symbol.dispose](): void {
    this.#stopListening()
    clearImmediate(this.#scheduled)
  }
}
