// What the agent says of itself: its status, and what the next pass would change.
import { type AgentPlan } from '#/api/schemas/plan.ts'
import { type AgentStatus, type EndpointStatus } from '#/api/schemas/status.ts'
import { policyTableName } from '#/model/names.ts'
import { type Problem } from '#/model/problems.ts'
import { type Readiness } from '#/model/readiness.ts'
import { problemsOfObjects } from '#/reconcile/object-problem.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { datapathSource } from '#/settings/precedence.ts'
import { type AgentConfig } from '../config.ts'
import { type Endpoint } from '../endpoints/endpoint-store.ts'
import { type ReportingPartDeps } from '../reporting-part.ts'
import { policyStatus } from './policy-status.ts'
import { verdictStatus } from './verdict-status.ts'

/** What is told of all parts together. */
export type Told = {
  readonly readiness: Readiness
  readonly problems: readonly Problem[]
  /** Kernel objects in error. */
  readonly failures: readonly ObjectStatus[]
}

/** With what the kernel's answers mean. */
export function allProblems({ problems, failures }: Pick<Told, 'problems' | 'failures'>): readonly Problem[] {
  return [...problems, ...problemsOfObjects(failures)]
}

type Parts = Pick<ReportingPartDeps, 'cluster' | 'policy' | 'pods' | 'network'>

export function agentStatus(
  { nodeName }: Pick<AgentConfig, 'nodeName'>,
  { cluster, policy, pods, network }: Parts,
  { readiness: { state, reasons }, problems, failures }: Told,
): AgentStatus {
  return {
    node: nodeName,
    pid: process.pid,
    podCIDRs: (cluster.view.self?.podCIDRs ?? []).map(String),
    readiness: { state, reasons },
    datapath: {
      wanted: cluster.datapath.value,
      wantedBy: datapathSource(cluster.datapath.by),
      ...pods.datapathState,
    },
    api: cluster.apiStatus,
    policy: policyStatus(policy),
    ways: network.probing.status(),
    objects: [...network.state.objects, ...policy.objects],
    verdicts: network.state.verdicts.map(verdictStatus),
    endpoints: pods.endpoints.map(endpointStatus),
    problems: allProblems({ problems, failures }),
  }
}

export async function agentPlan(
  { nodeName }: Pick<AgentConfig, 'nodeName'>,
  { network, policy }: Pick<Parts, 'network' | 'policy'>,
  problems: readonly Problem[],
): Promise<AgentPlan> {
  const changes = await network.state.preview()
  const ofPolicy = (await policy.differences()).map((line) => ({
    kind: 'policy-table' as const,
    verb: 'change' as const,
    key: policyTableName,
    // these tables are changed by element: what differs says more than the commands would
    commands: [`# ${policyTableName}: ${line}`],
  }))
  return {
    node: nodeName,
    changes: [...changes.map(({ kind, verb, key, commands }) => ({ kind, verb, key, commands })), ...ofPolicy],
    problems,
  }
}

function endpointStatus(endpoint: Endpoint): EndpointStatus {
  const { pod, podUid, containerId, ifName, hostDevice, addrs, state, datapath } = endpoint
  return {
    pod,
    containerId,
    ifName,
    hostDevice,
    addrs: addrs.map(({ addr }) => String(addr)),
    state,
    datapath,
    ...(podUid !== '' && { podUid }),
  }
}
