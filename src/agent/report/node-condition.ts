// Keeps the NetworkUnavailable condition of this node's Node object. `kubectl describe node` shows it, and because of it the node
// lifecycle controller keeps new pods away (https://kubernetes.io/docs/reference/node/node-status/#condition).
import { systemClock } from '#/cluster/clock.ts'
import { nodeStatusPath } from '#/cluster/paths.ts'
import { type Condition, conditionOf, type KubeNode, networkUnavailable, networkUpReason } from '#/model/kubernetes.ts'
import { lastingTroubleMs } from '#/model/readiness.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

/** The condition's reason while this node's network is not ready. Other agents see by it that this node's agent has run. */
export const networkTroubleReason = 'CausewayIsNotReady'
/** The length of a message that `kubectl describe` still shows whole on one screen. */
const maxMessageLength = 512

export type NodeConditionDeps = NodePatcherDeps & {
  /** Why the network of this node is not ready; undefined when it is. */
  readonly trouble: () => string | undefined
}

/** Makes the patcher that keeps the condition up to date. */
export function nodeCondition(deps: NodeConditionDeps): NodePatcher {
  const clock = deps.clock ?? systemClock
  let troubledSinceMs: number | undefined
  const patchFor = (node: KubeNode): NodePatch | undefined => {
    const nowMs = clock.monotonicMs()
    const trouble = deps.trouble()
    troubledSinceMs = trouble === undefined ? undefined : (troubledSinceMs ?? nowMs)
    const wanted = wantedCondition(trouble)
    const live = conditionOf(node, networkUnavailable)
    if (live.status === wanted.status && live.reason === wanted.reason && live.message === wanted.message)
      return undefined
    const at = new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    const isTransition = live.status !== wanted.status
    const condition = { ...wanted, lastHeartbeatTime: at, ...(isTransition && { lastTransitionTime: at }) }
    return {
      path: nodeStatusPath(node.metadata.name),
      // a strategic patch merges conditions by type, so the kubelet's conditions stay as they are
      type: 'strategic',
      body: { status: { conditions: [condition] } },
      afterMs: troubledSinceMs === undefined ? 0 : troubledSinceMs + lastingTroubleMs - nowMs,
      fields: { [networkUnavailable]: wanted.status, reason: wanted.reason },
    }
  }
  return new NodePatcher('the node condition', patchFor, deps)
}

function wantedCondition(trouble: string | undefined): Condition {
  return trouble === undefined
    ? {
        type: networkUnavailable,
        status: 'False',
        reason: networkUpReason,
        message: 'Causeway has set up the network of this node',
      }
    : {
        type: networkUnavailable,
        status: 'True',
        reason: networkTroubleReason,
        message: trouble.slice(0, maxMessageLength),
      }
}
