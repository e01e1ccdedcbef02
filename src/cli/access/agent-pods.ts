// Which pods of a cluster are to be asked, and why those of other nodes are not. Pure.
import { agentContainer, agentName, observerName } from '#/install/settings.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import { fieldsOf, type KubeNode, type KubeObject, labelsOf, listOf, nodeNameOf, type Pod } from '#/model/kubernetes.ts'

/** The names of the DaemonSets: of agents, and of observers on nodes with another network. */
export const daemonSetNames: readonly string[] = [agentName, observerName]
/** The label by which their pods are found. */
export const agentSelector = `app.kubernetes.io/name in (${daemonSetNames.join(',')})`

export type AgentPod = { readonly namespace: string; readonly name: string }

/** A node that has an agent, or should have one. */
export type AgentPlace = {
  readonly node: string
  readonly pod?: AgentPod
  /** Why it cannot be asked; absent when it can. */
  readonly why?: string
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

type Fields = Readonly<Record<string, unknown>>

function containerStatusOf(pod: Pod): Fields {
  const statuses = listOf(fieldsOf(pod.status)['containerStatuses']).map(fieldsOf)
  return statuses.find((each) => each['name'] === agentContainer) ?? {}
}

function isRunning(pod: Pod): boolean {
  return fieldsOf(containerStatusOf(pod)['state'])['running'] !== undefined
}

/** "exit status 137 (OOMKilled)" */
function exitText(terminated: Fields): string {
  const { exitCode, reason } = terminated
  return `exit status ${typeof exitCode === 'number' ? exitCode : 'unknown'} (${textOf(reason) || 'no reason is told'})`
}

/** Why nothing can be executed in the pod; undefined when it can. */
function whyNot(pod: Pod): string | undefined {
  if (isRunning(pod)) return undefined
  const { namespace = '', name } = pod.metadata
  const title = `pod ${namespace}/${name}`
  const { state, lastState } = containerStatusOf(pod)
  const { waiting, terminated } = fieldsOf(state)
  const ended = terminated ?? fieldsOf(lastState)['terminated']
  const logs = `kubectl -n ${namespace} logs ${name}${terminated === undefined ? ' --previous' : ''}`
  const describe = `kubectl -n ${namespace} describe pod ${name}`
  const before = ended === undefined ? '' : `, with ${exitText(fieldsOf(ended))}`
  if (terminated !== undefined) return `${title} does not run: its container has ended${before}; see: ${logs}`
  if (waiting !== undefined) {
    // the message beside the reason has times and ports in it, which are others on each node
    const reason = textOf(fieldsOf(waiting)['reason']) || 'no reason is told'
    const last = before === '' ? '' : `; it ended before${before}`
    return `${title} does not run: its container waits (${reason})${last}; see: ${ended === undefined ? describe : logs}`
  }
  const phase = textOf(fieldsOf(pod.status)['phase']) || 'of unknown phase'
  const why = [fieldsOf(pod.status)['reason'], fieldsOf(pod.status)['message']].map(textOf).filter(Boolean).join(': ')
  return `${title} does not run: it is ${phase}${why && `: ${why}`}; see: ${describe}`
}

/** Of several on one node, as while an upgrade replaces them: one that runs before others, then one that stays, then the youngest. */
function bestOf(pods: readonly Pod[]): Pod {
  const rank = (pod: Pod): string =>
    [
      isRunning(pod) ? 1 : 0,
      pod.metadata.deletionTimestamp === undefined ? 1 : 0,
      pod.metadata.creationTimestamp ?? '',
    ].join(' ')
  return pods.toSorted((one, other) => (rank(one) < rank(other) ? 1 : -1))[0]!
}

/** Whether the DaemonSet wants a pod on the node, as far as its node selector says. */
function isWanted(node: KubeNode, daemonSet: KubeObject): boolean {
  const template = fieldsOf(fieldsOf(fieldsOf(daemonSet)['spec'])['template'])
  const selector = fieldsOf(fieldsOf(template['spec'])['nodeSelector'])
  const labels = labelsOf(node)
  return Object.entries(selector).every(([name, value]) => labels[name] === value)
}

export type ClusterView = {
  readonly pods: readonly Pod[]
  /** Undefined: they could not be read. */
  readonly nodes: readonly KubeNode[] | undefined
  /** Those that there are, as far as they could be read. */
  readonly daemonSets: readonly KubeObject[]
}

/** A place for each node with a pod of an agent, and for each that should have one and has none, by name. */
export function agentPlaces({ pods, nodes = [], daemonSets }: ClusterView): AgentPlace[] {
  const byNode = Map.groupBy(
    pods.filter((pod) => nodeNameOf(pod) !== ''),
    nodeNameOf,
  )
  const found = Array.from(byNode, ([node, ofNode]): AgentPlace => {
    const best = bestOf(ofNode)
    const why = whyNot(best)
    const { namespace = '', name } = best.metadata
    return { node, pod: { namespace, name }, ...(why !== undefined && { why }) }
  })
  const missing = nodes.flatMap((node): AgentPlace[] => {
    const { name } = node.metadata
    const wanting = byNode.has(name) ? undefined : daemonSets.find((each) => isWanted(node, each))
    if (wanting === undefined) return []
    const see = `kubectl -n ${wanting.metadata.namespace} describe daemonset ${wanting.metadata.name}`
    return [{ node: name, why: `no pod of an agent is on the node; see: ${see}` }]
  })
  return [...found, ...missing].toSorted((one, other) => byNumberedName(one.node, other.node))
}
