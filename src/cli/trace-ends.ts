// Who the two ends of a trace are, as an agent knows them.
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentOfNode } from '#/api/client.ts'
import { type TraceEndsReport, type TracePair } from '#/api/schemas/trace-send.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { UsageError } from './args.ts'
import { askSoon } from './trace-ask.ts'
import { NotTold } from './trace-facts.ts'

/** Any agent knows all ends: so many are asked at a time until one answers. */
const askedAtOnce = 3

/** An agent that does not hear from the API may not know an end that others know: these have so long to say so. */
const otherwiseMs = 1_000

/** The first answer of some agents. Rejects with UsageError when one knows no such end, and none knows it within a moment. */
async function firstReport(
  agents: readonly AgentOfNode[],
  from: string,
  to: string,
  silences: string[],
): Promise<TraceEndsReport | undefined> {
  const found = new AbortController()
  const unknown: UsageError[] = []
  const asked = agents.map(async (agent) => {
    const outcome = await askSoon(agent, 'traceEnds', { from, to }, found.signal)
    if (outcome.kind === 'answer') return outcome.value
    if (outcome.kind === 'refusal' && outcome.status === 404) {
      unknown.push(new UsageError(outcome.message))
      if (unknown.length === 1)
        void sleep(otherwiseMs, undefined, { signal: found.signal }).then(
          () => found.abort(),
          () => undefined,
        )
      throw unknown[0]!
    }
    if (!found.signal.aborted) silences.push(`${agent.node}: ${outcome.message}`)
    throw new NotTold(outcome.message)
  })
  try {
    return await Promise.any(asked)
  } catch (error) {
    if (unknown[0] !== undefined) throw unknown[0]
    if (error instanceof AggregateError) return undefined
    throw error
  } finally {
    found.abort()
  }
}

async function anyReport(agents: readonly AgentOfNode[], from: string, to: string): Promise<TraceEndsReport> {
  const silences: string[] = []
  for (let start = 0; start < agents.length; start += askedAtOnce) {
    const report = await firstReport(agents.slice(start, start + askedAtOnce), from, to, silences)
    if (report !== undefined) return report
  }
  throw new NotTold(`no agent says who ${from} and ${to} are: ${silences.slice(0, askedAtOnce).join('; ')}`)
}

function pairOf({ pairs }: TraceEndsReport, family: Family | undefined): TracePair {
  const families = pairs.map(({ from }) => Addr.parse(from.addr).family)
  const index = family === undefined ? 0 : families.indexOf(family)
  const pair = pairs[index]
  if (pair === undefined) throw new UsageError(`--family ${family}: these ends have IPv${families.join(', IPv')} alone`)
  return pair
}

/** Why an address is no end of a trace: what is sent there goes to many, or never leaves the sender. */
function notOneHost(text: string): string | undefined {
  const addr = Addr.parse(text)
  if (addr.isMulticast) return 'is a multicast group, not one host'
  if (text === '255.255.255.255') return 'is the broadcast address, not one host'
  if (addr.isLoopback) return 'is the loopback address, which never leaves its sender'
  return addr.isUnspecified ? 'is the unspecified address, which no host has' : undefined
}

function checkEnds({ from, to }: TracePair): void {
  for (const { addr } of [from, to]) {
    const why = notOneHost(addr)
    if (why !== undefined)
      throw new UsageError(`${addr} ${why}: name a pod, a node, a Service or an address of one host`)
  }
}

/** `node`: whose agent says so. */
export type FoundEnds = { readonly pair: TracePair; readonly node: string }

/** The ends, of the family that was asked for or else of the first that both have. */
export async function findEnds(
  agents: readonly AgentOfNode[],
  { from, to, family }: { readonly from: string; readonly to: string; readonly family?: Family },
): Promise<FoundEnds> {
  const report = await anyReport(agents, from, to)
  const pair = pairOf(report, family)
  checkEnds(pair)
  const { node, pod, addr, cidrNode } = pair.from
  if (node === undefined) {
    const where = cidrNode === undefined ? 'at no node of this cluster' : `of no pod of ${cidrNode} that is known`
    throw new UsageError(`${from} (${addr}) is ${where}: a probe is sent from a pod or a node`)
  }
  // which address a node sends from, its own kernel says
  const own = agents.find((each) => each.node === node)
  if (pod !== undefined || report.node === node || own === undefined) return { pair, node: report.node }
  const outcome = await askSoon(own, 'traceEnds', { from, to })
  return { pair: outcome.kind === 'answer' ? pairOf(outcome.value, family) : pair, node: report.node }
}
