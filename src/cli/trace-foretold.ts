// A trace without packets: what the kernels of a bundle's nodes would do with a probe and with its answer.
import { type AgentOfNode } from '#/api/client.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { type Direction, type Prediction, type Step } from '#/trace/types.ts'
import { type End } from '#/trace/verdict.ts'
import { UsageError } from './args.ts'
import { bundleAgents } from './bundle/agents.ts'
import { answerIn, type Bundle } from './bundle/read.ts'
import { findEnds } from './trace-ends.ts'
import { endOf, NotTold, type Probe } from './trace-facts.ts'
import { judgeForetold, type ForetoldOutcome } from './trace-foretold-verdict.ts'
import { predict, type Predicted } from './trace-predictions.ts'
import { probeRequest } from './trace-probe.ts'
import { type TraceOptions } from './trace-run.ts'

export type Foretold = {
  readonly probe: Probe
  readonly madeAtMs: number
  readonly predictions: Readonly<Record<Direction, readonly Prediction[]>>
  /** The end that a Service's address is translated to. */
  readonly behind?: End
  readonly outcome: ForetoldOutcome
  readonly text: string
  readonly remedy?: string
  /** Where it ends. */
  readonly obstacle?: { readonly node: string; readonly direction: Direction; readonly step: Step }
  readonly silences: readonly { readonly node: string; readonly why: string }[]
}

/** Where the sender's node sends it, when that is the address of a Service. */
async function behindOf(
  agents: readonly AgentOfNode[],
  probe: Probe,
  addr: string,
): Promise<Probe['pair']['to'] | undefined> {
  const { from } = probe.pair
  if (addr === probe.pair.to.addr) return undefined
  const family: Family = Addr.parse(addr).family
  return (await findEnds(agents, { from: from.addr, to: addr, family })).pair.to
}

/** What a bundle does not tell of a node that its cluster has. */
function silentNodes({ head, answers, errors }: Bundle): { readonly node: string; readonly why: string }[] {
  return head.nodes.flatMap((node) => {
    const missing = (['status', 'facts'] as const).find((name) => !answers.get(node)?.has(name))
    return missing === undefined ? [] : [{ node, why: errors.get(node)?.get(missing) ?? `its ${missing} is not there` }]
  })
}

/** As findEnds; a name that nobody knows may be that of a pod on a node of which nothing is told. */
async function endsIn(
  bundle: Bundle,
  agents: readonly AgentOfNode[],
  ends: Parameters<typeof findEnds>[1],
): Promise<Probe['pair']> {
  try {
    return (await findEnds(agents, ends)).pair
  } catch (error) {
    const silent = silentNodes(bundle)
    if (!(error instanceof UsageError) || silent.length === 0) throw error
    const reasons = silent.map(({ node, why }) => `${node}: ${why}`).join('; ')
    throw new NotTold(`${error.message}, and of some nodes it tells too little: ${reasons}`)
  }
}

/** What agents left out of the facts of nodes on the way. */
function cutsIn(bundle: Bundle, { there, back }: Predicted['predictions']): { node: string; why: string }[] {
  const nodes = new Set([...there, ...back].map(({ node }) => node))
  return [...nodes].flatMap((node) => (answerIn(bundle, node, 'facts')?.cut ?? []).map((why) => ({ node, why })))
}

/** Rejects with UsageError for ends that there are not, or a file that is no bundle, and with NotTold. */
export async function foretell(path: string, options: TraceOptions): Promise<Foretold> {
  const { agents, bundle } = await bundleAgents(path)
  const { from, to, family, ...wish } = options
  const pair = await endsIn(bundle, agents, { from, to, ...(family && { family }) })
  const named = agents.map((each) => (agents.length === 1 ? { ...each, node: pair.from.node ?? each.node } : each))
  const probe: Probe = { pair, wish, request: probeRequest(pair, wish) }
  if (pair.from.addr === pair.to.addr) throw new UsageError(`${from} and ${to} are the same`)
  const first = await predict(named, probe, endOf(pair.to))
  const translated = first.sender?.translatedTo
  const behind = translated && (await behindOf(named, probe, translated.addr))
  const predicted = behind
    ? await predict(named, probe, { ...endOf(behind), ...(translated.port !== undefined && { port: translated.port }) })
    : first
  const { predictions, silences, sender } = predicted
  const cuts = cutsIn(bundle, predictions)
  return {
    probe,
    madeAtMs: bundle.head.madeAtMs,
    predictions,
    ...(behind && { behind: endOf(behind) }),
    silences: [...silences, ...cuts],
    ...judgeForetold({ probe, to: endOf(behind ?? pair.to), predictions, silences, cuts, leaves: sender?.leaves }),
  }
}
