// Many nodes: how long it takes until every new node has its route in the kernel, against the same for flannel's objects
// made by `ip -batch` and `bridge -batch`; one node arriving into many; stalls, memory and idle CPU of the agent.
import { setTimeout as sleep } from 'node:timers/promises'
import { nodesPath } from '#/cluster/paths.ts'
import { type Benchmark, figure, type Goal, ratioText, type Result, type Size, type Table } from './benchmark.ts'
import { monotonicMs } from './clock.ts'
import { flannelBatch, prepareFlannel } from './flannel.ts'
import { KernelRoutes, RouteArrivals } from './kernel-routes.ts'
import { numbers, podCIDROf, syntheticNode } from './nodes-of.ts'
import { callAll, ownCaller } from './pods.ts'
import { type BenchAgent, type BenchApi, type BenchNetns, type ProcessUse, Rig, RigError, StallProbe } from './rig.ts'
import { runAll } from './spawner.ts'
import { median, quantile, roundRatios, spread } from './stats.ts'
import type { StallReport } from './stall-process.ts'

const sizes = {
  smoke: { clusters: [100], rounds: 1, many: 100, arrivals: 3, calls: 5, idleMs: 300, quietMs: 100 },
  full: {
    clusters: [1000, 5000, 10_000],
    rounds: 5,
    many: 5000,
    arrivals: 100,
    calls: 100,
    idleMs: 65_000,
    quietMs: 500,
  },
} as const
const arrivalTimeoutMs = 120_000
const pollMs = 2
/** Between single arrivals: longer than an agent gathers changes, and never in step with its timers. */
const pauseMs = { least: 30, most: 80 } as const
/** How long an idle agent is asked for its answers, at most. */
const longestQuietMs = 5000
const fewNodes = 3
const goals = { arrivalP99Ms: 50, stallMs: 20, fewMiB: 80, manyMiB: 150 } as const

type Say = (line: string) => void
/** A node with an agent that knows the first few nodes. */
type Site = { readonly rig: Rig; readonly host: BenchNetns; readonly api: BenchApi; readonly agent: BenchAgent }

async function site(rig: Rig): Promise<Site> {
  const host = rig.node('node')
  const api = await rig.api(host)
  await api.createNodes(numbers(1, fewNodes))
  const agent = await rig.agent(host, api)
  return { rig, host, api, agent }
}

/** Waits until the agent has had nothing to do for a while. */
async function settle(agent: BenchAgent, quietMs: number): Promise<void> {
  const deadlineMs = monotonicMs() + arrivalTimeoutMs
  for (let before = agent.use.cpuMs; ;) {
    await sleep(quietMs)
    const { cpuMs } = agent.use
    if (cpuMs - before <= quietMs / 25) return
    if (monotonicMs() > deadlineMs) throw new RigError(`the agent has not come to rest in ${arrivalTimeoutMs / 1000} s`)
    before = cpuMs
  }
}

/**
 * All nodes up to number `last` arrive at once; resolves to the milliseconds until the last of their routes is in the kernel.
 * `meanwhile` runs again and again until then.
 */
