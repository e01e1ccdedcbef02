// News of this node's network as Events on its Node object: a Warning when a problem comes up, once for as long as it lasts.
import { type EventType, type KubeNode, type ObjectReference, referenceTo } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/network.ts'

export type Recorder = {
  record(regarding: ObjectReference, type: EventType, reason: string, message: string): void
}

const reason = 'CausewayProblem'

export class NodeEvents {
  readonly #nodeName: string
  readonly #node: () => KubeNode | undefined
  readonly #recorder: Recorder
  #told: ReadonlySet<string> = new Set()

  /** `node` gives the Node object as it was last seen. */
  constructor(nodeName: string, deps: { readonly node: () => KubeNode | undefined; readonly recorder: Recorder }) {
    this.#nodeName = nodeName
    this.#node = deps.node
    this.#recorder = deps.recorder
  }

  /**
   * `problems` are all that there are now. Those of other nodes, and of objects that are for all nodes, are left out: every
   * agent sees them, and a cluster would have as many events as nodes for one mistake.
   */
  update(problems: readonly Problem[]): void {
    const node = this.#node()
    // nothing to hang an event on yet
    if (node === undefined) return
    const texts = problems
      .filter(({ object }) => object === `node/${this.#nodeName}` || !isForAll(object))
      .map(({ object, message }) => `${object}: ${message}`)
    for (const text of new Set(texts).difference(this.#told))
      this.#recorder.record(referenceTo('v1', 'Node', node), 'Warning', reason, text)
    this.#told = new Set(texts)
  }
}

function isForAll(object: string): boolean {
  return ['node/', 'routing/', 'bgpconfiguration/', 'bgppeer/'].some((kind) => object.startsWith(kind))
}
