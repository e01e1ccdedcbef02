// Tells the other nodes, in an annotation, by which ways this one sends and takes packets (model/routing.ts). A node with plain VXLAN
// gets no annotation, since the others assume that of a node without one; an existing annotation is kept up to date.
import { nodeStatusPath } from '#/cluster/paths.ts'
import { annotationsOf, type KubeNode } from '#/model/kubernetes.ts'
import { plainVxlan, type RoutingState, routingStateAnnotation, routingStateText } from '#/model/routing.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type RoutingPublisherDeps = NodePatcherDeps & {
  /** This node's routing state; undefined while it is not known: the annotation then stays as it is. */
  readonly state: () => RoutingState | undefined
}

/** Makes the patcher that keeps the annotation up to date. */
export function routingPublisher(deps: RoutingPublisherDeps): NodePatcher {
  const patchFor = (node: KubeNode): NodePatch | undefined => {
    const state = deps.state()
    if (state === undefined) return undefined
    const wanted = routingStateText(state)
    const live = annotationsOf(node)[routingStateAnnotation]
    if (live === wanted || (live === undefined && wanted === routingStateText(plainVxlan))) return undefined
    return {
      path: nodeStatusPath(node.metadata.name),
      type: 'strategic',
      body: { metadata: { annotations: { [routingStateAnnotation]: wanted } } },
      afterMs: 0,
      fields: { [routingStateAnnotation]: wanted },
    }
  }
  return new NodePatcher('the routing of this node', patchFor, deps)
}
