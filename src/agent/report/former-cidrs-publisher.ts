// Tells the other nodes, in an annotation, which pod CIDRs this node has lost while some of its pods still have addresses of them, so that
// those pods stay reachable. The annotation goes with the last such pod.
import { type Prefix } from '#/lib/addr.ts'
import { formerPodCIDRsAnnotation } from '#/model/kubernetes.ts'
import { annotationPublisher } from './annotation-publisher.ts'
import { type NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type FormerCIDRsPublisherDeps = NodePatcherDeps & {
  /** This node's former pod CIDRs; undefined while they are not known: the annotation then stays as it is. */
  readonly formerCIDRs: () => readonly Prefix[] | undefined
}

/** Makes the patcher that keeps the annotation up to date. */
export function formerCIDRsPublisher(deps: FormerCIDRsPublisherDeps): NodePatcher {
  const annotation = { name: formerPodCIDRsAnnotation, text: () => deps.formerCIDRs()?.join(','), assumed: '' }
  return annotationPublisher('the former pod CIDRs of this node', annotation, deps)
}
