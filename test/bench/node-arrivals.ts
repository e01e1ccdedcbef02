// What happens to an agent when nodes arrive, by the thousand and one by one: the measurements of the benchmark `nodes`.
import { setTimeout as sleep } from 'node:timers/promises'
import { nodesPath } from '#/cluster/paths.ts'
import { monotonicMs } from './clock.ts'
import { flannelBatch, prepareFlannel } from './flannel.ts'
import { KernelRoutes, RouteArrivals } from './kernel-routes.ts'
import { numbers, podCIDROf, syntheticNode } from './nodes-of.ts'
import { callAll, ownCaller } from './pods.ts'
import { type BenchNetns, RigError } from './netns.ts'
import { Rig } from './rig.ts'
import { type BenchAgent, type BenchApi, type ProcessUse, StallProbe } from './processes.ts'
import { runAll } from './spawner.ts'
import type { StallReport } from './stall-process.ts'

const arrivalTimeoutMs = 120_000
const pollMs = 2
/** Between single arrivals: longer than an agent gathers changes, and never in step with its timers. */
const pauseMs = { least: 30, most: 80 } as const
/** How long an idle agent is asked for its answers, at most. */
const longestQuietMs = 5000
export const fewNodes = 3

type Say = (line: string) => void

export type NodesSettings = {
  /** How many nodes arrive at once, and in how many rounds each. */
  readonly clusters: readonly number[]
  readonly rounds: number
  /** The size of the cluster whose agent is watched from beginning to end. */
  readonly many: number
  /** Nodes that arrive one by one after that. */
  readonly arrivals: number
  readonly calls: number
  readonly idleMs: number
  /** How long an agent must have had nothing to do. */
  readonly quietMs: number
}

/** A node with an agent that knows the first few nodes. */
type Site = { readonly rig: Rig; readonly host: BenchNetns; readonly api: BenchApi; readonly agent: BenchAgent }

async function site(rig: Rig): Promise<Site> {
  const host = rig.node('node')
  const api = await rig.api(host)
  await api.createNodes(numbers(1, fewNodes))
  const agent = await rig.agent(host, api)
  return { rig, host, api, agent }
}

/**
 * Waits until the agent has had nothing to do for a while. The stall probe alone costs it a tenth of a core, and routes that arrive
 * nearly a whole one.
 */
async function settle(agent: BenchAgent, quietMs: number): Promise<void> {
  const deadlineMs = monotonicMs() + arrivalTimeoutMs
  for (let before = agent.use.cpuMs; ;) {
    await sleep(quietMs)
    const { cpuMs } = agent.use
    if (cpuMs - before <= quietMs / 5) return
    if (monotonicMs() > deadlineMs) throw new RigError(`the agent has not come to rest in ${arrivalTimeoutMs / 1000} s`)
    before = cpuMs
  }
}

/**
 * All nodes up to number `last` arrive at once; resolves to the milliseconds until the last of their routes is in the kernel.
 * `meanwhile` runs again and again until then, once at least.
 */
async function arriveAtOnce({ host, api }: Site, last: number, meanwhile: () => Promise<void>): Promise<number> {
  const arriving = numbers(fewNodes + 1, last)
  const prefixes = arriving.map(podCIDROf)
  await api.hold()
  await api.createNodes(arriving)
  using routes = new KernelRoutes(host)
  const releasedMs = await api.release()
  for (;;) {
    // first of all, so that there is one however fast they are
    await meanwhile()
    const askedMs = monotonicMs()
    if (routes.hasAll(prefixes)) return askedMs - releasedMs
    if (askedMs - releasedMs > arrivalTimeoutMs)
      throw new RigError(`not all of ${prefixes.length} routes are in the kernel after ${arrivalTimeoutMs / 1000} s`)
  }
}

async function oursRound(last: number): Promise<number> {
  await using rig = new Rig()
  return await arriveAtOnce(await site(rig), last, () => sleep(pollMs))
}

async function referenceRound(last: number): Promise<number> {
  await using rig = new Rig()
  const host = rig.node('reference')
  prepareFlannel(host)
  const arriving = numbers(fewNodes + 1, last)
  const programs = flannelBatch(rig, arriving)
  const startedMs = monotonicMs()
  const ended = host.netns.run(() => programs.flatMap((program) => runAll([program])))
  const tookMs = monotonicMs() - startedMs
  using routes = new KernelRoutes(host)
  if (ended.some(({ status }) => status !== 0) || !routes.hasAll(arriving.map(podCIDROf)))
    throw new RigError('the batch of the reference failed')
  return tookMs
}

export type Burst = { readonly nodes: number; readonly ours: number[]; readonly reference: number[] }

