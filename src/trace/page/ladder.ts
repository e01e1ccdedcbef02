// A trace as a ladder: the places of each direction, grouped by node and by namespace in the order of the way, with what was expected of each, and
// the one place where the packet ends.
import { layersOf } from '../bytes.ts'
import { headersText } from '../headers.ts'
import { linesOf } from '../lines.ts'
import { readPacket, type ReadPacket } from '../packet.ts'
import { type Direction, type Sighting, type Step } from '../types.ts'
import { type End, goalNode } from '../verdict.ts'
import { type Hop } from '../way.ts'
import { foretoldMark } from './foretold-mark.ts'
import { isForetold, type PageTrace } from './input.ts'
import { endMark, type EndMark, isSamePlace, type Where } from './end-mark.ts'
import { stepsByLine } from './steps.ts'

/**
 * seen: as expected. stray: where it was not expected. passed: not shown, but it was seen behind. missing: not seen, nor behind. foretold: it would come
 * here; barred: it would not get here.
 */
export type StationState = 'seen' | 'stray' | 'passed' | 'missing' | 'foretold' | 'barred'

type Layers = ReturnType<typeof layersOf>

export type Station = {
  readonly id: string
  readonly hop: Hop
  readonly state: StationState
  /** Since the first place of the same node in this direction. */
  readonly sinceMs?: number
  readonly layers: Layers
  /** The last place before at which it was seen. */
  readonly before?: Station
  /** What is other than there, in words. */
  readonly change: string
  readonly steps: readonly Step[]
  /** The packet ends here. */
  readonly mark?: EndMark
}

export type Group = { readonly pod?: string; readonly stations: readonly Station[] }

export type Leg = {
  /** Absent: outside of the cluster, where nobody looks. */
  readonly node?: string
  readonly groups: readonly Group[]
  /** What is expected of a node that has no place for the packet. */
  readonly steps: readonly Step[]
}

export type Ladder = {
  readonly direction: Direction
  readonly legs: readonly Leg[]
  readonly expectedCount: number
  readonly seenCount: number
  /** It ended on the node of this leg, at none of its places. */
  readonly legMark?: { readonly leg: number; readonly mark: EndMark }
  /** It ended behind the leg of this index, between the nodes. */
  readonly wireMark?: { readonly behind: number; readonly mark: EndMark }
}

/** The sightings of a saved trace are other objects than that of its verdict. */
function isSame(a: Sighting | undefined, b: Sighting | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.node === b.node &&
    a.timeMs === b.timeMs &&
    a.place === b.place &&
    a.skb === b.skb
  )
}

const isSeen = ({ sighting }: Hop): boolean => sighting !== undefined

const isDrop = ({ place }: Hop): boolean => place === 'drop'

/** Where it was seen and then dropped is one place. */
function withoutOwnDrops(lines: readonly Hop[]): Hop[] {
  return lines.filter((line, index) => {
    const before = lines[index - 1]
    return !(isDrop(line) && before?.sighting !== undefined && isSamePlace(before, line))
  })
}

function linesIn(trace: PageTrace, direction: Direction): Hop[] {
  const { verdict } = trace
  const hops = trace[direction]
  const drop = hops.find(({ sighting }) => isSame(sighting, verdict.drop))?.sighting
  const lines = withoutOwnDrops(linesOf(hops, drop === undefined ? {} : { drop }))
  if (verdict.outcome !== 'refused' || direction === 'there') return lines
  // what refuses a probe may be anywhere on the way: the places around what was seen are those of an answer that there was not
  return lines.slice(Math.max(0, lines.findIndex(isSeen)), lines.findLastIndex(isSeen) + 1)
}

function readOf({ bytes, startsAt }: Sighting): ReadPacket | undefined {
  return readPacket(Uint8Array.fromHex(bytes), startsAt)
}

function hopLimitText(now: ReadPacket, before: ReadPacket | undefined): string {
  const [is, was] = [now.packet.hops, before?.packet.hops]
  if (was === undefined || was === is) return ''
  return `${now.packet.src.family === 4 ? 'TTL' : 'hop limit'} ${was} → ${is}`
}

function changeText(sighting: Sighting, before: Sighting | undefined): string {
  const [now, was] = [readOf(sighting), before && readOf(before)]
  if (now === undefined) return ''
  return [headersText(now, was), hopLimitText(now, was)].filter(Boolean).join(', ')
}

/** Where nothing was expected, nothing is where it was not expected. */
function stateOf({ isExpected, sighting }: Hop, isBehindLast: boolean, hasWay: boolean): StationState {
  if (sighting !== undefined) return isExpected || !hasWay || sighting.place === 'read' ? 'seen' : 'stray'
  return isBehindLast ? 'missing' : 'passed'
}

