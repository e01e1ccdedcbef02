// A cluster of many pods and policies into one agent, whose node has as many pods as a node usually may: how long until its kernel has all of
// it, how long the event loop stands still meanwhile, and how much memory it costs.
import { setTimeout as sleep } from 'node:timers/promises'
import { networkPoliciesPath, podsPath, podStatusPath } from '#/cluster/paths.ts'
import { figure, type Goal, type Table } from './benchmark.ts'
import { monotonicMs } from './clock.ts'
import { type BenchNetns, inParallel, RigError, waitUntil } from './netns.ts'
import { nodeNameOf, numbers } from './nodes-of.ts'
import { callAll, ownCaller } from './pods.ts'
import { PolicyChanges, podsInKernel } from './policy-kernel.ts'
import { policiesOfSlots, podElsewhere, policyNamespace, slotLabel } from './policy-objects.ts'
import { type BenchAgent, type BenchApi, StallProbe } from './processes.ts'
import { type Rig } from './rig.ts'
import type { StallReport } from './stall-process.ts'

export type LoadSettings = {
  readonly pods: number
  readonly policies: number
  readonly localPods: number
  /** How long an agent must have had nothing to do. */
  readonly quietMs: number
}

/** How much of a core an agent may use that has nothing to do; the probe for stalls alone costs it a tenth. */
const restShare = 0.2
const goalMemoryMiB = 40
const goalStallMs = 20
const creates = 16
const restMs = 100
/** Reading the set takes the machine some 20 ms. */
const askMs = 500
const timeoutMs = 120_000

/** A pod of the node under test, in the API as scheduled there; returns its uid. */
export async function createLocalPod({ client }: BenchApi, name: string, slot: string): Promise<string> {
  const { metadata } = await client.create(podsPath(policyNamespace), {
    metadata: { name, namespace: policyNamespace, labels: { app: 'local', [slotLabel]: slot } },
    spec: { nodeName: nodeNameOf(1), containers: [{ name: 'main', image: 'x' }] },
  })
  return metadata.uid ?? ''
}

/** Pods of other nodes, in the API alone. */
export async function createPodsElsewhere({ client }: BenchApi, count: number, slots: number): Promise<void> {
  await inParallel(numbers(0, count - 1), creates, async (number) => {
    const { name, object, status } = podElsewhere(number, slots)
    await client.create(podsPath(policyNamespace), object)
    await client.patch(podStatusPath(policyNamespace, name), { status }, 'merge')
  })
}

export async function createPoliciesOf({ client }: BenchApi, policies: readonly object[]): Promise<void> {
  await inParallel(policies, creates, (policy) => client.create(networkPoliciesPath(policyNamespace), policy))
}

/** Waits until the kernel knows all these pods: the API ends a watch that is read too slowly, and then they are listed, some seconds later. */
export async function allInKernel({ netns }: BenchNetns, pods: number): Promise<void> {
  await waitUntil(
    `${pods} pods in the kernel`,
    async () => {
      await sleep(askMs)
      return (await podsInKernel(netns, policyNamespace)) >= pods
    },
    timeoutMs,
  )
}

/** Waits until the agent has had nothing to do for a while. */
export async function agentAtRest(agent: BenchAgent, quietMs: number): Promise<void> {
  const deadlineMs = monotonicMs() + timeoutMs
  for (let before = agent.use.cpuMs; ;) {
    await sleep(quietMs)
    agent.mustRun()
    const { cpuMs } = agent.use
    if (cpuMs - before <= quietMs * restShare) return
    if (monotonicMs() > deadlineMs) throw new RigError(`the agent has not come to rest in ${timeoutMs / 1000} s`)
    before = cpuMs
  }
}

async function localPods(rig: Rig, api: BenchApi, host: BenchNetns, agent: BenchAgent, count: number): Promise<void> {
  const pods = Array.from({ length: count }, (_, index) => rig.netns(`local-${index}`))
  // making them blocks: a connection that the API has closed meanwhile is noticed only now
  await sleep(restMs)
  const uids = new Map<string, string>()
  for (const [slot, { name }] of pods.entries()) uids.set(name, await createLocalPod(api, name, String(slot)))
  const own = ownCaller(rig, host, agent.pluginEnv, { uids })
  for (const pod of pods) callAll(own, 'ADD', [pod])
}

