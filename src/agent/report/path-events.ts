// Records Events on this node's Node object about ways to other nodes: one when packets on a way are lost, and one when all arrive again. A problem
// that comes and goes is told once in ten minutes at most; there are only a few, as many nodes make one problem (src/agent/probing/findings.ts).
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { type KubeNode, referenceTo } from '#/model/kubernetes.ts'
import { type Problem, problemId, problemText } from '#/model/problems.ts'
import { type Recorder } from './node-events.ts'

const againAfterMs = 600_000
/** So long must nothing be lost before that is told. */
const wholeAfterMs = 60_000

export class PathEvents implements Disposable {
  readonly #node: () => KubeNode | undefined
  readonly #recorder: Recorder
  readonly #clock: Clock
  /** When each problem was told last. */
  readonly #toldMs = new Map<string, number>()
  #isBroken = false
  #cancel: (() => void) | undefined

  constructor(deps: {
    readonly node: () => KubeNode | undefined
    readonly recorder: Recorder
    readonly clock?: Clock
  }) {
    this.#node = deps.node
    this.#recorder = deps.recorder
    this.#clock = deps.clock ?? systemClock
  }

  /** `problems` are those of now. */
  update(problems: readonly Problem[]): void {
    const node = this.#node()
    if (node === undefined) return
    const nowMs = this.#clock.monotonicMs()
    for (const [id, ms] of this.#toldMs) if (nowMs - ms >= againAfterMs) this.#toldMs.delete(id)
    for (const each of problems) {
      const id = problemId(each)
      if (this.#toldMs.has(id)) continue
      this.#toldMs.set(id, nowMs)
      this.#isBroken = true
      this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', 'CausewayPathBroken', problemText(each))
    }
    if (problems.length > 0) this[Symbol.dispose]()
    else if (this.#isBroken) this.#cancel ??= this.#clock.after(wholeAfterMs, () => this.#tellWhole())
  }

  #tellWhole(): void {
    this.#cancel = undefined
    this.#isBroken = false
    const node = this.#node()
    if (node === undefined) return
    const message = 'packets arrive at all nodes that are probed'
    this.#recorder.record(referenceTo('v1', 'Node', node), 'Normal', 'CausewayPathsWhole', message)
  }

  /** Tells nothing more until the next update. */
  [Symbol.dispose](): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
