// Keeps the condition CausewayPathsBroken of this node's Node object: whether probes show that packets of pods to other nodes are lost. No pod is kept
// away because of it: that is what NetworkUnavailable does, when this node itself is cut off.
import { systemClock } from '#/cluster/clock.ts'
import { nodeStatusPath } from '#/cluster/paths.ts'
import { conditionOf, type KubeNode, pathsBroken } from '#/model/kubernetes.ts'
import { type Problem, problemId, problemText } from '#/model/problems.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

/** So long must nothing be lost before that is told: a way that comes and goes is not written each time. */
export const wholeAfterMs = 60_000
const maxMessageLength = 512
const reasons = { True: 'PacketsAreLost', False: 'PacketsArrive' } as const

export type PathsConditionDeps = NodePatcherDeps & {
  /** What probes tell of ways to other nodes. */
  readonly problems: () => readonly Problem[]
}

/** Makes the patcher that keeps the condition. A node on which nothing was ever wrong has none. */
export function pathsCondition(deps: PathsConditionDeps): NodePatcher {
  const clock = deps.clock ?? systemClock
  /** What the condition tells of: other numbers in a message are no reason to write it again. */
  let toldIds = ''
  let wholeSinceMs: number | undefined
  const patchFor = (node: KubeNode): NodePatch | undefined => {
    const problems = deps.problems()
    const nowMs = clock.monotonicMs()
    wholeSinceMs = problems.length > 0 ? undefined : (wholeSinceMs ?? nowMs)
    const live = conditionOf(node, pathsBroken)
    const status = problems.length > 0 ? 'True' : 'False'
    const ids = problems.map(problemId).join()
    const isTold = live.status === status && (status === 'False' || ids === toldIds)
    if (isTold || (status === 'False' && live.status === 'Unknown')) return undefined
    const at = new Date(clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    const condition = {
      type: pathsBroken,
      status,
      reason: reasons[status],
      message:
        status === 'True'
          ? problems.map(problemText).join('\n').slice(0, maxMessageLength)
          : 'Packets arrive at all nodes that are probed',
      lastHeartbeatTime: at,
      ...(live.status !== status && { lastTransitionTime: at }),
    }
    const afterMs = wholeSinceMs === undefined ? 0 : wholeSinceMs + wholeAfterMs - nowMs
    if (afterMs <= 0) toldIds = ids
    return {
      path: nodeStatusPath(node.metadata.name),
      type: 'strategic',
      body: { status: { conditions: [condition] } },
      afterMs,
      fields: { [pathsBroken]: status },
    }
  }
  return new NodePatcher('the condition of paths', patchFor, deps)
}
