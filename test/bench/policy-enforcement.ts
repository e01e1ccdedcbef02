// How long after a policy was made or deleted the last of many nodes enforces it. The clock stops when the last node's kernel has told that its
// tables are changed; then real packets show that it is so on all of them.
import { setTimeout as sleep } from 'node:timers/promises'
import { clusterNetworkPoliciesPath, podPath } from '#/cluster/paths.ts'
import { IcmpProber } from '#/lab/probe/icmp-prober.ts'
import { type Pair } from '#/lab/probe/pairs.ts'
import { type ProbePod } from '#/lab/probe/types.ts'
import { Addr } from '#/lib/addr.ts'
import { figure, type Goal, type Table } from './benchmark.ts'
import { monotonicMs } from './clock.ts'
import { BenchLab } from './lab.ts'
import { inParallel, RigError } from './netns.ts'
import { PolicyChanges } from './policy-kernel.ts'
import { agentsAtRest, clientOf, createPolicies } from './policy-lab.ts'
import { gate, gateName, policiesOfSlots, policyNamespace, slotLabel } from './policy-objects.ts'
import { type Rig } from './rig.ts'
import { quantile } from './stats.ts'

export type EnforcementSettings = { readonly nodes: number; readonly policies: number; readonly changes: number }

const goalMs = 100
/** So often pods are asked that may answer. */
const mostTries = 5
const timeoutMs = 30_000
const probeTimeoutMs = 60
/** Between changes: never in step with timers of the agents. */
const pauseMs = { least: 100, most: 200 } as const

function pairsFrom(from: ProbePod, all: readonly ProbePod[]): Pair[] {
  return all.filter((to) => to !== from).map((to) => ({ from, to, family: 4, target: to.addrs[0]! }))
}

async function answering(lab: BenchLab, pairs: readonly Pair[]): Promise<number> {
  const netns = lab.pod(pairs[0]!.from.name)
  using prober = new IcmpProber({ family: 4, pairs, timeoutMs: probeTimeoutMs }, { netns })
  return [...(await prober.run()).values()].filter(({ ok }) => ok).length
}

/** Changes one policy that is about all pods, again and again. */
export async function measureEnforcement(
  rig: Rig,
  { nodes, policies, changes }: EnforcementSettings,
  say: (line: string) => void,
): Promise<{ table: Table; goals: Goal[]; figures: Record<string, number[]> }> {
  say(`a lab of ${nodes} nodes with ${policies} policies`)
  const lab = await BenchLab.up(rig, ['--nodes', String(nodes), '--pods', '1', '--families', 'ipv4'])
  const client = await clientOf(rig, lab)
  await inParallel([...lab.pods.entries()], 8, ([slot, { name }]) =>
    client.patch(podPath(policyNamespace, name), { metadata: { labels: { [slotLabel]: String(slot) } } }, 'merge'),
  )
  await createPolicies(client, policiesOfSlots(policies, nodes))
  await agentsAtRest(lab)
  const pods = lab.pods.map(({ name, node, addrs }) => ({ name, node, netnsPath: '', addrs: addrs.map(Addr.parse) }))
  const pairs = pairsFrom(pods[0]!, pods)
  using stack = new DisposableStack()
  const kernels = lab.nodes.map((_, index) => stack.use(new PolicyChanges(lab.node(index + 1))))
  const afterRequest: number[] = []
  const afterAnswer: number[] = []
  say(`${changes} changes`)
  for (let change = 0; change < changes; change++) {
    const isMaking = change % 2 === 0
    await sleep(pauseMs.least + Math.random() * (pauseMs.most - pauseMs.least))
    const enforced = Promise.all(kernels.map((kernel) => kernel.next(timeoutMs)))
    const requestedMs = monotonicMs()
    await (isMaking
      ? client.create(clusterNetworkPoliciesPath(), gate)
      : client.delete(`${clusterNetworkPoliciesPath()}/${gateName}`))
    const answeredMs = monotonicMs()
    const lastMs = Math.max(...(await enforced))
    afterRequest.push(lastMs - requestedMs)
    // the agents may be quicker than the answer
    afterAnswer.push(Math.max(0, lastMs - answeredMs))
    const expected = isMaking ? 0 : pairs.length
    let count = await answering(lab, pairs)
    // an answer may be late on a busy machine, a packet that is denied is not
    for (let tries = 1; count < expected && tries < mostTries; tries++) count = await answering(lab, pairs)
    if (count !== expected) throw new RigError(`${count} of ${pairs.length} pods answer, expected ${expected}`)
  }
  const row = (name: string, samples: readonly number[]): string[] => [
    name,
    ...[0.5, 0.99, 1].map((share) => figure(quantile(samples, share))),
  ]
  const p99 = quantile(afterRequest, 0.99)
  return {
    table: {
      title: `A change of one policy until the last of ${nodes} nodes enforces it, with ${policies.toLocaleString('en-US')} others, ms`,
      columns: ['from', 'p50', 'p99', 'longest'],
      rows: [row('the request', afterRequest), row("the API's answer", afterAnswer)],
    },
    goals: [
      {
        text: `a change enforced on the last of ${nodes} nodes within ${goalMs} ms, p99, from the request`,
        measured: `${figure(p99)} ms`,
        isReached: p99 <= goalMs,
      },
    ],
    figures: { 'enforced after request ms': afterRequest, 'enforced after answer ms': afterAnswer },
  }
}
