// Records an Event of type Warning on this node's Node object when a problem appears, once for as long as the problem lasts.
import { type EventType, type KubeNode, type ObjectReference, referenceTo } from '#/model/kubernetes.ts'
import { concernOf, type Problem, problemNews, problemText } from '#/model/problems.ts'

export type Recorder = {
  record(regarding: ObjectReference, type: EventType, reason: string, message: string): void
}

const reason = 'CausewayProblem'

export class NodeEvents {
  readonly #nodeName: string
  readonly #node: () => KubeNode | undefined
  readonly #recorder: Recorder
  #told: readonly Problem[] = []

  /** `node` returns this node's Node object as it was last seen. */
  constructor(nodeName: string, deps: { readonly node: () => KubeNode | undefined; readonly recorder: Recorder }) {
    this.#nodeName = nodeName
    this.#node = deps.node
    this.#recorder = deps.recorder
  }

  /**
   * `problems` are all current problems, each once. Problems of other nodes, and of objects that concern all nodes, are left out: every
   * agent sees them, so one mistake would produce as many Events as the cluster has nodes.
   */
  update(problems: readonly Problem[]): void {
    const node = this.#node()
    // an Event needs a Node object to refer to
    if (node === undefined) return
    const own = problems.filter((each) => this.#isOwn(each))
    for (const each of problemNews(this.#told, own).appeared)
      this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', reason, problemText(each))
    this.#told = own
  }

  #isOwn(each: Problem): boolean {
    const concern = concernOf(each)
    return concern === 'node' ? each.object === `node/${this.#nodeName}` : concern !== 'cluster object'
  }
}
