// Clocks of nodes compared, with the bounds that a request and its answer give. Pure.
import { problem } from '#/model/problems.ts'
import { type NodeAnswers, type Sign } from './types.ts'

/** Certificates, leases and tokens bear less than some minutes; what people compare in logs bears less than this. */
const bearableMs = 2_000

/** How far a clock is ahead of the asker's: between these. */
type Bounds = { readonly node: string; readonly least: number; readonly most: number }

function boundsOf({ node, facts, askedMs, answeredMs }: NodeAnswers): Bounds[] {
  if (facts === undefined || askedMs === undefined || answeredMs === undefined) return []
  return [{ node, least: facts.nowMs - answeredMs, most: facts.nowMs - askedMs }]
}

const middleOf = ({ least, most }: Bounds): number => (least + most) / 2

/** The one in the middle of all clocks, the asker's among them: half of the others are before it, half behind. */
function middleClock(all: readonly Bounds[]): Bounds {
  const sorted = [...all, { node: '', least: 0, most: 0 }].toSorted((one, other) => middleOf(one) - middleOf(other))
  return sorted[Math.floor(sorted.length / 2)]!
}

function secondsText(ms: number): string {
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} min` : `${(ms / 1000).toFixed(1)} s`
}

export function clockSigns(answers: readonly NodeAnswers[]): Sign[] {
  const all = answers.flatMap(boundsOf)
  const middle = middleClock(all)
  return all.flatMap((bounds) => {
    const { node } = bounds
    const ahead = bounds.least - middle.most
    const behind = middle.least - bounds.most
    const byMs = Math.max(ahead, behind)
    if (byMs <= bearableMs) return []
    const message = `its clock is at least ${secondsText(byMs)} ${ahead > behind ? 'ahead of' : 'behind'} those of most others`
    return [{ ...problem('CW6301', `node/${node}`, message), nodes: [node], extent: { at: node } }]
  })
}
