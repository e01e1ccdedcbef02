// A trace without packets: what the kernels of a bundle's nodes would do with a probe and with its answer.
import { type AgentOfNode } from '#/api/client.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { type Direction, type Prediction, type Step } from '#/trace/types.ts'
import { type End } from '#/trace/verdict.ts'
import { bundleAgents } from './bundle/agents.ts'
import { findEnds } from './trace-ends.ts'
import { type Probe } from './trace-facts.ts'
import { predict } from './trace-predictions.ts'
import { probeRequest } from './trace-probe.ts'
import { type TraceOptions } from './trace-run.ts'

/** `arrives`: and its answer comes back; `ends`: something that was told is in its way; `untold`: a node on the way is not told. */
export type ForetoldOutcome = 'arrives' | 'ends' | 'untold'

export type Foretold = {
  readonly probe: Probe
  readonly madeAtMs: number
  readonly predictions: Readonly<Record<Direction, readonly Prediction[]>>
  /** The end that a Service's address is translated to. */
  readonly behind?: End
  readonly outcome: ForetoldOutcome
  readonly text: string
  /** Where it ends. */
  readonly obstacle?: { readonly node: string; readonly direction: Direction; readonly step: Step }
  readonly silences: readonly { readonly node: string; readonly why: string }[]
}

export const foretoldStatus = ({ outcome }: Foretold): 0 | 1 | 3 =>
  outcome === 'arrives' ? 0 : outcome === 'ends' ? 1 : 3

function firstObstacle(predictions: Foretold['predictions']): Foretold['obstacle'] {
  for (const direction of ['there', 'back'] as const)
    for (const { node, steps } of predictions[direction]) {
      const step = steps.find(({ isObstacle }) => isObstacle)
      if (step) return { node, direction, step }
    }
  return undefined
}

const listText = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`

type Judged = Pick<Foretold, 'outcome' | 'text' | 'obstacle'>

function judged({ predictions, silences }: Pick<Foretold, 'predictions' | 'silences'>): Judged {
  const obstacle = firstObstacle(predictions)
  const isThere = obstacle?.direction === 'there'
  // what is not told of the way there counts as little as what comes behind it
  if (obstacle && (isThere || silences.length === 0)) {
    const { node, step } = obstacle
    const place = [step.pod === undefined ? undefined : `pod ${step.pod}`, step.device].filter(Boolean).join(' ')
    const what = isThere ? 'it would end' : 'it would arrive, and its answer would end'
    return { outcome: 'ends', text: `${what} on ${node}${place === '' ? '' : `, ${place}`}: ${step.text}`, obstacle }
  }
  if (silences.length > 0)
    return { outcome: 'untold', text: silences.map(({ node, why }) => `${node}: ${why}`).join('; ') }
  const nodes = [...new Set([...predictions.there, ...predictions.back].map(({ node }) => node))]
  return {
    outcome: 'arrives',
    text: `it would arrive and be answered: nothing that ${listText(nodes)} told is in its way`,
  }
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

function endOf({ addr, pod, node }: Probe['pair']['to']): End {
  return { addr, ...(pod !== undefined && { pod }), ...(node !== undefined && { node }) }
}

/** Rejects with UsageError for ends that there are not, or a file that is no bundle, and with NotTold. */
export async function foretell(path: string, options: TraceOptions): Promise<Foretold> {
  const { agents, bundle } = await bundleAgents(path)
  const { from, to, family, ...wish } = options
  const { pair } = await findEnds(agents, { from, to, ...(family && { family }) })
  const named = agents.map((each) => (agents.length === 1 ? { ...each, node: pair.from.node ?? each.node } : each))
  const probe: Probe = { pair, wish, request: probeRequest(pair, wish) }
  const first = await predict(named, probe, endOf(pair.to))
  const translated = first.sender?.translatedTo
  const behind = translated && (await behindOf(named, probe, translated.addr))
  const { predictions, silences } = behind
    ? await predict(named, probe, { ...endOf(behind), ...(translated.port !== undefined && { port: translated.port }) })
    : first
  return {
    probe,
    madeAtMs: bundle.head.madeAtMs,
    predictions,
    ...(behind && { behind: endOf(behind) }),
    silences,
    ...judged({ predictions, silences }),
  }
}
