// Chooses a node for a pod that names none: the ready node with the fewest pods. Pure.
import { conditionOf, type KubeNode, labelsOf, nodeNameOf, type Pod, fieldsOf } from '#/model/kubernetes.ts'

function selectorOf(pod: Pod): Record<string, unknown> {
  return fieldsOf(fieldsOf(pod.spec)['nodeSelector'])
}

function fits(pod: Pod, node: KubeNode): boolean {
  const labels = labelsOf(node)
  const isCordoned = fieldsOf(node.spec)['unschedulable'] === true
  const isReady = conditionOf(node, 'Ready').status === 'True'
  return isReady && !isCordoned && Object.entries(selectorOf(pod)).every(([key, value]) => labels[key] === value)
}

/** The chosen node's name, or undefined when none fits. */
export function chooseNode(pod: Pod, nodes: readonly KubeNode[], pods: readonly Pod[]): string | undefined {
  const load = new Map<string, number>()
  for (const each of pods) load.set(nodeNameOf(each), (load.get(nodeNameOf(each)) ?? 0) + 1)
  const [best] = nodes
    .filter((node) => fits(pod, node))
    .map(({ metadata: { name } }) => ({ name, load: load.get(name) ?? 0 }))
    .toSorted((a, b) => a.load - b.load || a.name.localeCompare(b.name, 'en', { numeric: true }))
  return best?.name
}
