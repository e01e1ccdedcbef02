// Keeps the NetworkUnavailable condition of this node's Node object: what `kubectl describe node` shows, and what makes the
// node lifecycle controller keep new pods away (https://kubernetes.io/docs/reference/node/node-status/#condition).
// Level-triggered: what should stand there is compared with what does. Nobody waits for it.
import { Backoff } from '#/cluster/backoff.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { describe } from '#/cluster/errors.ts'
import { nodeStatusPath } from '#/cluster/paths.ts'
import { type Logger } from '#/lib/log.ts'
import { type Condition, conditionOf, type KubeNode } from '#/model/kubernetes.ts'

const conditionType = 'NetworkUnavailable'
/** A node is called unavailable only after this time: a pass that fails and succeeds half a second later is no news. */
const unavailableAfterMs = 10_000
/** Between two writes: a watch is given time to show the first, and whoever else writes the condition is not raced. */
const settleMs = 5_000
/** As long as describe shows it whole on a screen. */
const maxMessageLength = 512

export type NodeConditionDeps = {
  readonly client: Pick<ApiClient, 'patch'>
  /** The Node object as it was last seen. */
  readonly node: () => KubeNode | undefined
  /** Why the network of this node is not as it should be; undefined when it is. */
  readonly trouble: () => string | undefined
  readonly log: Logger
  readonly clock?: Clock
  readonly random?: () => number
}

export class NodeCondition implements AsyncDisposable {
  readonly #client: Pick<ApiClient, 'patch'>
  readonly #node: () => KubeNode | undefined
  readonly #trouble: () => string | undefined
  readonly #log: Logger
  readonly #clock: Clock
  readonly #backoff: Backoff
  readonly #stop = new AbortController()
  #troubledSinceMs: number | undefined
  /** No write before this time. */
  #restUntilMs = 0
  #writing: Promise<void> | undefined
  #cancel: (() => void) | undefined
  #lastError = ''

  constructor(deps: NodeConditionDeps) {
    this.#client = deps.client
    this.#node = deps.node
    this.#trouble = deps.trouble
    this.#log = deps.log
    this.#clock = deps.clock ?? systemClock
    this.#backoff = new Backoff({ firstMs: 1000, maxMs: 60_000 }, { random: deps.random ?? Math.random })
  }

  /** The node, or its network, may have changed. Returns at once. */
  notice(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#stop.signal.aborted) return
    const now = this.#clock.monotonicMs()
    const trouble = this.#trouble()
    this.#troubledSinceMs = trouble === undefined ? undefined : (this.#troubledSinceMs ?? now)
    const node = this.#node()
    if (node === undefined || this.#writing !== undefined) return
    const wanted = wantedCondition(trouble)
    const live = conditionOf(node, conditionType)
    if (live.status === wanted.status && live.reason === wanted.reason && live.message === wanted.message) return
    const patienceMs = this.#troubledSinceMs === undefined ? 0 : this.#troubledSinceMs + unavailableAfterMs - now
    const waitMs = Math.max(patienceMs, this.#restUntilMs - now)
    if (waitMs > 0) this.#cancel = this.#clock.after(waitMs, () => this.notice())
    else this.#writing = this.#write(node.metadata.name, wanted, live.status !== wanted.status)
  }

  async #write(name: string, wanted: Condition, isTransition: boolean): Promise<void> {
    const at = new Date(this.#clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    const condition = { ...wanted, lastHeartbeatTime: at, ...(isTransition && { lastTransitionTime: at }) }
    const { signal } = this.#stop
    let restMs = settleMs
    try {
      // a strategic patch merges conditions by type: those of the kubelet stay as they are
      await this.#client.patch(
        nodeStatusPath(name),
        { status: { conditions: [condition] } },
        'strategic',
        {},
        { signal },
      )
      this.#backoff.reset()
      this.#lastError = ''
      this.#log.info('told the node condition', { [conditionType]: wanted.status, reason: wanted.reason })
    } catch (error) {
      restMs = this.#backoff.next()
      const text = describe(error)
      if (text !== this.#lastError && !signal.aborted) this.#log.warn('cannot tell the node condition', { error: text })
      this.#lastError = text
    }
    this.#restUntilMs = this.#clock.monotonicMs() + restMs
    this.#writing = undefined
    // what changed meanwhile, and another try after a failure
    this.#cancel?.()
    if (!signal.aborted) this.#cancel = this.#clock.after(restMs, () => this.notice())
  }

  /** Leaves the condition as it is: the node's network works on without an agent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    this.#cancel?.()
    await this.#writing
  }
}

function wantedCondition(trouble: string | undefined): Condition {
  return trouble === undefined
    ? {
        type: conditionType,
        status: 'False',
        reason: 'CausewayIsUp',
        message: 'Causeway has set up the network of this node',
      }
    : { type: conditionType, status: 'True', reason: 'CausewayIsNotReady', message: trouble.slice(0, maxMessageLength) }
}
