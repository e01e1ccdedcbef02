// Tells the other nodes by which ways this one sends and takes packets (model/routing.ts). What crosses in VXLAN alone, as nodes
// without the annotation are thought to, tells nothing; once there is an annotation, it is kept up to date.
import { nodeStatusPath } from '#/cluster/paths.ts'
import { annotationsOf, type KubeNode } from '#/model/kubernetes.ts'
import { plainVxlan, type RoutingState, routingStateAnnotation, routingStateText } from '#/model/routing.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type RoutingPublisherDeps = NodePatcherDeps & {
  /** Undefined while it is not known: then what stands there stays. */
  readonly state: () => RoutingState | undefined
}

/** Keeps the annotation. */
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
