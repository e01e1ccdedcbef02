// Chooses a node for a pod that names none: of the nodes that it may run on, the one with the fewest pods. The lab looks at readiness, cordons,
// taints, nodeSelector and required node affinity, and says why no node will do in the words of kube-scheduler. Pure.
import { conditionOf, fieldsOf, type KubeNode, labelsOf, nodeNameOf, type Pod } from '#/model/kubernetes.ts'
import { labelSelectorOf, selects } from '#/model/label-selector.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'

export type Choice =
  | { readonly kind: 'node'; readonly name: string }
  /** No node will do; `message` says why, for people. */
  | { readonly kind: 'none'; readonly message: string }

function listOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(fieldsOf) : []
}

/** Whether a toleration is for a taint (core/v1 Toleration.ToleratesTaint). */
function tolerates(toleration: Readonly<Record<string, unknown>>, taint: Readonly<Record<string, unknown>>): boolean {
  const { key = '', effect = '', operator = 'Equal', value = '' } = toleration
  if (effect !== '' && effect !== taint['effect']) return false
  if (key !== '' && key !== taint['key']) return false
  return operator === 'Exists' || (key !== '' && value === (taint['value'] ?? ''))
}

/** A term of node affinity; one that cannot be read matches no node. */
function matches(term: Readonly<Record<string, unknown>>, node: KubeNode): boolean {
  const { matchExpressions, matchFields } = term
  const [labels, fields] = [matchExpressions, matchFields].map((each) =>
    labelSelectorOf({ matchExpressions: each ?? [] }),
  )
  if (!Array.isArray(labels) || !Array.isArray(fields) || labels.length + fields.length === 0) return false
  return selects(labels, labelsOf(node)) && selects(fields, { 'metadata.name': node.metadata.name })
}

function isSelected(pod: Pod, node: KubeNode): boolean {
  const { nodeSelector, affinity } = fieldsOf(pod.spec)
  const required = fieldsOf(fieldsOf(affinity)['nodeAffinity'])['requiredDuringSchedulingIgnoredDuringExecution']
  const labels = labelsOf(node)
  return (
    Object.entries(fieldsOf(nodeSelector)).every(([key, value]) => labels[key] === value) &&
    (required === undefined || listOf(fieldsOf(required)['nodeSelectorTerms']).some((term) => matches(term, node)))
  )
}

/** Why a pod may not run on a node; undefined when it may. */
function obstacleOf(pod: Pod, node: KubeNode): string | undefined {
  if (conditionOf(node, 'Ready').status !== 'True') return 'were not ready'
  const { unschedulable, taints } = fieldsOf(node.spec)
  if (unschedulable === true) return 'were unschedulable'
  const tolerations = listOf(fieldsOf(pod.spec)['tolerations'])
  const taint = listOf(taints).find(
    (each) => each['effect'] !== 'PreferNoSchedule' && !tolerations.some((toleration) => tolerates(toleration, each)),
  )
  if (taint) {
    const { key, value = '' } = taint
    return `had untolerated taint {${String(key)}: ${String(value)}}`
  }
  return isSelected(pod, node) ? undefined : "didn't match Pod's node affinity/selector"
}

export function chooseNode(pod: Pod, nodes: readonly KubeNode[], pods: readonly Pod[]): Choice {
  const load = new Map<string, number>()
  for (const each of pods) load.set(nodeNameOf(each), (load.get(nodeNameOf(each)) ?? 0) + 1)
  const byObstacle = Map.groupBy(nodes, (node) => obstacleOf(pod, node))
  const [best] = (byObstacle.get(undefined) ?? [])
    .map(({ metadata: { name } }) => ({ name, load: load.get(name) ?? 0 }))
    .toSorted((a, b) => a.load - b.load || byNumberedName(a.name, b.name))
  if (best) return { kind: 'node', name: best.name }
  if (nodes.length === 0) return { kind: 'none', message: 'no nodes available to schedule pods' }
  const reasons = [...byObstacle].map(([obstacle, those]) => `${those.length} node(s) ${obstacle}`).toSorted()
  return { kind: 'none', message: `0/${nodes.length} nodes are available: ${reasons.join(', ')}.` }
}
