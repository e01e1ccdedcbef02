// Tells the other nodes, in an annotation, which pod CIDRs this node has lost while some of its pods still have addresses of them, so that
// those pods stay reachable. The annotation goes with the last such pod.
import { nodeStatusPath } from '#/cluster/paths.ts'
import { type Prefix } from '#/lib/addr.ts'
import { annotationsOf, formerPodCIDRsAnnotation, type KubeNode } from '#/model/kubernetes.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

export type FormerCIDRsPublisherDeps = NodePatcherDeps & {
  /** This node's former pod CIDRs; undefined while they are not known: the annotation then stays as it is. */
  readonly formerCIDRs: () => readonly Prefix[] | undefined
}

/** Makes the patcher that keeps the annotation up to date. */
export function formerCIDRsPublisher(deps: FormerCIDRsPublisherDeps): NodePatcher {
  const patchFor = (node: KubeNode): NodePatch | undefined => {
    const former = deps.formerCIDRs()
    const live = annotationsOf(node)[formerPodCIDRsAnnotation] ?? ''
    if (former === undefined || live === former.join(',')) return undefined
    const wanted = former.length === 0 ? null : former.join(',')
    return {
      path: nodeStatusPath(node.metadata.name),
      type: 'strategic',
      body: { metadata: { annotations: { [formerPodCIDRsAnnotation]: wanted } } },
      afterMs: 0,
      fields: { [formerPodCIDRsAnnotation]: wanted ?? '' },
    }
  }
  return new NodePatcher('the former pod CIDRs of this node', patchFor, deps)
}
