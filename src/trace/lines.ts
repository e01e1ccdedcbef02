// What of a way is told to people: a line for each device. Text and page tell the same.
import { hopText } from './predict-route.ts'
import { type Direction, type EqualWays, type Prediction } from './types.ts'
import { type Verdict } from './verdict.ts'
import { type Hop } from './way.ts'

/** What a packet does at a place. */
export const placeVerbs = { receive: 'in', queue: 'queued', transmit: 'out', read: 'taken', drop: 'DROPPED' } as const

/**
 * Of the two moments in which a device sends a packet the later one, where both were seen. Drops of copies, and of what has arrived and nobody
 * reads, are none.
 */
export function linesOf(all: readonly Hop[], { drop }: Pick<Verdict, 'drop'>): Hop[] {
  const hops = all.filter(({ place, sighting }) => place !== 'drop' || sighting === drop)
  return hops.filter((hop, index) => {
    const next = hops[index + 1]
    const isSentNext =
      next !== undefined && next.place === 'transmit' && next.device === hop.device && next.pod === hop.pod
    return !(hop.place === 'queue' && isSentNext && (next.sighting !== undefined) === (hop.sighting !== undefined))
  })
}

const microsecond = 0.001

/** From the sending to the answer. Clocks of nodes differ: undefined where not one clock has told both. */
export function roundTripMs(there: readonly Hop[], back: readonly Hop[]): number | undefined {
  const [first, last] = [there[0]?.sighting, back.findLast(({ sighting }) => sighting !== undefined)?.sighting]
  if (first === undefined || last === undefined || first.node !== last.node) return undefined
  const ms = last.timeMs - first.timeMs
  return ms < microsecond ? undefined : ms
}

function equalWaysText(node: string, { hops, chosenBy }: EqualWays): string {
  const [taken] = hops.filter((hop) => hop.isChosen).map(hopText)
  const others = hops.filter((hop) => !hop.isChosen).map(hopText)
  const rest =
    chosenBy === 'addresses'
      ? 'the kernel chooses by the addresses: all packets between these two go so'
      : 'other connections may take another: --ways tries them'
  return `${node} has ${hops.length} equal ways: ${taken}, which this packet takes, and ${others.join(', ')}; ${rest}`
}

/** What nodes say of equal ways: this packet takes one of them. */
export function equalWaysTexts({ there, back }: Readonly<Record<Direction, readonly Prediction[]>>): string[] {
  const texts = [...there, ...back].flatMap(({ node, steps }) =>
    steps.flatMap(({ ways }) => (ways === undefined ? [] : [equalWaysText(node, ways)])),
  )
  return [...new Set(texts)]
}
