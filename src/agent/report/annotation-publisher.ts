// Keeps one annotation of this node's Node object as it should be.
import { nodeStatusPath } from '#/cluster/paths.ts'
import { annotationsOf, type KubeNode } from '#/model/kubernetes.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type Annotation = {
  readonly name: string
  /** What it is to say; undefined while that is not known: the annotation then stays as it is. An empty text removes it. */
  readonly text: () => string | undefined
  /** What is assumed of a node without it: it is not written as long as it would say no more. */
  readonly assumed: string
}

/** `what` completes the log line "told …". */
export function annotationPublisher(
  what: string,
  { name, text, assumed }: Annotation,
  deps: NodePatcherDeps,
): NodePatcher {
  const patchFor = (node: KubeNode): NodePatch | undefined => {
    const wanted = text()
    if (wanted === undefined || wanted === (annotationsOf(node)[name] ?? assumed)) return undefined
    return {
      path: nodeStatusPath(node.metadata.name),
      type: 'strategic',
      body: { metadata: { annotations: { [name]: wanted === '' ? null : wanted } } },
      afterMs: 0,
      fields: { [name]: wanted },
    }
  }
  return new NodePatcher(what, patchFor, deps)
}
