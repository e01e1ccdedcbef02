// Labs with policies, for the benchmark of them.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { networkPoliciesPath } from '#/cluster/paths.ts'
import { LabPaths } from '#/lab/paths.ts'
import { labProcesses } from '#/lab/processes.ts'
import { monotonicMs } from './clock.ts'
import { type BenchLab } from './lab.ts'
import { inParallel, RigError } from './netns.ts'
import { policyNamespace } from './policy-objects.ts'
import { useOf } from './processes.ts'
import { type Rig } from './rig.ts'

const restTimeoutMs = 120_000
const restMs = 500
/** Of a core, all agents together, in so long. */
const restShare = 0.2
/** Creates that are under way at a time. */
const atOnce = 16

export async function clientOf(rig: Rig, lab: BenchLab): Promise<ApiClient> {
  const client = await connect({ kubeconfig: new LabPaths(lab.name).kubeconfig })
  rig.defer(() => client[Symbol.asyncDispose]())
  return client
}

export async function createPolicies(client: ApiClient, policies: readonly object[]): Promise<void> {
  await inParallel(policies, atOnce, (policy) => client.create(networkPoliciesPath(policyNamespace), policy))
}

export function agentPids({ name }: BenchLab): number[] {
  return labProcesses(name).flatMap(({ pid, role }) => (role.startsWith('agent-') ? [pid] : []))
}

/** Waits until the lab's agents have had nothing to do for a while. */
export async function agentsAtRest(lab: BenchLab): Promise<void> {
  const pids = agentPids(lab)
  const usedMs = (): number => pids.reduce((sum, pid) => sum + useOf(pid).cpuMs, 0)
  const deadlineMs = monotonicMs() + restTimeoutMs
  for (let before = usedMs(); ;) {
    await sleep(restMs)
    const now = usedMs()
    if (now - before <= restMs * restShare) return
    if (monotonicMs() > deadlineMs)
      throw new RigError(`the agents of lab ${lab.name} have not come to rest in ${restTimeoutMs / 1000} s`)
    before = now
  }
}
