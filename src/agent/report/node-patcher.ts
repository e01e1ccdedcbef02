// Keeps a part of this node's Node object as it should be. It compares the wanted content with the live one (level-triggered), and
// writes the difference in the background.
import { Backoff } from '#/cluster/backoff.ts'
import { type ApiClient, type PatchType } from '#/cluster/client.ts'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { describe } from '#/cluster/errors.ts'
import { type Outage } from '#/cluster/outage.ts'
import { type Logger } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'

/** The pause after a write: it gives the watch time to show that write, and avoids a race with another writer of the same part. */
const settleMs = 5_000

export type NodePatch = {
  readonly path: string
  readonly type: PatchType
  readonly body: unknown
  /** The patch is written only if it is still needed after this time. */
  readonly afterMs: number
  /** Fields of the log line about the write. */
  readonly fields: Readonly<Record<string, unknown>>
}

export type NodePatcherDeps = {
  readonly client: Pick<ApiClient, 'patch'>
  /** The Node object as it was last seen. */
  readonly node: () => KubeNode | undefined
  readonly log: Logger
  /** Whether the API answers; absent: a failed write is tried again after its pause alone. */
  readonly outage?: Pick<Outage, 'ended' | 'spreadMs'>
  readonly clock?: Clock
  readonly random?: () => number
}

export class NodePatcher implements AsyncDisposable {
  readonly #what: string
  readonly #patchFor: (node: KubeNode) => NodePatch | undefined
  readonly #client: Pick<ApiClient, 'patch'>
  readonly #node: () => KubeNode | undefined
  readonly #log: Logger
  readonly #clock: Clock
  readonly #backoff: Backoff
  readonly #stop = new AbortController()
  readonly #unsubscribe: (() => void) | undefined
  /** Nothing is written before this time, by the monotonic clock. */
  #restUntilMs = 0
  #writing: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #lastError = ''

  /**
   * `what` names the part in the log, such as "the node condition". `patchFor` returns what to write to this Node object, or undefined
   * when it is as it should be.
   */
  constructor(what: string, patchFor: (node: KubeNode) => NodePatch | undefined, deps: NodePatcherDeps) {
    this.#what = what
    this.#patchFor = patchFor
    this.#client = deps.client
    this.#node = deps.node
    this.#log = deps.log
    this.#clock = deps.clock ?? systemClock
    this.#backoff = new Backoff({ firstMs: 1000, maxMs: 60_000 }, { random: deps.random ?? Math.random })
    const { outage } = deps
    this.#unsubscribe = outage?.ended.subscribe(() => this.#endPause(outage.spreadMs()))
  }

  /** To be called when the Node object, or what should stand on it, may have changed. Returns at once. */
  notice(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#stop.signal.aborted) return
    const node = this.#node()
    const patch = node && this.#patchFor(node)
    if (patch === undefined || this.#writing !== undefined) return
    const waitMs = Math.max(patch.afterMs, this.#restUntilMs - this.#clock.monotonicMs())
    if (waitMs > 0) this.#cancel = this.#clock.after(waitMs, () => this.notice())
    else this.#writing = this.#write(patch)
  }

  /** Ends the pause after a failed write: the API answers again. */
  #endPause(delayMs: number): void {
    if (this.#lastError === '' || this.#writing !== undefined) return
    this.#backoff.reset()
    this.#restUntilMs = 0
    this.#cancel?.()
    this.#cancel = this.#clock.after(delayMs, () => this.notice())
  }

  async #write({ path, type, body, fields }: NodePatch): Promise<void> {
    const { signal } = this.#stop
    let restMs = settleMs
    try {
      await this.#client.patch(path, body, type, {}, { signal })
      this.#backoff.reset()
      this.#lastError = ''
      this.#log.info(`told ${this.#what}`, fields)
    } catch (error) {
      restMs = this.#backoff.next()
      const text = describe(error)
      if (text !== this.#lastError && !signal.aborted) this.#log.warn(`cannot tell ${this.#what}`, { error: text })
      this.#lastError = text
    }
    this.#restUntilMs = this.#clock.monotonicMs() + restMs
    this.#writing = undefined
    // look again: something may have changed during the write, and a failed write must be tried again
    this.#cancel?.()
    if (!signal.aborted) this.#cancel = this.#clock.after(restMs, () => this.notice())
  }

  /** Leaves the Node object as it is: the node's network goes on working without an agent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    this.#unsubscribe?.()
    this.#cancel?.()
    await this.#writing
  }
}
