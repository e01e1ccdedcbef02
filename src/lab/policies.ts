// What the lab's network policies say of packets between its pods: the evaluator over the objects of the lab's API. The agents are not asked,
// so a matrix shows whether what they have made of the objects is right.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { clusterNetworkPoliciesPath, namespacesPath, networkPoliciesPath } from '#/cluster/paths.ts'
import { internalAddressesOf, type KubeNode, type KubeObject, type Pod } from '#/model/kubernetes.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { evaluate, viewOf } from '#/policy/evaluate.ts'
import { type PolicyReading } from '#/policy/policy.ts'
import { readClusterNetworkPolicy } from '#/policy/read-cluster-network-policy.ts'
import { readPolicyNamespace } from '#/policy/read-namespace.ts'
import { readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { readPolicyPod } from '#/policy/read-pod.ts'
import { type DirectionVerdict } from '#/policy/verdict.ts'
import { type Pair } from './probe/pairs.ts'
import { type Protocol } from './probe/types.ts'

/** In this time agents have in the kernel what was in the API when it was read. */
const settleMs = 200

const protocolNumbers = { icmp: { 4: 1, 6: 58 }, tcp: { 4: 6, 6: 6 } } as const

function policiesOf(readings: readonly PolicyReading[]) {
  return new Map(readings.flatMap(({ policy }) => (policy === undefined ? [] : [[policy.key, policy] as const])))
}

/** None where the API has no such kind: somebody may have deleted the definition of ClusterNetworkPolicy. */
async function itemsAt(client: ApiClient, path: string): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(path)).items
  } catch (error) {
    if (isApiError(error, 404)) return []
    throw error
  }
}

/** The lab's policies, with all that they select. Where there are any, it resolves when agents have had time to enforce them. */
export async function readPolicies(
  client: ApiClient,
  { nodes, pods }: { readonly nodes: readonly KubeNode[]; readonly pods: readonly Pod[] },
): Promise<PolicyView> {
  const paths = [namespacesPath(), networkPoliciesPath(), clusterNetworkPoliciesPath()]
  const [namespaces, policies, clusterPolicies] = await Promise.all(paths.map((path) => itemsAt(client, path)))
  const view = viewOf({
    pods: new Map(pods.map(readPolicyPod).map((pod) => [`${pod.namespace}/${pod.name}`, pod])),
    namespaces: new Map(namespaces!.map(readPolicyNamespace).map((each) => [each.name, each])),
    policies: policiesOf([...policies!.map(readNetworkPolicy), ...clusterPolicies!.map(readClusterNetworkPolicy)]),
    nodes: new Map(nodes.map((node) => [node.metadata.name, internalAddressesOf(node).addrs])),
  })
  if (view.policies.size > 0) await sleep(settleMs)
  return view
}

function denialText({ decision, direction }: DirectionVerdict): string {
  if (decision.kind === 'rule') {
    const { policy, index } = decision.rule
    return `denied by ${policy}, ${direction} rule ${index}`
  }
  const by = decision.kind === 'isolated' ? decision.by : []
  return `denied by ${by.join(', ')}: no ${direction} rule allows it`
}

/** What forbids a probe, in words; undefined when nothing does. */
export function deniedBy(view: PolicyView, pair: Pair, protocol: Protocol, tcpPort: number): string | undefined {
  const { from, family, target } = pair
  const src = from.addrs.find((addr) => addr.family === family)!
  const port = protocol === 'tcp' ? { port: tcpPort } : {}
  const packet = { src, dst: target, protocol: protocolNumbers[protocol][family], ...port }
  const { egress, ingress } = evaluate(view, packet)
  const denial = [egress, ingress].find(({ isDenied, isAudited }) => isDenied && !isAudited)
  return denial && denialText(denial)
}
