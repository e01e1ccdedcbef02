// One trace, from the names of its ends to the verdict: all nodes on the way watch before the probe is sent.
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentOfNode } from '#/api/client.ts'
import { type TracePair, type TraceSendReport, type TraceSendRequest } from '#/api/schemas/trace-send.ts'
import { type TraceWatchRequest } from '#/api/schemas/trace.ts'
import { type TracePrediction } from '#/api/schemas/trace-predict.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { isOfEcho, lastDestination } from '#/trace/destination.ts'
import { type Sighting } from '#/trace/types.ts'
import { redirected } from '#/trace/redirected.ts'
import { goalNode, isWhole, judgeTrace, type End, type Trace, type TraceFacts } from '#/trace/verdict.ts'
import { UsageError } from './args.ts'
import { askSoon } from './trace-ask.ts'
import { findEnds } from './trace-ends.ts'
import { endOf, NotTold, type Probe, type TraceWish } from './trace-facts.ts'
import { type Predicted, predict } from './trace-predictions.ts'
import { probeRequest, withOtherPort } from './trace-probe.ts'
import { type Blind, Watch } from './trace-watch.ts'

/** No probe takes longer: neither a slow link nor a neighbour that is asked three times. */
const longestMs = 5_000
/** After the answer: what other nodes saw of it is on its way here. */
const answeredQuietMs = 60
/** After a drop, since the packet may have been a copy; and after a refusal that is proved. */
const droppedQuietMs = 400
/** After anything else: it may be under way still. */
const quietMs = 1_500
const lookMs = 15
const watchSeconds = 10
/** Behind a Service the packet may go to any node: so many are watched. */
const mostWatched = 32
const mostPorts = 5

export type TraceRun = Trace & {
  readonly probe: Probe
  readonly facts: TraceFacts
  readonly sent: TraceSendReport
  readonly blind: readonly Blind[]
  readonly notes: readonly string[]
  /** The end that a Service's address was translated to. */
  readonly behind?: End
}

function agentOf(agents: readonly AgentOfNode[], node: string): AgentOfNode {
  const agent = agents.find((each) => each.node === node)
  if (agent === undefined) throw new NotTold(`there is no agent on ${node}, which is to send the probe`)
  return agent
}

function watchRequest({ protocol, cookie, seq }: TraceSendRequest): TraceWatchRequest {
  const seconds = String(watchSeconds)
  if (protocol === 'tcp') return { protocol, seq: String(seq), seconds }
  return { protocol, ...(cookie !== undefined && { cookie }), seconds }
}

/** Sends it, with another source port when somebody has that one. */
async function send(
  agent: AgentOfNode,
  probe: Probe,
): Promise<{ readonly probe: Probe; readonly sent: TraceSendReport }> {
  let request = probe.request
  for (let tries = 1; ; tries++) {
    const outcome = await askSoon(agent, 'traceSend', request)
    if (outcome.kind === 'answer') return { probe: { ...probe, request }, sent: outcome.value }
    const isTaken = outcome.kind === 'refusal' && outcome.status === 409 && outcome.message.includes('source port')
    // such as a size that no packet of this protocol has
    if (outcome.kind === 'refusal' && outcome.status === 400)
      throw new UsageError(outcome.message.replace(/^sizeBytes: /, '--size '))
    if (!isTaken || tries === mostPorts) throw new NotTold(`${agent.node} does not send the probe: ${outcome.message}`)
    request = withOtherPort(request)
  }
}

/** The nodes that may see the packet. */
function watchers(agents: readonly AgentOfNode[], { from, to }: TracePair, isTranslated: boolean): AgentOfNode[] {
  const ends = agents.filter(({ node }) => node === from.node || node === goalNode(to))
  if (!isTranslated) return ends
  return [...ends, ...agents.filter((each) => !ends.includes(each))].slice(0, mostWatched)
}

type Judge = () => Trace

