// Tells, in an annotation, which datapath this node's pods have (model/datapath.ts). A node with the bridge, as it is to have, gets no
// annotation, since that is assumed of a node without one; an existing annotation is kept up to date.
import { type DatapathState, datapathStateAnnotation, datapathStateText, plainBridge } from '#/model/datapath.ts'
import { annotationPublisher } from './annotation-publisher.ts'
import { type NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type DatapathPublisherDeps = NodePatcherDeps & {
  /** The datapath of this node; undefined while it is not known: the annotation then stays as it is. */
  readonly state: () => DatapathState | undefined
}

/** Makes the patcher that keeps the annotation up to date. */
export function datapathPublisher(deps: DatapathPublisherDeps): NodePatcher {
  const text = (): string | undefined => {
    const state = deps.state()
    return state && datapathStateText(state)
  }
  const annotation = { name: datapathStateAnnotation, text, assumed: datapathStateText(plainBridge) }
  return annotationPublisher('the datapath of this node', annotation, deps)
}
