// What a Node object says about whether a machine with an agent lives behind it.
import {
  annotationsOf,
  conditionOf,
  type KubeNode,
  labelsOf,
  networkUnavailable,
  networkUpReason,
} from './kubernetes.ts'
import { type NodeLife } from './network.ts'
import { routingStateAnnotation } from './routing.ts'

export function lifeOf(node: KubeNode): NodeLife {
  const created = node.metadata.creationTimestamp ?? ''
  const { status, lastTransitionTime } = conditionOf(node, 'Ready')
  if (status === 'True') return { sign: 'ready', readyChanged: '', created }
  // a node of plain VXLAN tells nothing of its routing, but that its network is available
  const hasAgent =
    annotationsOf(node)[routingStateAnnotation] !== undefined ||
    conditionOf(node, networkUnavailable).status === 'False'
  // without the condition the kubelet has just come, or there is none to be heard of
  const isSilent = status === 'Unknown' && lastTransitionTime !== ''
  const sign = hasAgent ? 'agent' : 'none'
  return { sign, readyChanged: lastTransitionTime, created, ...(isSilent && { isSilent }) }
}

/** Whether an agent of Causeway has told of the node; that its network is available may have been told by others as well. */
export function hasHadAgent(node: KubeNode): boolean {
  return (
    annotationsOf(node)[routingStateAnnotation] !== undefined ||
    conditionOf(node, networkUnavailable).reason === networkUpReason
  )
}

/** The label by which a kubelet tells its operating system (https://kubernetes.io/docs/reference/labels-annotations-taints/). */
const osLabel = 'kubernetes.io/os'

/** Labels of nodes behind which no machine of the cluster is: pods run elsewhere, or are simulated. */
const virtualLabels: readonly (readonly [name: string, value: string])[] = [
  ['type', 'virtual-kubelet'],
  ['type', 'kwok'],
  ['eks.amazonaws.com/compute-type', 'fargate'],
  ['node.kubernetes.io/instance-type', 'virtual-kubelet'],
]

/** Why no agent of Causeway can run on the node; undefined when one can. */
export function lackOfAgent(node: KubeNode): string | undefined {
  // whatever its labels say: an agent has written this
  if (hasHadAgent(node)) return undefined
  const labels = labelsOf(node)
  const os = labels[osLabel]
  if (os !== undefined && os !== 'linux') return `its operating system is ${os}, on which Causeway does not run`
  const virtual = virtualLabels.find(([name, value]) => labels[name] === value)
  return virtual && `it is a virtual node (label ${virtual.join('=')}), on which Causeway does not run`
}
