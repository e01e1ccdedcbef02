// Decides whether this node is ready for pods. This is the only definition: /readyz, the condition of the Node object, `causeway
// status`, the CNI command STATUS and `lab up` all use it. Pure.
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { objectKinds } from '#/model/object-kinds.ts'
import { type Problem, problem, problemText } from '#/model/problems.ts'
import { problemsOfObjects } from '#/reconcile/object-problem.ts'
import { type AddRefusal, type Readiness } from '#/model/readiness.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { unreadKey } from '#/reconcile/reconciler.ts'

export type ReadinessFacts = {
  readonly nodeName: string
  readonly podNetwork: PodNetworkState
  /** Why no pod gets an address although there is a pod network. A node that is merely full has a problem instead. */
  readonly shortage: AddRefusal | undefined
  /** Why no new pod gets a network though there are addresses: its policies could not be enforced. */
  readonly policyRefusal: AddRefusal | undefined
  /** Kernel objects in error. */
  readonly failures: readonly ObjectStatus[]
  /** Why this node reaches no other node. */
  readonly isolation: string | undefined
  /** What of others keeps pods of this node from reaching other pods. */
  readonly cuts: readonly Problem[]
  /** Why other nodes may assume another routing of this node than it has. */
  readonly untoldRouting: string | undefined
  /** Why the last pass over the network ended early: what is known of the kernel then is what an earlier pass found. */
  readonly passError: string | undefined
  /** The problems of all parts of the agent. */
  readonly problems: readonly Problem[]
}

/** Whether this failure makes the node not ready. A kind that could not be read does: its objects may be wrong. */
function isOfNode({ kind, key }: ObjectStatus): boolean {
  return objectKinds[kind].node === 'unready' || key === unreadKey
}

function lineOf({ kind, key, message = '', remedy }: ObjectStatus): string {
  return [`${kind} ${key}: ${message}`, remedy].filter(Boolean).join('; remedy: ')
}

function textOf({ msg, details }: AddRefusal): string {
  return [msg, details].filter(Boolean).join(': ')
}

export function readinessOf(facts: ReadinessFacts): Readiness {
  const {
    nodeName,
    podNetwork,
    shortage,
    policyRefusal,
    failures,
    isolation,
    cuts,
    untoldRouting,
    passError,
    problems,
  } = facts
  const object = `node/${nodeName}`
  const ofAddresses =
    podNetwork.kind === 'absent' ? { msg: 'the node has no pod network yet', details: podNetwork.why } : shortage
  const reasons: Problem[] = [
    ...(ofAddresses === undefined
      ? []
      : [problem(podNetwork.kind === 'absent' ? 'CW3109' : 'CW3110', object, textOf(ofAddresses))]),
    ...(policyRefusal === undefined ? [] : [problem('CW3307', object, textOf(policyRefusal))]),
    ...problemsOfObjects(failures.filter(isOfNode)),
    ...(isolation === undefined ? [] : [problem('CW1205', object, isolation)]),
    ...cuts,
    ...(passError === undefined ? [] : [problem('CW9003', object, passError)]),
    ...(untoldRouting === undefined ? [] : [problem('CW1206', object, untoldRouting)]),
  ]
  const lines = failures.filter(({ kind }) => objectKinds[kind].node !== 'pod').map(lineOf)
  const isTroubled = problems.length > 0 || failures.length > 0
  const state = reasons.length > 0 ? 'not ready' : isTroubled ? 'ready with problems' : 'ready'
  return { state, reasons, refusal: ofAddresses ?? policyRefusal, failures: lines }
}

/** The reasons as text, one per line; undefined when the node is ready. */
export function unreadiness({ reasons }: Readiness): string | undefined {
  return reasons.length === 0 ? undefined : reasons.map(problemText).join('\n')
}
