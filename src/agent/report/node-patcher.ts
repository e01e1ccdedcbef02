// Keeps a part of this node's Node object as it should be. Level-triggered: what should stand there is compared with what does, and
// written when it differs. Nobody waits for it.
import { Backoff } from '#/cluster/backoff.ts'
import { type ApiClient, type PatchType } from '#/cluster/client.ts'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { describe } from '#/cluster/errors.ts'
import { type Logger } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'

/** Between two writes: a watch is given time to show the first, and whoever else writes the same part is not raced. */
const settleMs = 5_000

export type NodePatch = {
  readonly path: string
  readonly type: PatchType
  readonly body: unknown
  /** It is written only if it is still due after this time. */
  readonly afterMs: number
  /** What is logged when it has been written. */
  readonly fields: Readonly<Record<string, unknown>>
}

export type NodePatcherDeps = {
  readonly client: Pick<ApiClient, 'patch'>
  /** The Node object as it was last seen. */
  readonly node: () => KubeNode | undefined
  readonly log: Logger
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
  /** No write before this time. */
  #restUntilMs = 0
  #writing: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #lastError = ''

  /** `what` is for the log: "the node condition". `patchFor` says what is to be written on the node as it is. */
  constructor(what: string, patchFor: (node: KubeNode) => NodePatch | undefined, deps: NodePatcherDeps) {
    this.#what = what
    this.#patchFor = patchFor
    this.#client = deps.client
    this.#node = deps.node
    this.#log = deps.log
    this.#clock = deps.clock ?? systemClock
    this.#backoff = new Backoff({ firstMs: 1000, maxMs: 60_000 }, { random: deps.random ?? Math.random })
  }

  /** The node, or what should stand on it, may have changed. Returns at once. */
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
    // what changed meanwhile, and another try after a failure
    this.#cancel?.()
    if (!signal.aborted) this.#cancel = this.#clock.after(restMs, () => this.notice())
  }

  /** Leaves on the node what stands there: its network works on without an agent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    this.#cancel?.()
    await this.#writing
  }
}
