// Records an Event of type Warning on this node's Node object when a problem lasts, once for as long as it does. What is over within seconds
// is no news: a node that joins has no pod CIDR for a moment, and its devices are made one after the other.
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { type EventType, type KubeNode, type ObjectReference, referenceTo } from '#/model/kubernetes.ts'
import { concernOf, type Problem, problemId, problemText } from '#/model/problems.ts'
import { lastingTroubleMs } from '#/model/readiness.ts'

export type Recorder = {
  record(regarding: ObjectReference, type: EventType, reason: string, message: string): void
}

const reason = 'CausewayProblem'

/** A problem of now. */
type Noted = { readonly problem: Problem; readonly dueMs: number; readonly isTold: boolean }

export class NodeEvents implements Disposable {
  readonly #nodeName: string
  readonly #node: () => KubeNode | undefined
  readonly #recorder: Recorder
  readonly #clock: Clock
  /** The problems of now, by their ids. */
  #noted: ReadonlyMap<string, Noted> = new Map()
  #cancel: (() => void) | undefined

  /** `node` returns this node's Node object as it was last seen. */
  constructor(
    nodeName: string,
    deps: { readonly node: () => KubeNode | undefined; readonly recorder: Recorder; readonly clock?: Clock },
  ) {
    this.#nodeName = nodeName
    this.#node = deps.node
    this.#recorder = deps.recorder
    this.#clock = deps.clock ?? systemClock
  }

  /**
   * `problems` are all current problems, each once. Problems of other nodes, and of objects that concern all nodes, are left out: every
   * agent sees them, so one mistake would produce as many Events as the cluster has nodes.
   */
  update(problems: readonly Problem[]): void {
    const dueMs = this.#clock.monotonicMs() + lastingTroubleMs
    const own = problems.filter((each) => this.#isOwn(each))
    this.#noted = new Map(
      own.map((each) => {
        const id = problemId(each)
        return [id, { dueMs, isTold: false, ...this.#noted.get(id), problem: each }]
      }),
    )
    this.#tell()
  }

  #tell(): void {
    this[Symbol.dispose]()
    const node = this.#node()
    // an Event needs a Node object to refer to
    if (node === undefined) return
    const nowMs = this.#clock.monotonicMs()
    const untold = [...this.#noted].filter(([, { isTold }]) => !isTold)
    const due = untold.filter(([, { dueMs }]) => dueMs <= nowMs)
    for (const [, noted] of due)
      this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', reason, problemText(noted.problem))
    this.#noted = new Map([...this.#noted, ...due.map(([id, noted]) => [id, { ...noted, isTold: true }] as const)])
    const laterMs = untold.map(([, { dueMs }]) => dueMs - nowMs).filter((ms) => ms > 0)
    if (laterMs.length > 0) this.#cancel = this.#clock.after(Math.min(...laterMs), () => this.#tell())
  }

  #isOwn(each: Problem): boolean {
    const concern = concernOf(each)
    return concern === 'node' ? each.object === `node/${this.#nodeName}` : concern !== 'cluster object'
  }

  /** Tells nothing more until the next update. */
  [Symbol.dispose](): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
