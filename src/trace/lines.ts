// What of a way is told to people: a line for each device. Text and page tell the same.
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
