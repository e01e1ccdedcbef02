// Where on the ladder a packet would end, as the nodes of a bundle say.
import { type Direction, type Step } from '../types.ts'
import { type Hop } from '../way.ts'
import { type EndMark, endWords, type Where } from './end-mark.ts'
import { type PageTrace } from './input.ts'

const unknown: EndMark = { kind: 'unknown', words: 'the next node is not in the bundle, or does not say' }

/** `steps`: of each line. `hasMore`: another node follows behind those of the lines. */
export function foretoldMark(
  { outcome, direction: endsIn, endsAt }: PageTrace['verdict'],
  direction: Direction,
  lines: readonly Hop[],
  steps: readonly (readonly Step[])[],
  hasMore: boolean,
): Where {
  const behind = lines.length - 1
  if (outcome === 'untold') return hasMore && behind >= 0 ? { wire: { behind, mark: unknown } } : {}
  if (outcome === 'closed' && direction === 'there' && behind >= 0)
    return { station: { index: behind, mark: { kind: 'dead', words: endWords[outcome] } } }
  if (outcome !== 'ends') return {}
  if (endsIn === 'there' && direction === 'back') return { isNever: true }
  if (endsIn !== direction) return {}
  const mark: EndMark = { kind: 'dead', title: 'Would end here', words: endWords[outcome] }
  const index = steps.findIndex((each) => each.some(({ isObstacle }) => isObstacle))
  if (index >= 0) return { station: { index, mark } }
  return endsAt === undefined ? { start: mark } : { node: { node: endsAt.node, mark } }
}