/** How long nothing has to be seen for what was seen to be all. */
function quietAfter({ verdict: { outcome }, hops }: Trace): number {
  if (outcome === 'answered') return answeredQuietMs
  const isDropped = [...hops.there, ...hops.back].some(
    ({ place, sighting }) => place === 'drop' && sighting !== undefined,
  )
  // the other end itself has refused it; or a firewall has, if that end's node did not see it: it may be about to tell
  return outcome === 'closed' || isDropped ? droppedQuietMs : quietMs
}

/** Waits until nothing more is to be expected, by what was seen so far. */
async function untilTold(watch: Watch, judge: Judge): Promise<void> {
  const startMs = performance.now()
  // what was seen so far may be of this probe: it is quick
  let [lastMs, seen, quiet] = [startMs, 0, quietMs]
  for (;;) {
    await sleep(lookMs)
    const nowMs = performance.now()
    if (watch.sightings.length > seen) {
      seen = watch.sightings.length
      lastMs = nowMs
      quiet = quietAfter(judge())
    }
    if (nowMs - lastMs > quiet || nowMs - startMs > longestMs) return
  }
}

/** Where the packet went after a node has translated its destination; the end that was asked for where none has. */
async function realEnd(sender: AgentOfNode, { pair, request }: Probe, translated: Addr | undefined): Promise<End> {
  if (translated === undefined || String(translated) === request.dst) return endOf(pair.to)
  const outcome = await askSoon(sender, 'traceEnds', { from: pair.from.addr, to: String(translated) })
  const [found] = outcome.kind === 'answer' ? outcome.value.pairs : []
  return found === undefined ? { addr: String(translated) } : endOf(found.to)
}

const isElsewhere = (end: End, { to }: TracePair): boolean => end.addr !== to.addr

/** The port of the end that answers, where the sender's node translates it. */
function portBehind(sender: TracePrediction | undefined): { readonly port?: number } {
  const port = sender?.translatedTo?.port
  return port === undefined ? {} : { port }
}

export type TraceOptions = TraceWish & {
  readonly from: string
  readonly to: string
  readonly family?: Family
  /** The destination is translated though a node has it, such as the port of a Service: all agents watch. */
  readonly isTranslated?: boolean
  /**
   * Kernels are asked what they would do only with a packet of a pod that was lost: whoever follows many has no use for it otherwise. Of what comes
   * back to a node itself the prediction says where it has arrived.
   */
  readonly isForetoldIfLost?: boolean
}

const notAsked: Predicted = { predictions: { there: [], back: [] }, silences: [] }

/** What a kernel has found out by trying, such as that a neighbour does not answer, it tells only afterwards. */
function needsCause({ verdict }: Trace, { refused }: TraceSendReport): boolean {
  const isLost = verdict.outcome === 'lost' || verdict.outcome === 'answer-lost' || verdict.outcome === 'unanswered'
  return refused === undefined && isLost && verdict.remedy === undefined && verdict.drop === undefined
}

type Watched = {
  readonly agents: readonly AgentOfNode[]
  readonly watch: Watch
  readonly probe: Probe
  readonly sent: TraceSendReport
}

/** What was seen of this probe: with one watch several are sent one after another. */
function sightingsOf({ watch, probe: { request } }: Watched): readonly Sighting[] {
  const { protocol, seq } = request
  return protocol === 'icmp' && seq !== undefined
    ? watch.sightings.filter((each) => isOfEcho(each, seq))
    : watch.sightings
}

/** Which of these nodes are not watched, and why. */
function blindEnds({ blind, nodes }: Watch, ends: readonly (string | undefined)[]): Blind[] {
  const known = new Set(ends.filter((node) => node !== undefined))
  return [
    ...blind.filter(({ node }) => known.has(node)),
    ...[...known]
      .filter((node) => !nodes.has(node))
      .map((node) => ({ node, why: 'no agent there was asked to watch' })),
  ]
}

function factsOf(watched: Watched, { predictions }: Predicted, to: End): TraceFacts {
  const { watch, probe, sent } = watched
  const { pair, wish } = probe
  const { protocol, port, sizeBytes } = wish
  return {
    from: endOf(pair.from),
    to,
    protocol,
    ...(port !== undefined && { port }),
    ...(sizeBytes !== undefined && { sizeBytes }),
    ...(sent.refused && { refused: sent.refused }),
    predictions,
    sightings: sightingsOf(watched),
    blind: blindEnds(watch, [pair.from.node, goalNode(to)]),
  }
}