async function arriveAtOnce({ host, api }: Site, last: number, meanwhile: () => Promise<void>): Promise<number> {
  const arriving = numbers(fewNodes + 1, last)
  const prefixes = arriving.map(podCIDROf)
  await api.hold()
  await api.createNodes(arriving)
  using routes = new KernelRoutes(host)
  const releasedMs = await api.release()
  for (;;) {
    const askedMs = monotonicMs()
    if (routes.hasAll(prefixes)) return askedMs - releasedMs
    if (askedMs - releasedMs > arrivalTimeoutMs)
      throw new RigError(`not all of ${prefixes.length} routes are in the kernel after ${arrivalTimeoutMs / 1000} s`)
    await meanwhile()
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

type Burst = { readonly nodes: number; readonly ours: number[]; readonly reference: number[] }

async function bursts(size: Size, say: Say): Promise<Burst[]> {
  const { clusters, rounds } = sizes[size]
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

type Arrivals = {
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

type Idle = { readonly use: ProcessUse; readonly cpuPercent: number }

async function idle(agent: BenchAgent, { idleMs, quietMs }: (typeof sizes)[Size]): Promise<Idle> {
  await settle(agent, quietMs)
  const before = agent.use.cpuMs
  const startedMs = monotonicMs()
  await sleep(idleMs)
  const { use } = agent
  return { use, cpuPercent: ((use.cpuMs - before) / (monotonicMs() - startedMs)) * 100 }
}

type Life = {
  readonly few: Idle
  readonly many: Idle
  readonly restarted: Idle
  readonly arrivals: Arrivals
  readonly stalls: Readonly<Record<'few' | 'burst' | 'many' | 'arrivals', StallReport>>
  readonly addMs: Readonly<Record<'few' | 'burst' | 'many', number[]>>
}

/** One agent from a few nodes to many, watched all the way. */
async function life(size: Size, say: Say): Promise<Life> {
  const { many, arrivals: count, calls, idleMs, quietMs } = sizes[size]
  await using rig = new Rig()
  const place = await site(rig)
  const { host, api, agent } = place
  say(`memory and idle CPU at ${fewNodes} nodes`)
  const few = await idle(agent, sizes[size])
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
  const atMany = await idle(agent, sizes[size])
  await agent[Symbol.asyncDispose]()
  say(`memory and idle CPU of an agent that starts with ${many} nodes`)
  const restarted = await idle(await rig.agent(host, api), sizes[size])
  return { few, many: atMany, restarted, arrivals, stalls, addMs }
}

function burstTable(results: readonly Burst[]): Table {
  return {
    title: 'Nodes arriving at once: until the last route is in the kernel, ms',
    columns: ['nodes', 'Causeway p50', 'least to most', 'batch p50', 'least to most', 'ratio (of rounds)'],
    rows: results.map(({ nodes, ours, reference }) => [
      nodes.toLocaleString('en-US'),
      ...[ours, reference].flatMap((samples) => {
        const { least, most } = spread(samples)
        return [figure(median(samples)), `${figure(least)} to ${figure(most)}`]
      }),
      ratioText(
        median(ours) / median(reference),
        spread(
          roundRatios(
            ours.map((each) => [each]),
            reference.map((each) => [each]),
          ),
        ),
      ),
    ]),
  }
}

function arrivalTable({ arrivals }: Life, many: number): Table {
  const row = (what: string, samples: readonly number[]): string[] => [
    what,
    ...[0.5, 0.99, 1].map((fraction) => figure(quantile(samples, fraction))),
  ]
  return {
    title: `One node arriving into ${many.toLocaleString('en-US')}: until its route is in the kernel, ms`,
    columns: ['measured from', 'p50', 'p99', 'longest'],
    rows: [
      row("the API's answer to the create", arrivals.afterAnswerMs),
      row('the create request itself', arrivals.afterRequestMs),
    ],
  }
}

function stallTable({ stalls, addMs }: Life, many: string): Table {
  const row = (what: string, { p50Ms, p99Ms, longestMs }: StallReport, added: readonly number[] = []): string[] => [
    what,
    ...[p50Ms, p99Ms, longestMs].map(figure),
    ...(added.length === 0 ? ['', ''] : [0.5, 0.99].map((fraction) => figure(quantile(added, fraction)))),
  ]
  return {
    title: 'The agent meanwhile: answers on its socket, and CNI ADD, ms',
    columns: ['while', 'answer p50', 'p99', 'longest', 'ADD p50', 'p99'],
    rows: [
      row(`idle, ${fewNodes} nodes`, stalls.few, addMs.few),
      row(`idle, ${many} nodes`, stalls.many, addMs.many),
      row(`${many} nodes arrive at once`, stalls.burst, addMs.burst),
      row('nodes arrive one by one', stalls.arrivals),
    ],
  }
}

function memoryTable({ few, many, restarted }: Life, count: string): Table {
  const row = (what: string, { use, cpuPercent }: Idle): string[] => [
    what,
    ...[use.residentMiB, use.peakResidentMiB].map(figure),
    cpuPercent.toFixed(2),
  ]
  return {
    title: 'The agent at rest',
    columns: ['agent', 'memory (VmRSS), MiB', 'peak (VmHWM), MiB', 'CPU, % of a core'],
    rows: [
      row(`${fewNodes} nodes`, few),
      row(`${count} nodes, which arrived`, many),
      row(`${count} nodes, started with them`, restarted),
    ],
  }
}

function goalsOf(
  results: readonly Burst[],
  { arrivals, stalls, few, many, restarted, addMs }: Life,
  count: string,
): Goal[] {
  const p99 = quantile(arrivals.afterAnswerMs, 0.99)
  const peak = Math.max(many.use.residentMiB, restarted.use.residentMiB)
  const longest = Math.max(stalls.burst.longestMs, stalls.arrivals.longestMs)
  const [addBefore, addMeanwhile] = [addMs.few, addMs.burst].map((samples) => quantile(samples, 0.99))
  return [
    ...results.map(({ nodes, ours, reference }) => ({
      text: `${nodes.toLocaleString('en-US')} nodes at once faster than the batch`,
      measured: `ratio ${(median(ours) / median(reference)).toFixed(2)}`,
      isReached: median(ours) < median(reference),
    })),
    {
      text: `one node arriving into ${count}: p99 at most ${goals.arrivalP99Ms} ms`,
      measured: `${figure(p99)} ms`,
      isReached: p99 <= goals.arrivalP99Ms,
    },
    {
      text: `no stall of ${goals.stallMs} ms or longer`,
      measured: `${figure(longest)} ms`,
      isReached: longest < goals.stallMs,
    },
    {
      text: 'ADD p99 while nodes arrive no worse than while idle (within a half)',
      measured: `${figure(addMeanwhile!)} ms, idle ${figure(addBefore!)} ms`,
      isReached: addMeanwhile! <= addBefore! * 1.5,
    },
    {
      text: `memory at ${fewNodes} nodes at most ${goals.fewMiB} MiB`,
      measured: `${figure(few.use.residentMiB)} MiB`,
      isReached: few.use.residentMiB <= goals.fewMiB,
    },
    {
      text: `memory at ${count} nodes at most ${goals.manyMiB} MiB`,
      measured: `${figure(peak)} MiB`,
      isReached: peak <= goals.manyMiB,
    },
  ]
}

async function run(size: Size, say: Say): Promise<Result> {
  const results = await bursts(size, say)
  const whole = await life(size, say)
  const { many, rounds, idleMs } = sizes[size]
  const count = many.toLocaleString('en-US')
  return {
    tables: [burstTable(results), arrivalTable(whole, many), stallTable(whole, count), memoryTable(whole, count)],
    goals: goalsOf(results, whole, count),
    notes: [
      `${rounds} rounds a size, both sides in turn. IPv4, one pod CIDR a node. The API server runs beside the agent, on the same cores.`,
      `The batch is flannel's: a neighbour, an FDB entry and a route for each node, from prepared files; it has no API to read from.`,
      `CPU at rest was taken over ${idleMs / 1000} s, a resync among it.`,
    ],
    figures: {
      ...Object.fromEntries(
        results.flatMap(({ nodes, ours, reference }) => [
          [`causeway ${nodes} at once ms`, ours],
          [`batch ${nodes} at once ms`, reference],
        ]),
      ),
      'one arrival after answer ms': whole.arrivals.afterAnswerMs,
      'one arrival after request ms': whole.arrivals.afterRequestMs,
      'longest answer burst ms': whole.stalls.burst.longestMs,
      'longest answer arrivals ms': whole.stalls.arrivals.longestMs,
      'longest answer idle ms': whole.stalls.many.longestMs,
      'ADD idle ms': whole.addMs.few,
      'ADD burst ms': whole.addMs.burst,
      'ADD idle many ms': whole.addMs.many,
      'memory few MiB': whole.few.use.residentMiB,
      'memory many MiB': whole.many.use.residentMiB,
      'memory restarted MiB': whole.restarted.use.residentMiB,
      'idle CPU few %': whole.few.cpuPercent,
      'idle CPU many %': whole.many.cpuPercent,
    },
  }
}

export const nodesBenchmark: Benchmark = {
  name: 'nodes',
  summary: 'thousands of nodes at once and one by one, against batches of ip and bridge',
  run,
}
