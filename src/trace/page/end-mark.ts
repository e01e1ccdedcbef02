// Where on the ladder the packet ends, as the verdict says.
import { isTunnel } from '../gap.ts'
import { kernelWords } from '../reasons.ts'
import { type Direction } from '../types.ts'
import { type Hop } from '../way.ts'
import { type PageTrace } from './input.ts'

/** dead: it ends here. astray: it was seen further on, where it was not to be. unknown: nobody knows what became of it from here on. */
export type EndMark = {
  readonly kind: 'dead' | 'astray' | 'unknown'
  /** Absent: that of the kind. */
  readonly title?: string
  readonly words: string
}

/** At most one of them. Indexes are of lines. */
export type Where = {
  readonly start?: EndMark
  /** There would be none in this direction. */
  readonly isNever?: true
  /** On a node that has no place for it. */
  readonly node?: { readonly node: string; readonly mark: EndMark }
  readonly station?: { readonly index: number; readonly mark: EndMark }
  readonly wire?: { readonly behind: number; readonly mark: EndMark }
}

type Verdict = PageTrace['verdict']

/** What is said where it ends. */
export const endWords: Readonly<Record<Verdict['outcome'], string>> = {
  answered: '',
  arrives: '',
  ends: 'it would get no further',
  closed: 'no process listens here',
  refused: 'refused',
  'not-sent': 'the kernel did not send it',
  lost: 'lost from here on',
  taken: 'a process has it, and did not answer in time',
  unanswered: 'it arrived, and no answer left',
  'answer-lost': 'the answer is lost from here on',
  untold: 'nobody watched what became of it',
}

export function isSamePlace(a: Hop, b: Pick<Hop, 'node' | 'device' | 'pod'>): boolean {
  return a.node === b.node && a.device === b.device && a.pod === b.pod
}

function isAt(line: Hop, hop: Hop): boolean {
  return isSamePlace(line, hop) && line.place === hop.place
}

/** The line of the drop itself, or that of the place where it was seen just before. */
function dropIndex(lines: readonly Hop[], { node, device = '', pod }: NonNullable<Verdict['drop']>): number {
  const at = { node, device, ...(pod !== undefined && { pod }) }
  return lines.findLastIndex((line) => line.sighting !== undefined && isSamePlace(line, at))
}

/** In which direction it ends: an answer that was not sent ends where the probe does. */
function endsIn({ outcome, direction }: Verdict): Direction {
  return outcome === 'answer-lost' || (outcome === 'untold' && direction === 'back') ? 'back' : 'there'
}

const isUnknown = (outcome: string): boolean => outcome === 'untold' || outcome === 'taken'

/** A bridge that does not know where a MAC is gives copies to other pods. */
function isOwn({ sighting, pod }: Hop, lines: readonly Hop[]): boolean {
  return sighting !== undefined && (pod === undefined || lines.some((line) => line.isExpected && line.pod === pod))
}

const isLoss = (outcome: string): boolean => outcome === 'lost' || outcome === 'answer-lost'

/** `hasMore`: another node follows behind those of the lines. */
export function endMark(verdict: Verdict, direction: Direction, lines: readonly Hop[], hasMore: boolean): Where {
  const { outcome, drop, lastSeen } = verdict
  if (outcome === 'answered' || endsIn(verdict) !== direction) return {}
  const mark: EndMark = { kind: isUnknown(outcome) ? 'unknown' : 'dead', words: endWords[outcome] }
  if (drop !== undefined) {
    const index = dropIndex(lines, drop)
    const why = drop.drop && kernelWords(drop.drop)
    const said = outcome === 'closed' || why === undefined ? endWords[outcome] : `dropped: ${why}`
    if (index >= 0) return { station: { index, mark: { kind: 'dead', words: said } } }
  }
  // what was seen of it is a copy
  if (isLoss(outcome) && lastSeen === undefined) return { start: { kind: 'dead', words: 'it was not seen at all' } }
  const seen = lines.findLastIndex(({ sighting }) => sighting !== undefined)
  const told = lastSeen === undefined ? -1 : lines.findLastIndex((line) => isAt(line, lastSeen))
  const index = told >= 0 ? told : seen
  const line = lines[index]
  if (outcome === 'not-sent' || line === undefined) return { start: mark }
  if (isLoss(outcome) && lines.slice(index + 1).some((each) => isOwn(each, lines)))
    return { station: { index, mark: { kind: 'astray', words: 'it went on where it was not expected' } } }
  const next = lines.slice(index + 1).find(({ isExpected }) => isExpected)
  const goesOn = next === undefined ? hasMore : next.node !== line.node
  const hasLeft = line.place === 'transmit' && line.pod === undefined && !isTunnel(line.device) && goesOn
  if (!hasLeft || outcome === 'unanswered') return { station: { index, mark } }
  const between = outcome === 'refused' ? 'refused here, or further on' : 'lost between the nodes'
  return { wire: { behind: index, mark: outcome === 'untold' ? mark : { kind: 'dead', words: between } } }
}
