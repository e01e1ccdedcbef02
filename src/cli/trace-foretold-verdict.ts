// What the predictions of a bundle's nodes come to. Nothing is said to arrive that no node says it would have. Pure.
import { type TracePrediction } from '#/api/schemas/trace-predict.ts'
import { isClosedPort } from '#/predict/pods.ts'
import { type Direction, type Prediction, type Step } from '#/trace/types.ts'
import { type End } from '#/trace/verdict.ts'
import { type Probe } from './trace-facts.ts'

/**
 * `arrives`: and its answer comes back; `closed`: it arrives, and no process waits for it; `ends`: something that was told is in its way; `untold`:
 * something on the way is not told.
 */
export type ForetoldOutcome = 'arrives' | 'closed' | 'ends' | 'untold'

type Untold = readonly { readonly node: string; readonly why: string }[]

export type ForetoldInput = {
  readonly probe: Pick<Probe, 'wish'>
  /** Who answers. */
  readonly to: End
  readonly predictions: Readonly<Record<Direction, readonly Prediction[]>>
  /** The nodes on the way that say nothing. */
  readonly silences: Untold
  /** What nodes on the way have more of than they tell. */
  readonly cuts: Untold
  /** How it leaves the sender's node. */
  readonly leaves: TracePrediction['leaves']
}

export type ForetoldVerdict = {
  readonly outcome: ForetoldOutcome
  readonly text: string
  readonly remedy?: string
  readonly obstacle?: { readonly node: string; readonly direction: Direction; readonly step: Step }
}

function firstObstacle(predictions: ForetoldInput['predictions']): ForetoldVerdict['obstacle'] {
  for (const direction of ['there', 'back'] as const)
    for (const { node, steps } of predictions[direction]) {
      const step = steps.find(({ isObstacle }) => isObstacle)
      if (step) return { node, direction, step }
    }
  return undefined
}

/** Without some of these another route may be found than the kernel finds. */
const isOfLookups = ({ why }: Untold[number]): boolean =>
  /^\d+ (links|addresses|routes|rules)( of pod \S+)? are /.test(why)

const listText = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`

const untoldText = (untold: Untold): string => untold.map(({ node, why }) => `${node}: ${why}`).join('; ')

function endsAt(obstacle: NonNullable<ForetoldVerdict['obstacle']>): ForetoldVerdict {
  const { node, step, direction } = obstacle
  const { code: _, remedy } = step
  const place = [step.pod === undefined ? undefined : `pod ${step.pod}`, step.device].filter(Boolean).join(' ')
  const what = direction === 'there' ? 'it would end' : 'it would arrive, and its answer would end'
  const text = `${what} on ${node}${place === '' ? '' : `, ${place}`}: ${step.text}`
  return { outcome: 'ends', text, ...(remedy !== undefined && { remedy }), obstacle }
}

/** The last node hands it on to somebody of whom the bundle does not tell. */
function leftText({ to: { addr }, predictions, leaves }: ForetoldInput): string {
  const node = predictions.there.at(-1)?.node ?? 'the node'
  const by = leaves === undefined ? '' : ` by ${leaves.device}`
  const into = leaves?.outerDst === undefined ? '' : `, in a tunnel to ${leaves.outerDst}`
  return `it would leave ${node}${by}${into}: no pod, no node and no pod CIDR that the bundle tells of has ${addr}`
}

export function judgeForetold(input: ForetoldInput): ForetoldVerdict {
  const { probe, predictions, silences, cuts } = input
  const obstacle = firstObstacle(predictions)
  if (cuts.some(isOfLookups)) return { outcome: 'untold', text: untoldText(cuts) }
  // what is not told of the way there counts as little as what comes behind it
  if (obstacle && (obstacle.direction === 'there' || silences.length === 0)) return endsAt(obstacle)
  if (silences.length > 0) return { outcome: 'untold', text: untoldText(silences) }
  const arrival = predictions.there.at(-1)
  const last = arrival?.steps.at(-1)
  if (arrival === undefined || last?.kind !== 'deliver') return { outcome: 'untold', text: leftText(input) }
  if (cuts.length > 0) return { outcome: 'untold', text: untoldText(cuts) }
  const { protocol, port } = probe.wish
  if (port !== undefined && isClosedPort(last))
    return {
      outcome: 'closed',
      text: `it would arrive and be answered: ${last.text.replace('this node', arrival.node)}`,
      remedy: 'start what is to listen there, or ask for another port; the way itself is whole in both directions',
    }
  const nodes = listText([...new Set([...predictions.there, ...predictions.back].map(({ node }) => node))])
  const ofProcess = protocol === 'udp' && port !== undefined && !isClosedPort(last)
  const arrives = ofProcess ? 'it would come to a process, and an answer back' : 'it would arrive and be answered'
  return { outcome: 'arrives', text: `${arrives}: nothing that ${nodes} told is in its way` }
}
