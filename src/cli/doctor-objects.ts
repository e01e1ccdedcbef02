// What the Node objects of the cluster show by themselves, where its API can be asked. Agents know the rest.
import { connect } from '#/cluster/connect.ts'
import { describe } from '#/cluster/errors.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { podCidrProblemsIn } from '#/controller/pod-cidr-look.ts'
import { type NodeAnswers } from '#/doctor/types.ts'
import { Prefix } from '#/lib/addr.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { apiFor } from './access/service-api.ts'
import { type AgentChoice } from './access/source.ts'

const listMs = 5_000

/** The Node objects, or why they cannot be had; neither where there is no API to ask. */
export type Objects = { readonly nodes?: readonly KubeNode[]; readonly why?: string }

export async function readObjects(choice: AgentChoice): Promise<Objects> {
  const api = apiFor(choice)
  if (api === undefined) return {}
  try {
    await using client = await connect(api)
    const { items } = await client.list<KubeNode>(nodesPath(), { timeoutMs: listMs })
    return { nodes: items }
  } catch (error) {
    return { why: describe(error) }
  }
}

/** The cluster CIDRs by which agents go. */
function clusterCIDRsIn(answers: readonly NodeAnswers[]): Prefix[] {
  const told = answers.find(({ facts }) => facts?.settings['CAUSEWAY_CLUSTER_CIDRS'])?.facts
  const texts = told?.settings['CAUSEWAY_CLUSTER_CIDRS']?.split(',') ?? []
  return texts.flatMap((each) => Prefix.tryParse(each.trim()) ?? [])
}

export function problemsOfObjects({ nodes }: Objects, answers: readonly NodeAnswers[]): Problem[] {
  const clusterCIDRs = clusterCIDRsIn(answers)
  return nodes === undefined || clusterCIDRs.length === 0 ? [] : podCidrProblemsIn(nodes, clusterCIDRs)
}
