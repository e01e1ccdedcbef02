// A trace as text: a line for each place where the packet was seen, the answer's way below, and the verdict. Pure.
import { table } from '#/lib/table.ts'
import { wrapWords } from '#/lib/wrap.ts'
import { dumpLines } from '#/trace/bytes.ts'
import { headersText } from '#/trace/headers.ts'
import { equalWaysTexts, linesOf, placeVerbs, roundTripMs } from '#/trace/lines.ts'
import { readPacket, type ReadPacket } from '#/trace/packet.ts'
import { kernelWords } from '#/trace/reasons.ts'
import { type Direction, type Prediction, type Sighting, type Step } from '#/trace/types.ts'
import { type End, type Verdict } from '#/trace/verdict.ts'
import { type Hop } from '#/trace/way.ts'
import { type SizedRun } from './trace-sizes.ts'
import { type TriedWay } from './trace-ways.ts'

function whereText({ pod, device, sighting }: Hop): string {
  const of = sighting?.devicePod === undefined ? '' : ` of ${sighting.devicePod}`
  if (pod === undefined) return `${device}${of}`
  return device === '' ? `pod ${pod}` : `pod ${pod} ${device}`
}

function msText(ms: number): string {
  return ms < 0 ? ms.toFixed(3) : Math.max(0, ms).toFixed(3)
}

function readOf({ bytes, startsAt }: Sighting): ReadPacket | undefined {
  return readPacket(Uint8Array.fromHex(bytes), startsAt)
}

type Row = readonly [node: string, where: string, what: string, ms: string, bytes: string, packet: string]

const isSeen = ({ sighting }: Hop): boolean => sighting !== undefined

/** What the hops of one direction say, those behind the first that was not seen left out. */
function rowsOf(hops: readonly Hop[], verdict: Verdict, direction: Direction): Row[] {
  const lines = linesOf(hops, verdict)
  const lastSeen = lines.findLastIndex(({ sighting }) => sighting !== undefined)
  // a drop says more than that it was not seen behind it
  const isCut = verdict.direction === direction && verdict.next !== undefined && verdict.drop === undefined
  // what refuses a probe may be anywhere on the way: the answer has not passed what is before it
  const start = verdict.outcome === 'refused' && direction === 'back' ? lines.findIndex(isSeen) : 0
  let before: ReadPacket | undefined
  let node = ''
  let firstMs: number | undefined
  return lines.slice(Math.max(0, start), isCut ? lastSeen + 2 : lastSeen + 1).map((hop, index): Row => {
    const { sighting } = hop
    const isNewNode = hop.node !== node
    node = hop.node
    const name = isNewNode ? node : ''
    if (isNewNode) firstMs = undefined
    if (sighting === undefined) {
      const isLost = index + Math.max(0, start) > lastSeen
      return [name, whereText(hop), isLost ? 'NO' : 'not shown', '', '', '']
    }
    // the first line of a node may be of a place where it was not shown
    firstMs ??= sighting.timeMs
    const read = readOf(sighting)
    const headers = read === undefined ? '' : headersText(read, before)
    before = read ?? before
    const why = sighting.drop && kernelWords(sighting.drop)
    return [
      name,
      whereText(hop),
      placeVerbs[hop.place],
      msText(sighting.timeMs - firstMs),
      String(sighting.lengthBytes),
      [why, headers].filter(Boolean).join('; '),
    ]
  })
}

const columns = ['NODE', 'DEVICE', 'SEEN', 'MS', 'BYTES', 'PACKET'] as const

function wayText(title: string, rows: readonly Row[], width: number): string[] {
  return rows.length === 0 ? [] : [`${title}\n${table(columns, rows, { width })}`]
}

function endText({ addr, pod, node, cidrNode }: End & { readonly hostPod?: string }): string {
  if (cidrNode !== undefined) return `${addr} (of a pod CIDR of ${cidrNode}, and of no pod that is known)`
  if (pod !== undefined) return `pod ${pod} (${addr}${node === undefined ? '' : ` on ${node}`})`
  return node === undefined ? addr : `${node} (${addr})`
}

export function titleOf({ probe: { pair, wish, request }, behind }: Pick<SizedRun, 'probe' | 'behind'>): string {
  const { protocol } = wish
  const what =
    protocol === 'icmp'
      ? 'ICMP echo'
      : `${protocol.toUpperCase()}${protocol === 'tcp' ? ' SYN' : ''} to port ${request.port}`
  const size = wish.sizeBytes === undefined ? '' : ` of ${wish.sizeBytes} bytes, not to be fragmented`
  const via = behind === undefined ? '' : `, which is ${endText(behind)} behind it`
  return `${what}${size}: ${endText(pair.from)} → ${endText(pair.to)}${via}`
}

