// Tells the other nodes, in an annotation, by which ways this one sends and takes packets (model/routing.ts). A node with plain VXLAN
// gets no annotation, since the others assume that of a node without one; an existing annotation is kept up to date.
import { plainVxlan, type RoutingState, routingStateAnnotation, routingStateText } from '#/model/routing.ts'
import { annotationPublisher } from './annotation-publisher.ts'
import { type NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type RoutingPublisherDeps = NodePatcherDeps & {
  /** This node's routing state; undefined while it is not known: the annotation then stays as it is. */
  readonly state: () => RoutingState | undefined
}

/** Makes the patcher that keeps the annotation up to date. */
export function routingPublisher(deps: RoutingPublisherDeps): NodePatcher {
  const text = (): string | undefined => {
    const state = deps.state()
    return state && routingStateText(state)
  }
  const annotation = { name: routingStateAnnotation, text, assumed: routingStateText(plainVxlan) }
  return annotationPublisher('the routing of this node', annotation, deps)
}
