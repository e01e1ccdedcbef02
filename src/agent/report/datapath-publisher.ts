// Tells, in an annotation, which datapath this node's pods have (model/datapath.ts). A node with the bridge, as it is to have, gets no
// annotation, since that is assumed of a node without one; an existing annotation is kept up to date.
import { nodeStatusPath } from '#/cluster/paths.ts'
import { type DatapathState, datapathStateAnnotation, datapathStateText, plainBridge } from '#/model/datapath.ts'
import { annotationsOf, type KubeNode } from '#/model/kubernetes.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type DatapathPublisherDeps = NodePatcherDeps & {
  /** The datapath of this node; undefined while it is not known: the annotation then stays as it is. */
  readonly state: () => DatapathState | undefined
}

/** Makes the patcher that keeps the annotation up to date. */
export function datapathPublisher(deps: DatapathPublisherDeps): NodePatcher {
  const patchFor = (node: KubeNode): NodePatch | undefined => {
    const state = deps.state()
    if (state === undefined) return undefined
    const wanted = datapathStateText(state)
    const live = annotationsOf(node)[datapathStateAnnotation]
    if (live === wanted || (live === undefined && wanted === datapathStateText(plainBridge))) return undefined
    return {
      path: nodeStatusPath(node.metadata.name),
      type: 'strategic',
      body: { metadata: { annotations: { [datapathStateAnnotation]: wanted } } },
      afterMs: 0,
      fields: { [datapathStateAnnotation]: wanted },
    }
  }
  return new NodePatcher('the datapath of this node', patchFor, deps)
}