/** Whole clusters arriving at once, both sides in turn. */
export async function bursts({ clusters, rounds }: NodesSettings, say: Say): Promise<Burst[]> {
  const results: Burst[] = clusters.map((nodes) => ({ nodes, ours: [], reference: [] }))
  for (const { nodes, ours, reference } of results) {
    for (let round = 1; round <= rounds; round++) {
      say(`${nodes} nodes at once, round ${round} of ${rounds}`)
      if (round % 2 === 0) reference.push(await referenceRound(nodes))
      ours.push(await oursRound(nodes))
      if (round % 2 === 1) reference.push(await referenceRound(nodes))
    }
  }
  return results
}

export type Arrivals = {
  /** From the API's answer to the create, and from sending it, to the route. */
  readonly afterAnswerMs: number[]
  readonly afterRequestMs: number[]
}

async function singleArrivals({ host, api }: Site, first: number, count: number): Promise<Arrivals> {
  using arrivals = new RouteArrivals(host)
  const result: Arrivals = { afterAnswerMs: [], afterRequestMs: [] }
  for (const number of numbers(first, first + count - 1)) {
    await sleep(pauseMs.least + Math.random() * (pauseMs.most - pauseMs.least))
    const requestedMs = monotonicMs()
    await api.client.create(nodesPath(), syntheticNode(number, true))
    const answeredMs = monotonicMs()
    const atMs = await arrivals.of(podCIDROf(number), arrivalTimeoutMs)
    // an event may overtake the answer
    result.afterAnswerMs.push(Math.max(0, atMs - answeredMs))
    result.afterRequestMs.push(atMs - requestedMs)
  }
  return result
}

export type Idle = { readonly use: ProcessUse; readonly cpuPercent: number }

async function idle(agent: BenchAgent, { idleMs, quietMs }: NodesSettings): Promise<Idle> {
  await settle(agent, quietMs)
  const before = agent.use.cpuMs
  const startedMs = monotonicMs()
  await sleep(idleMs)
  const { use } = agent
  return { use, cpuPercent: ((use.cpuMs - before) / (monotonicMs() - startedMs)) * 100 }
}

export type Life = {
  readonly few: Idle
  readonly many: Idle
  readonly restarted: Idle
  readonly arrivals: Arrivals
  readonly stalls: Readonly<Record<'few' | 'burst' | 'many' | 'arrivals', StallReport>>
  readonly addMs: Readonly<Record<'few' | 'burst' | 'many', number[]>>
}

/** One agent from a few nodes to many, watched all the way. */
export async function life(settings: NodesSettings, say: Say): Promise<Life> {
  const { many, arrivals: count, calls, idleMs, quietMs } = settings
  await using rig = new Rig()
  const place = await site(rig)
  const { host, api, agent } = place
  say(`memory and idle CPU at ${fewNodes} nodes`)
  const few = await idle(agent, settings)
  await using probe = await StallProbe.start(agent)
  const own = ownCaller(rig, host, agent.pluginEnv)
  const pod = rig.netns('pod')
  const addOnce = async (into: number[]): Promise<void> => {
    into.push(...callAll(own, 'ADD', [pod]))
    callAll(own, 'DEL', [pod])
    // the probe's and the API's channels are served in between
    await sleep(pollMs)
  }
  const addMs: Life['addMs'] = { few: [], burst: [], many: [] }
  const quietStall = async (): Promise<StallReport> => {
    await settle(agent, quietMs)
    await probe.report()
    await sleep(Math.min(idleMs, longestQuietMs))
    return probe.report()
  }
  const fewStall = await quietStall()
  for (let call = 0; call < calls; call++) await addOnce(addMs.few)
  await settle(agent, quietMs)
  say(`${many} nodes at once, with CNI calls meanwhile`)
  await probe.report()
  await arriveAtOnce(place, many, () => addOnce(addMs.burst))
  await settle(agent, quietMs)
  const burst = await probe.report()
  const manyStall = await quietStall()
  for (let call = 0; call < calls; call++) await addOnce(addMs.many)
  await settle(agent, quietMs)
  say(`${count} nodes, one after the other, into ${many}`)
  await probe.report()
  const arrivals = await singleArrivals(place, many + 1, count)
  const stalls = { few: fewStall, burst, many: manyStall, arrivals: await probe.report() }
  await probe[Symbol.asyncDispose]()
  say(`memory and idle CPU at ${many} nodes`)
  const atMany = await idle(agent, settings)
  await agent[Symbol.asyncDispose]()
  say(`memory and idle CPU of an agent that starts with ${many} nodes`)
  const restarted = await idle(await rig.agent(host, api), settings)
  return { few, many: atMany, restarted, arrivals, stalls, addMs }
}
