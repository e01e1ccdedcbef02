// A way may carry small packets and lose large ones, and nobody tells the sender: so the other size is tried as well, where it says more.
import { type AgentOfNode } from '#/api/client.ts'
import { type TriedWay } from './trace-ways.ts'
import { askSoon } from './trace-ask.ts'
import { type Again, type TraceOptions, type TraceRun, withTrace } from './trace-run.ts'

/** No way carries it, and the kernel answers with the size that it would send. */
const tooLargeBytes = 65_535

/** The largest packet that the sender's kernel sends there; undefined where it does not say. */
async function largestBytes(
  agents: readonly AgentOfNode[],
  { probe: { pair, request } }: TraceRun,
): Promise<number | undefined> {
  const sender = agents.find(({ node }) => node === pair.from.node)
  if (sender === undefined) return undefined
  const outcome = await askSoon(sender, 'traceSend', { ...request, sizeBytes: tooLargeBytes })
  return outcome.kind === 'answer' ? outcome.value.refused?.mtuBytes : undefined
}

export type SizedRun = TraceRun & {
  /** A packet of the largest size that the sender's kernel sends was answered too. */
  readonly fullBytes?: number
  /** The ways that several probes took, where several were sent. */
  readonly ways?: readonly TriedWay[]
}

function withWords(run: TraceRun, words: string, remedy?: string): SizedRun {
  const { verdict } = run
  return { ...run, verdict: { ...verdict, text: `${verdict.text}; ${words}`, ...(remedy !== undefined && { remedy }) } }
}

function mtuRemedy({ facts: { from, to } }: TraceRun, sizeBytes: number): string {
  const nodes = [from.node, to.node ?? to.addr].filter((each) => each !== undefined)
  return `between ${nodes.join(' and ')} the MTU is smaller than the devices of the nodes say: lower the MTU of those, or raise that of the links and routers between, until a packet of ${sizeBytes} bytes fits with its outer headers`
}

const mayBeGuessed = ({ drop, code }: TraceRun['verdict']): boolean => drop === undefined && code === undefined

/** Large ones were asked for and are lost: whether small ones are lost too tells a wrong MTU from a broken way. */
async function whetherSmallPass(run: TraceRun, sizeBytes: number, again: Again): Promise<SizedRun> {
  const other = await again()
  if (other.verdict.outcome !== 'answered') return withWords(run, 'a small packet gets no answer either')
  // what the kernel says of the loss is better than the guess
  const remedy = mayBeGuessed(run.verdict) ? mtuRemedy(run, sizeBytes) : undefined
  return withWords(run, `a small packet is answered, one of ${sizeBytes} bytes is not`, remedy)
}

/** The sender's own node has told it that the packet is too large, as where a tunnel of others has less room than their pods think. */
const isToldBySender = ({ verdict: { outcome, code, drop }, facts: { from } }: TraceRun): boolean =>
  outcome === 'refused' && code === undefined && drop?.node === from.node

/** Small ones are answered: it is tried whether the largest that the sender's kernel sends are too. */
async function whetherLargePass(agents: readonly AgentOfNode[], run: TraceRun, again: Again): Promise<SizedRun> {
  const sizeBytes = await largestBytes(agents, run)
  if (sizeBytes === undefined) return run
  const other = await again(sizeBytes)
  if (other.verdict.outcome === 'answered') return { ...run, fullBytes: sizeBytes }
  const heeded = isToldBySender(other) ? await largestBytes(agents, run) : undefined
  // a kernel that is told by its own node what fits sends no larger ones from then on
  if (heeded !== undefined && heeded < sizeBytes && (await again(heeded)).verdict.outcome === 'answered')
    return { ...run, fullBytes: heeded }
  const remedy = mayBeGuessed(other.verdict) ? mtuRemedy(run, sizeBytes) : undefined
  return withWords(other, `a small packet is answered, one of ${sizeBytes} bytes is not`, remedy)
}

/** A trace; where packets go from one node to another, the other size is tried too. */
export async function runSizes(agents: readonly AgentOfNode[], options: TraceOptions): Promise<SizedRun> {
  const { protocol, sizeBytes } = options
  return await withTrace(agents, options, async (run, again) => {
    const { facts, verdict, blind } = run
    const isBetweenNodes = facts.to.node !== undefined && facts.to.node !== facts.from.node
    if (!isBetweenNodes || protocol !== 'icmp' || blind.length > 0) return run
    if (sizeBytes === undefined) return verdict.outcome === 'answered' ? whetherLargePass(agents, run, again) : run
    const isLost = verdict.outcome === 'lost' || verdict.outcome === 'answer-lost' || verdict.outcome === 'unanswered'
    return isLost ? whetherSmallPass(run, sizeBytes, again) : run
  })
}