type Load = {
  readonly tookMs: number
  readonly stalls: StallReport
  readonly beforeMiB: number
  readonly afterMiB: number
  readonly restartedMiB: number
  readonly restartedPeakMiB: number
}

async function load(rig: Rig, settings: LoadSettings, say: (line: string) => void): Promise<Load> {
  const { pods, policies, localPods: localCount, quietMs } = settings
  const host = rig.node('node')
  const api = await rig.api(host)
  await api.createNodes([1, 2, 3])
  const agent = await rig.agent(host, api)
  say(`${localCount} pods on the node`)
  await localPods(rig, api, host, agent, localCount)
  await agentAtRest(agent, quietMs)
  const { residentMiB: beforeMiB } = agent.use
  say(`${pods} pods and ${policies} policies at once`)
  await api.hold()
  await createPodsElsewhere(api, pods, localCount)
  await createPoliciesOf(api, policiesOfSlots(policies, localCount))
  await using probe = await StallProbe.start(agent)
  using kernel = new PolicyChanges(host.netns)
  const releasedMs = await api.release()
  await allInKernel(host, pods)
  await agentAtRest(agent, quietMs)
  const stalls = await probe.report()
  if (kernel.lastMs === 0) throw new RigError('the kernel has no policy of the agent')
  const tookMs = kernel.lastMs - releasedMs
  await probe[Symbol.asyncDispose]()
  await agentAtRest(agent, quietMs)
  const { residentMiB: afterMiB } = agent.use
  await agent[Symbol.asyncDispose]()
  say('an agent that starts with all of them')
  const restarted = await rig.agent(host, api, { env: { CAUSEWAY_STATE_DIR: agent.stateDir } })
  await agentAtRest(restarted, quietMs)
  const { residentMiB, peakResidentMiB } = restarted.use
  return { tookMs, stalls, beforeMiB, afterMiB, restartedMiB: residentMiB, restartedPeakMiB: peakResidentMiB }
}

export async function measureLoad(
  rig: Rig,
  settings: LoadSettings,
  say: (line: string) => void,
): Promise<{ table: Table; goals: Goal[]; figures: Record<string, number> }> {
  const result = await load(rig, settings, say)
  const { tookMs, stalls, beforeMiB, afterMiB, restartedMiB, restartedPeakMiB } = result
  const grownMiB = afterMiB - beforeMiB
  const count = (number: number): string => number.toLocaleString('en-US')
  return {
    table: {
      title: `${count(settings.pods)} pods and ${count(settings.policies)} policies into one agent with ${settings.localPods} pods`,
      columns: ['what', 'value'],
      rows: [
        ['until the kernel has all of it, s', figure(tookMs / 1000)],
        ['longest answer of /healthz meanwhile, ms', figure(stalls.longestMs)],
        ['p99 of its answers, ms', figure(stalls.p99Ms)],
        ['memory before (VmRSS), MiB', figure(beforeMiB)],
        ['memory after, MiB', figure(afterMiB)],
        ['memory of an agent that starts with all of it, MiB', figure(restartedMiB)],
        ['its peak (VmHWM), MiB', figure(restartedPeakMiB)],
      ],
    },
    goals: [
      {
        text: `at most ${goalMemoryMiB} MiB more memory`,
        measured: `${figure(grownMiB)} MiB`,
        isReached: grownMiB <= goalMemoryMiB,
      },
      {
        text: `no stall longer than ${goalStallMs} ms`,
        measured: `${figure(stalls.longestMs)} ms`,
        isReached: stalls.longestMs <= goalStallMs,
      },
    ],
    figures: {
      'load ms': tookMs,
      'load longest stall ms': stalls.longestMs,
      'load memory before MiB': beforeMiB,
      'load memory after MiB': afterMiB,
      'load memory restarted MiB': restartedMiB,
    },
  }
}
