// News of this node's network as Events on its Node object: a Warning when a problem comes up, once for as long as it lasts.
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

  /** `node` gives the Node object as it was last seen. */
  constructor(nodeName: string, deps: { readonly node: () => KubeNode | undefined; readonly recorder: Recorder }) {
    this.#nodeName = nodeName
    this.#node = deps.node
    this.#recorder = deps.recorder
  }

  /**
   * `problems` are all that there are now, each once. Those of other nodes, and of objects that are for all nodes, are left out: every
   * agent sees them, and a cluster would have as many events as nodes for one mistake.
   */
  update(problems: readonly Problem[]): void {
    const node = this.#node()
    // nothing to hang an event on yet
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