function foretoldState(index: number, { start, node, station, isNever }: Where): StationState {
  return isNever || start || node || index > (station?.index ?? Infinity) ? 'barred' : 'foretold'
}

type Told = {
  readonly direction: Direction
  readonly isOfBundle: boolean
  readonly steps: readonly (readonly Step[])[]
  readonly marks: Where
}

function stationsOf(lines: readonly Hop[], { direction, isOfBundle, steps, marks }: Told): Station[] {
  // who is seen where nobody was expected may have come another way
  const lastSeen = lines.findLastIndex((line) => isSeen(line) && line.isExpected)
  const hasWay = lines.some(({ isExpected }) => isExpected)
  const firstMs = new Map<string, number>()
  let before: Station | undefined
  return lines.map((hop, index): Station => {
    const { sighting, node } = hop
    if (sighting !== undefined && !firstMs.has(node)) firstMs.set(node, sighting.timeMs)
    const station: Station = {
      id: `${direction}-${index + 1}`,
      hop,
      state: isOfBundle ? foretoldState(index, marks) : stateOf(hop, index > lastSeen, hasWay),
      layers: sighting === undefined ? [] : layersOf(sighting),
      change: sighting === undefined ? '' : changeText(sighting, before?.hop.sighting),
      steps: steps[index] ?? [],
      ...(sighting && { sinceMs: sighting.timeMs - firstMs.get(node)! }),
      ...(before && { before }),
      ...(marks.station?.index === index && { mark: marks.station.mark }),
    }
    if (sighting !== undefined) before = station
    return station
  })
}

/** Runs of the same key, in order. */
function runs<T>(all: readonly T[], keyOf: (each: T) => string | undefined): T[][] {
  const found: T[][] = []
  let key: string | undefined
  for (const each of all) {
    const own = keyOf(each)
    if (found.length === 0 || own !== key) found.push([])
    found.at(-1)!.push(each)
    key = own
  }
  return found
}

function legOf(stations: readonly Station[]): Leg {
  const groups = runs(stations, ({ hop }) => hop.pod).map((each): Group => {
    const { pod } = each[0]!.hop
    return { ...(pod !== undefined && { pod }), stations: each }
  })
  return { node: stations[0]!.hop.node, groups, steps: [] }
}

/** An end that no node has, and nodes that have no place for the packet: these may say why. */
function emptyLegs(trace: PageTrace, direction: Direction): Readonly<Record<'before' | 'after', Leg[]>> {
  const { probe, behind } = trace
  const known = new Set<string | undefined>(trace[direction].map(({ node }) => node))
  const silent = trace.predictions[direction]
    .filter(({ node, steps }) => steps.length > 0 && !known.has(node))
    .map(({ node, steps }): Leg => ({ node, groups: [], steps }))
  for (const { node } of silent) known.add(node)
  const legOfEnd = (end: End): Leg[] => {
    const node = goalNode(end)
    return known.size === 0 || known.has(node) ? [] : [{ ...(node !== undefined && { node }), groups: [], steps: [] }]
  }
  const to = behind ?? probe.to
  const [source, goal] = direction === 'there' ? [probe.from, to] : [to, probe.from]
  return { before: legOfEnd(source), after: [...silent, ...legOfEnd(goal)] }
}

/** One direction of a trace; undefined where there is nothing to tell of it. */
export function ladderOf(trace: PageTrace, direction: Direction): Ladder | undefined {
  const lines = linesIn(trace, direction)
  const { before, after } = emptyLegs(trace, direction)
  const steps = stepsByLine(lines, trace.predictions[direction])
  const isOfBundle = isForetold(trace)
  const marks = isOfBundle
    ? foretoldMark(trace.verdict, direction, lines, steps, after.length > 0)
    : endMark(trace.verdict, direction, lines, after.length > 0)
  const stations = stationsOf(lines, { direction, isOfBundle, steps, marks })
  const legs = [...before, ...runs(stations, ({ hop }) => hop.node).map(legOf), ...after]
  if (legs.length === 0) return undefined
  const expected = stations.filter(({ hop }) => hop.isExpected)
  return {
    direction,
    legs,
    expectedCount: expected.length,
    seenCount: expected.filter(({ hop }) => isSeen(hop)).length,
    ...(marks.start && { legMark: { leg: 0, mark: marks.start } }),
    ...(marks.node && {
      legMark: {
        leg: Math.max(
          0,
          legs.findIndex(({ node }) => node === marks.node!.node),
        ),
        mark: marks.node.mark,
      },
    }),
    ...(marks.wire && { wireMark: { behind: legIndexOf(legs, lines[marks.wire.behind]!), mark: marks.wire.mark } }),
  }
}

function legIndexOf(legs: readonly Leg[], line: Hop): number {
  return legs.findIndex(({ groups }) => groups.some(({ stations }) => stations.some(({ hop }) => hop === line)))
}
