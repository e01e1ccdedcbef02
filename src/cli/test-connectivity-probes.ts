// Sends the packets of a connectivity test: each is a trace, and one that is lost without a reason is sent once more.
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentOfNode, mostAtOnce as agentsAtOnce } from '#/api/client.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { followed, isWorthAgain, judge, type Told } from '#/connectivity/judge.ts'
import { type Fault, type Outside, type Probe, type ProbeResult } from '#/connectivity/types.ts'
import { type FollowedPacket, type PacketEnd } from '#/doctor/types.ts'
import { Addr, families } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { type End } from '#/trace/verdict.ts'
import { UsageError } from './args.ts'
import { followPackets } from './doctor-packets.ts'
import { askSoon } from './trace-ask.ts'
import { type TraceOptions, withTrace } from './trace-run.ts'
import { runSizes } from './trace-sizes.ts'

const answerMs = 6_000
/** An agent hears of the pods of other nodes from the API, a moment after they are ready. */
const knownMs = 5_000
const pauseMs = 300
/** Until each node has heard of the pods behind a Service. */
const settledMs = 10_000
/** Most of the time of a packet is waiting; of one node few are followed at a time, however many there are in all. */
const mostAtOnce = 24

export type AskedAgents = {
  /** Those that answer. */
  readonly agents: ReadonlyMap<string, AgentOfNode>
  readonly faults: readonly Fault[]
  /** Nodes with another network. */
  readonly observed: readonly string[]
}

/** Asks each agent whether it is there: one that is not would be waited for again and again. */
export async function askAgents(all: readonly AgentOfNode[]): Promise<AskedAgents> {
  const asked = await eachOf(all, agentsAtOnce, async (agent) => ({
    agent,
    outcome: await askSoon(agent, 'status', {}, undefined, answerMs),
  }))
  return {
    agents: new Map(asked.flatMap(({ agent, outcome }) => (outcome.kind === 'answer' ? [[agent.node, agent]] : []))),
    faults: asked.flatMap(({ agent, outcome }) =>
      outcome.kind === 'answer'
        ? []
        : [{ subject: `the agent of ${agent.node}`, node: agent.node, text: outcome.message }],
    ),
    observed: asked.flatMap(({ agent, outcome }) =>
      outcome.kind === 'answer' && outcome.value.observes !== undefined ? [agent.node] : [],
    ),
  }
}

/** The router to which a node sends what is for nobody that it knows: outside of the cluster, and always there. */
export async function gatewayOf(agent: AgentOfNode): Promise<Outside[]> {
  const outcome = await askSoon(agent, 'facts', {}, undefined, answerMs)
  if (outcome.kind !== 'answer') return []
  const routes = outcome.value.namespaces[0]?.routes ?? []
  return families.flatMap((family): Outside[] => {
    const everything = family === 4 ? '0.0.0.0/0' : '::/0'
    const hops = routes.filter(({ dst }) => dst === everything).flatMap(({ nextHops }) => nextHops)
    const addr = hops
      .flatMap(({ gateway }) => gateway ?? [])
      .map((each) => Addr.tryParse(each))
      .find((each) => each?.family === family && !each.isLinkLocal)
    return addr === undefined ? [] : [{ addr: String(addr), isGuessed: true }]
  })
}

const endBehind = ({ pod, addr }: End, node: string): PacketEnd => ({
  name: pod ?? addr,
  node,
  isPod: pod !== undefined,
})

async function traceOf(agents: readonly AgentOfNode[], probe: Probe): Promise<Told> {
  const { from, to, target, family, protocol, port, isOfFullSize, via } = probe
  const options: TraceOptions = {
    from: from.name,
    to: target ?? to.name,
    family,
    protocol,
    isForetoldIfLost: true,
    ...(port !== undefined && { port }),
    ...(via !== undefined && { isTranslated: true }),
  }
  if (isOfFullSize) {
    const { verdict, fullBytes } = await runSizes(agents, options)
    return { verdict, ...(fullBytes !== undefined && { fullBytes }) }
  }
  return await withTrace(agents, options, async ({ verdict, behind }) => ({
    verdict,
    ...(behind?.node !== undefined && { behind: endBehind(behind, behind.node) }),
  }))
}

async function sendOnce(agents: ReadonlyMap<string, AgentOfNode>, probe: Probe, isAgain: boolean): Promise<Told> {
  const { from, to, via = [], viaWhenLost = [] } = probe
  const watching = [from.node, to.node, ...via, ...(isAgain ? viaWhenLost : [])]
  const asked = [...new Set(watching)].flatMap((node) => agents.get(node) ?? [])
  const untold = (text: string): Told => ({ verdict: { outcome: 'untold', text } })
  if (!agents.has(from.node)) return untold(`the agent of ${from.node}, which is to send it, does not answer`)
  const endMs = performance.now() + knownMs
  for (;;) {
    try {
      return await traceOf(asked, probe)
    } catch (error) {
      // the agent does not know an end
      if (!(error instanceof UsageError) || performance.now() > endMs) return untold(messageOf(error))
      await sleep(pauseMs)
    }
  }
}

export type Sent = { readonly result: ProbeResult; readonly packets: readonly FollowedPacket[] }

const wayOf = ({ from, to }: Probe): string => [from.node, to.node].toSorted().join(' ')

/** How a test goes on while its packets are sent. */
export type Course = {
  readonly signal: AbortSignal
  /** Ways on which packets were lost for good, where another try says no more. */
  readonly broken: Set<string>
  /** When the pods were ready, by performance.now(). */
  readonly readyAtMs: number
}

async function send(agents: ReadonlyMap<string, AgentOfNode>, probe: Probe, course: Course): Promise<Sent> {
  const all: Told[] = []
  let firstText: string | undefined
  for (;;) {
    const told = await sendOnce(agents, probe, all.length > 0)
    all.push(told)
    const result = judge(probe, told, all.length)
    const isSettling = performance.now() < course.readyAtMs + settledMs
    const isAgain = isWorthAgain(result, { isBroken: course.broken.has(wayOf(probe)), isSettling })
    if (isAgain && agents.has(probe.from.node) && !course.signal.aborted) {
      firstText ??= result.text
      await sleep(pauseMs)
      continue
    }
    if (all.length > 1 && result.state === 'failed') course.broken.add(wayOf(probe))
    return { result: { ...result, ...(firstText !== undefined && { firstText }) }, packets: packetsOf(probe, all) }
  }
}

/** What is denied on purpose is nothing for doctor. */
function packetsOf(probe: Probe, told: readonly Told[]): FollowedPacket[] {
  return probe.expects === 'denial' ? [] : told.map((each) => followed(probe, each))
}

/** Sends all of them, some at a time. */
export async function sendAll(
  agents: ReadonlyMap<string, AgentOfNode>,
  probes: readonly Probe[],
  course: Course,
  tell: (done: number, all: number) => void,
): Promise<Sent[]> {
  let done = 0
  tell(0, probes.length)
  const sent = await followPackets(
    probes,
    // whoever asked is not here any more to hear of a rejection
    async (probe): Promise<Sent[]> => {
      if (course.signal.aborted) return []
      const one = await send(agents, probe, course)
      tell(++done, probes.length)
      return [one]
    },
    {
      nodesOf: ({ from, to, via = [] }) => [from.node, to.node, ...via].filter((node) => node !== ''),
      atOnce: mostAtOnce,
    },
  )
  course.signal.throwIfAborted()
  return sent.flat()
}
