// How long after a policy was made or deleted the last of many nodes enforces it. The clock stops when the last node's kernel has told that its
// tables are changed; then real packets show that it is so on all of them.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiClient } from '#/cluster/client.ts'
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
import { agentPids, agentsAtRest, clientOf, createPolicies } from './policy-lab.ts'
import { gate, gateName, policiesOfSlots, policyNamespace, slotLabel } from './policy-objects.ts'
import { cpuMsOf } from './processes.ts'
import { type Rig } from './rig.ts'
import { quantile } from './stats.ts'

export type EnforcementSettings = {
  readonly nodes: number
  readonly policies: number
  /** One policy in so many selects a pod. */
  readonly slots: number
  readonly changes: number
}

const goalMs = 100
/** The goal is one for so many nodes. */
const goalNodes = 20
/** So often pods are asked that may answer. */
const mostTries = 5
const timeoutMs = 30_000
const probeTimeoutMs = 60

/** Between changes, never in step with timers of the agents: with what follows from the last one behind them, and on its heels. */
const paces = [
  { name: 'alone', pauseMs: { least: 400, most: 600 } },
  { name: 'in a row', pauseMs: { least: 100, most: 200 } },
] as const
type Pace = (typeof paces)[number]

function pairsFrom(from: ProbePod, all: readonly ProbePod[]): Pair[] {
  return all.filter((to) => to !== from).map((to) => ({ from, to, family: 4, target: to.addrs[0]! }))
}

async function answering(lab: BenchLab, pairs: readonly Pair[]): Promise<number> {
  const netns = lab.pod(pairs[0]!.from.name)
  using prober = new IcmpProber({ family: 4, pairs, timeoutMs: probeTimeoutMs }, { netns })
  return [...(await prober.run()).values()].filter(({ ok }) => ok).length
}

type Samples = { readonly afterRequest: number[]; readonly afterAnswer: number[]; readonly agentCpu: number[] }

/** A lab whose kernels are watched, with the policies in place. */
class Ground implements Disposable {
  readonly #lab: BenchLab
  readonly #client: ApiClient
  readonly #pairs: readonly Pair[]
  readonly #agents: readonly number[]
  readonly #kernels: readonly PolicyChanges[]
  #isGateThere = false

  private constructor(lab: BenchLab, client: ApiClient) {
    this.#lab = lab
    this.#client = client
    const pods = lab.pods.map(({ name, node, addrs }) => ({ name, node, netnsPath: '', addrs: addrs.map(Addr.parse) }))
    this.#pairs = pairsFrom(pods[0]!, pods)
    this.#agents = agentPids(lab)
    this.#kernels = lab.nodes.map((_, index) => new PolicyChanges(lab.node(index + 1)))
  }

  static async make(rig: Rig, { nodes, policies, slots }: EnforcementSettings): Promise<Ground> {
    const lab = await BenchLab.up(rig, ['--nodes', String(nodes), '--pods', '1', '--families', 'ipv4'])
    const client = await clientOf(rig, lab)
    await inParallel([...lab.pods.entries()], 8, ([slot, { name }]) =>
      client.patch(podPath(policyNamespace, name), { metadata: { labels: { [slotLabel]: String(slot) } } }, 'merge'),
    )
    await createPolicies(client, policiesOfSlots(policies, slots))
    await agentsAtRest(lab)
    return new Ground(lab, client)
  }

