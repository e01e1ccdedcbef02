// The node in short: what somebody who looks at many nodes wants to know of each, in an answer that does not grow with the cluster.
import { type NodeSummary } from '#/api/schemas/summary.ts'
import { crossingsOf, firstProblems, pairsOf, scarcest } from '#/api/summary.ts'
import { type KubeNode, labelsOf } from '#/model/kubernetes.ts'
import { version } from '#/model/version.ts'
import { type AgentConfig } from '../config.ts'
import { type ReportingPartDeps } from '../reporting-part.ts'
import { allProblems, type Told } from './agent-status.ts'
import { policyStatus } from './policy-status.ts'

/** Kubernetes has a label of its own for zones (https://kubernetes.io/docs/reference/labels-annotations-taints/), and none for racks. */
const zoneLabel = 'topology.kubernetes.io/zone'
const rackLabels = ['causeway.dev/rack', 'topology.kubernetes.io/rack'] as const

/** Where a node stands in its data centre, as the labels of its Node object say. */
export function placeOf(node: KubeNode | undefined): Pick<NodeSummary, 'zone' | 'rack'> {
  if (node === undefined) return {}
  const labels = labelsOf(node)
  const zone = labels[zoneLabel] ?? ''
  const rack = rackLabels.map((name) => labels[name] ?? '').find((each) => each !== '')
  return { ...(zone !== '' && { zone }), ...(rack !== undefined && { rack }) }
}

type Parts = Pick<ReportingPartDeps, 'cluster' | 'policy' | 'pods' | 'network' | 'bgp'>

async function sessionsOf({ state }: Parts['bgp']): Promise<NodeSummary['bgp']> {
  const sessions = await state.sessions()
  const up = sessions.filter((each) => each.state === 'Established').length
  return sessions.length === 0 ? undefined : { up, total: sessions.length }
}

export async function nodeSummary(
  { nodeName }: Pick<AgentConfig, 'nodeName'>,
  { cluster, policy, pods, network, bgp }: Parts,
  { readiness, problems, failures }: Told,
): Promise<NodeSummary> {
  const { self } = cluster.view
  const sessions = await sessionsOf(bgp)
  const { state, selecting } = policyStatus(policy)
  const addresses = scarcest(pods.ipam.cidrs)
  const datapath = pods.datapathState?.name
  return {
    node: nodeName,
    version,
    ...placeOf(cluster.ownNode),
    addrs: (self?.addrs ?? []).map(String),
    podCIDRs: (self?.podCIDRs ?? []).map(String),
    readiness: readiness.state,
    ...(datapath !== undefined && { datapath }),
    pods: pods.endpoints.length,
    ...(addresses && { addresses }),
    crossings: crossingsOf(network.state.remoteNodes?.verdicts ?? []),
    ...(sessions && { bgp: sessions }),
    policies: { state, selecting },
    ...(cluster.apiStatus.phase === 'backoff' && { isApiLost: true }),
    pairs: pairsOf(network.probing.report().ways),
    ...firstProblems(allProblems({ problems, failures })),
  }
}