/** Waits for what becomes of the probe; the end that has it, and what is expected of the way there, may be found out only then. */
async function outcomeOf(watched: Watched, sender: AgentOfNode, before: Predicted): Promise<TraceRun> {
  const { agents, watch, probe, sent } = watched
  const asked = endOf(probe.pair.to)
  if (sent.refused === undefined) await untilTold(watch, () => judgeTrace(factsOf(watched, before, asked)))
  const end = await realEnd(sender, probe, lastDestination(sightingsOf(watched)))
  const isTranslated = isElsewhere(end, probe.pair)
  const early = judgeTrace(factsOf(watched, before, end))
  // what is expected of a packet of another size says nothing of why this one is lost
  const isOther = before.sizeBytes !== probe.request.sizeBytes && early.verdict.outcome !== 'answered'
  const isUnasked = before === notAsked && !isWhole(early.verdict)
  const isAsked = isTranslated || isOther || isUnasked || needsCause(early, sent)
  const predicted = isAsked
    ? await predict(agents, probe, isTranslated ? { ...end, ...portBehind(before.sender) } : end)
    : before
  const facts = factsOf(watched, predicted, end)
  const silences = predicted.silences.map(({ node, why }) => `${node} does not say what it would do: ${why}`)
  const trace = judgeTrace(facts)
  return {
    probe,
    facts,
    sent,
    ...trace,
    verdict: redirected(trace, asked, end),
    blind: [...watch.blind, ...facts.blind.filter(({ node }) => !watch.nodes.has(node))],
    notes: [...watch.notes, ...silences],
    ...(isTranslated && { behind: end }),
  }
}

/** Sends another probe of ICMP while the same nodes watch. */
export type Again = (sizeBytes?: number) => Promise<TraceRun>

/**
 * Calls `use` with the outcome of a trace, while the nodes still watch. Rejects with UsageError for ends that there are not, and with NotTold when
 * the cluster cannot say.
 */
export async function withTrace<T>(
  asked: readonly AgentOfNode[],
  options: TraceOptions,
  use: (run: TraceRun, again: Again) => Promise<T>,
): Promise<T> {
  const { from, to, family, isTranslated, isForetoldIfLost, ...wish } = options
  const { pair, node: ownName } = await findEnds(asked, { from, to, ...(family && { family }) })
  // on a node alone its agent is asked, whose name only it knows
  const agents = asked.length === 1 ? asked.map((each) => ({ ...each, node: ownName })) : asked
  if (pair.from.addr === pair.to.addr) throw new UsageError(`${from} and ${to} are the same`)
  const planned: Probe = { pair, wish, request: probeRequest(pair, wish) }
  const sender = agentOf(agents, pair.from.node!)
  // an end that nobody has may be the address of a Service, behind which is any node
  const isUnknown = goalNode(pair.to) === undefined || isTranslated === true
  await using watch = new Watch(watchers(agents, pair, isUnknown), watchRequest(planned.request))
  // where a Service leads to, its sender says beforehand
  const isLater = isForetoldIfLost === true && pair.from.pod !== undefined && !isUnknown
  const [before] = await Promise.all([isLater ? notAsked : predict(agents, planned, endOf(pair.to)), watch.ready()])
  if (watch.blind.length === watch.nodes.size)
    throw new NotTold(watch.blind.map(({ node, why }) => `${node}: ${why}`).join('\n'))
  const follow = async (wished: Probe): Promise<TraceRun> => {
    const { probe, sent } = await send(sender, wished)
    return await outcomeOf({ agents, watch, probe, sent }, sender, before)
  }
  let seq = planned.request.seq ?? 1
  return await use(await follow(planned), async (sizeBytes) => {
    const { sizeBytes: _, ...request } = planned.request
    const size = sizeBytes === undefined ? {} : { sizeBytes }
    return await follow({
      pair,
      wish: { protocol: wish.protocol, ...size },
      request: { ...request, ...size, seq: ++seq },
    })
  })
}