  #agentCpuMs(): number {
    return this.#agents.reduce((sum, pid) => sum + cpuMsOf(pid), 0)
  }

  /** Makes or deletes the policy that is about all pods, and has packets show that it is enforced. */
  async change({ pauseMs: { least, most } }: Pace, { afterRequest, afterAnswer, agentCpu }: Samples): Promise<void> {
    await sleep(least + Math.random() * (most - least))
    const enforced = Promise.all(this.#kernels.map((kernel) => kernel.next(timeoutMs)))
    const cpuBeforeMs = this.#agentCpuMs()
    const requestedMs = monotonicMs()
    await (this.#isGateThere
      ? this.#client.delete(`${clusterNetworkPoliciesPath()}/${gateName}`)
      : this.#client.create(clusterNetworkPoliciesPath(), gate))
    const answeredMs = monotonicMs()
    const lastMs = Math.max(...(await enforced))
    agentCpu.push((this.#agentCpuMs() - cpuBeforeMs) / this.#agents.length)
    this.#isGateThere = !this.#isGateThere
    afterRequest.push(lastMs - requestedMs)
    // the agents may be quicker than the answer
    afterAnswer.push(Math.max(0, lastMs - answeredMs))
    await this.#probe()
  }

  async #probe(): Promise<void> {
    const expected = this.#isGateThere ? 0 : this.#pairs.length
    let count = await answering(this.#lab, this.#pairs)
    // an answer may be late on a busy machine, a packet that is denied is not
    for (let tries = 1; count < expected && tries < mostTries; tries++) count = await answering(this.#lab, this.#pairs)
    if (count !== expected) throw new RigError(`${count} of ${this.#pairs.length} pods answer, expected ${expected}`)
  }

  [Symbol.dispose](): void {
    for (const kernel of this.#kernels) kernel[Symbol.dispose]()
  }
}

function rowsOf({ name }: Pace, { afterRequest, afterAnswer, agentCpu }: Samples): string[][] {
  const figures = (samples: readonly number[]): string[] =>
    [0.5, 0.99, 1].map((share) => figure(quantile(samples, share)))
  const cpu = figure(agentCpu.reduce((sum, each) => sum + each, 0) / agentCpu.length)
  return [
    [name, 'the request', ...figures(afterRequest), cpu],
    [name, "the API's answer", ...figures(afterAnswer), ''],
  ]
}

/** Changes one policy that is about all pods, again and again. */
export async function measureEnforcement(
  rig: Rig,
  settings: EnforcementSettings,
  say: (line: string) => void,
): Promise<{ table: Table; goals: Goal[]; figures: Record<string, number[]> }> {
  const { nodes, policies, changes } = settings
  say(`a lab of ${nodes} nodes with ${policies} policies`)
  using ground = await Ground.make(rig, settings)
  const measured: { readonly pace: Pace; readonly samples: Samples }[] = []
  for (const pace of paces) {
    say(`${changes} changes, ${pace.name}`)
    const samples: Samples = { afterRequest: [], afterAnswer: [], agentCpu: [] }
    for (let count = 0; count < changes; count++) await ground.change(pace, samples)
    measured.push({ pace, samples })
  }
  return {
    table: {
      title: `A change of one policy until the last of ${nodes} nodes enforces it, with ${policies.toLocaleString('en-US')} others, ms`,
      columns: ['changes', 'from', 'p50', 'p99', 'longest', 'CPU of an agent until then, mean'],
      rows: measured.flatMap(({ pace, samples }) => rowsOf(pace, samples)),
    },
    goals: nodes < goalNodes ? [] : measured.map(({ pace, samples }) => goalOf(nodes, pace, samples)),
    figures: Object.fromEntries(
      measured.flatMap(({ pace: { name }, samples: { afterRequest, afterAnswer, agentCpu } }) => [
        [`enforced on ${nodes} nodes after request, ${name}, ms`, afterRequest],
        [`enforced on ${nodes} nodes after answer, ${name}, ms`, afterAnswer],
        [`CPU of an agent of ${nodes} for a change, ${name}, ms`, agentCpu],
      ]),
    ),
  }
}

function goalOf(nodes: number, { name }: Pace, { afterRequest }: Samples): Goal {
  const p99 = quantile(afterRequest, 0.99)
  return {
    text: `a change, ${name}, enforced on the last of ${nodes} nodes within ${goalMs} ms, p99, from the request`,
    measured: `${figure(p99)} ms`,
    isReached: p99 <= goalMs,
  }
}