export const hanging = (text: string, start: string, width: number): string =>
  wrapWords(text, width === Infinity ? Infinity : width - 2)
    .map((line, index) => (index === 0 ? start : ' '.repeat(Math.max(2, start.length))) + line)
    .join('\n')

const marks: Readonly<Record<Verdict['outcome'], string>> = {
  answered: 'answered',
  closed: 'closed',
  refused: 'refused',
  'not-sent': 'NOT SENT',
  lost: 'LOST',
  taken: 'taken',
  unanswered: 'NO ANSWER',
  'answer-lost': 'ANSWER LOST',
  untold: 'NOT KNOWN',
}

export function verdictText({ outcome, text, code, remedy }: Verdict, width: number): string {
  const line = outcome === 'answered' ? text : `${marks[outcome]}: ${text}${code === undefined ? '' : ` [${code}]`}`
  return [hanging(line, '', width), ...(remedy === undefined ? [] : [hanging(`remedy: ${remedy}`, '', width)])].join(
    '\n',
  )
}

function stepLine({ kind, text, device, pod, code }: Step): string {
  const where = [pod, device].filter(Boolean).join(' ')
  return `${kind}${where === '' ? '' : ` ${where}`}: ${text}${code === undefined ? '' : ` [${code}]`}`
}

export function predictionText(title: string, predictions: readonly Prediction[], width: number): string[] {
  return predictions
    .filter(({ steps }) => steps.length > 0)
    .map(({ node, steps }) =>
      [`${title}, ${node}`, ...steps.map((step) => hanging(stepLine(step), step.isObstacle ? '✗ ' : '  ', width))].join(
        '\n',
      ),
    )
}

function roundTrip({ hops, verdict, fullBytes }: SizedRun): string {
  if (verdict.outcome !== 'answered') return ''
  const ms = roundTripMs(hops.there, hops.back)
  const time = ms === undefined ? '' : ` after ${ms.toFixed(3)} ms`
  return fullBytes === undefined ? time : `${time}; also with ${fullBytes} bytes, the largest that its kernel sends`
}

function waysText({ facts: { predictions } }: SizedRun, width: number): string[] {
  const lines = equalWaysTexts(predictions)
  return lines.length === 0 ? [] : [lines.map((line) => hanging(line, '', width)).join('\n')]
}

function triedText(ways: readonly TriedWay[]): string {
  const rows = ways.map(({ way, outcome, sourcePorts }) => [String(sourcePorts.length), marks[outcome], way])
  return table(['PROBES', 'OUTCOME', 'WAY'], rows)
}

type TextOptions = {
  readonly width: number
  readonly hasSteps: boolean
  readonly hasBytes?: boolean
}

/** The bytes of each line of one direction, taken apart; where they are as before, once. */
function dumpText(title: string, hops: readonly Hop[], verdict: Verdict): string[] {
  let before = ''
  return linesOf(hops, verdict).flatMap((hop) => {
    const { node, place, sighting } = hop
    if (sighting === undefined) return []
    const isSame = sighting.bytes === before
    before = sighting.bytes
    const head = `${title}, ${node} ${whereText(hop)} ${placeVerbs[place]}`
    return [isSame ? `${head}: the same bytes` : [head, ...dumpLines(sighting)].join('\n')]
  })
}

export function renderTrace(run: SizedRun, { width, hasSteps, hasBytes = false }: TextOptions): string {
  const { hops, verdict, facts, notes, blind } = run
  const steps = hasSteps
    ? [
        ...predictionText('expected', facts.predictions.there, width),
        ...predictionText('expected of the answer', facts.predictions.back, width),
      ]
    : []
  const told = verdictText({ ...verdict, text: `${verdict.text}${roundTrip(run)}` }, width)
  const doubts = [...blind.map(({ node, why }) => `${node} does not watch: ${why}`), ...notes].map((note) =>
    hanging(note, '! ', width),
  )
  return [
    titleOf(run),
    ...steps,
    ...(hasBytes ? [...dumpText('the probe', hops.there, verdict), ...dumpText('the answer', hops.back, verdict)] : []),
    ...wayText('the probe', rowsOf(hops.there, verdict, 'there'), width),
    ...wayText('the answer', rowsOf(hops.back, verdict, 'back'), width),
    ...(run.ways ? [triedText(run.ways)] : waysText(run, width)),
    ...(doubts.length > 0 ? [doubts.join('\n')] : []),
    told,
  ].join('\n\n')
}
