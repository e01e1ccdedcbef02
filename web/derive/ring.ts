// Where nodes stand in the picture: on an ellipse, those of one rack side by side, so that no way between two of them passes behind a third. Pure.
import { byNumberedName } from '#/lib/numbered-names.ts'
import { type NodeRow } from '#/ui/contract.ts'

export type Point = { readonly x: number; readonly y: number }

export type Spot = Point & { readonly name: string; readonly rack?: string; readonly side: 'left' | 'right' }

export type Size = { readonly width: number; readonly height: number }

/** Between racks there is as much room as this many nodes take; in columns it has to hold the name of a rack. */
const gaps = { ring: 0.6, columns: 1.5 }

/** How far ways bend towards the middle. */
const pull = 0.35

/** Racks in the order of their names, those without one last; within a rack the order of the rows. */
export function byRack<T extends Pick<NodeRow, 'rack'>>(
  rows: Iterable<T>,
): (readonly [rack: string | undefined, rows: T[]])[] {
  const groups = [...Map.groupBy(rows, ({ rack }) => rack)]
  return groups.sort(([a], [b]) => (a === undefined ? 1 : b === undefined ? -1 : byNumberedName(a, b)))
}

/** More nodes than this stand in two columns, bent as an ellipse is: on one their names would cover each other. */
const ringNodes = 12

/** How far the ends of the columns are from its middle, as a share of the width. */
const bend = 0.1

/** Of the picture of more than four nodes. */
const leastHeight = 320

type Row = Pick<NodeRow, 'name' | 'rack'>

export const hasColumns = (rows: readonly Row[]): boolean => rows.length > ringNodes

const gapOf = (rows: readonly Row[], racks: number): number =>
  racks < 2 ? 0 : hasColumns(rows) ? gaps.columns : gaps.ring

/** Where each stands, from 0 to 1 on the way around. */
function placesOf(rows: readonly Row[]): (readonly [row: Row, at: number])[] {
  const racks = byRack(rows)
  const gap = gapOf(rows, racks.length)
  const whole = rows.length + gap * racks.length
  let at = gap / 2
  return racks.flatMap(([, own]) => {
    const first = at
    at += own.length + gap
    return own.map((row, index) => [row, (first + index + 0.5) / whole] as const)
  })
}

function onEllipse(at: number, count: number): Point {
  // two stand side by side; of more, none or one is on the very top
  const start = count === 2 ? 0.5 : count % 2 === 0 ? 0 : -0.5 / count
  const angle = 2 * Math.PI * (at + start) - Math.PI / 2
  return { x: Math.cos(angle), y: Math.sin(angle) }
}

/** Down on the right, up on the left. */
function onColumns(at: number): Point {
  const isRight = at < 0.5
  const y = isRight ? at * 4 - 1 : 3 - at * 4
  const x = 1 - 2 * bend * (1 - Math.sqrt(1 - y * y))
  return { x: isRight ? x : -x, y }
}

/** What lies between the outermost fills the picture; where all are alike they stand in its middle. */
function stretched(values: readonly number[], length: number, card: number): number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const room = length - card
  return values.map((value) => card / 2 + (most - least < 1e-6 ? room / 2 : ((value - least) / (most - least)) * room))
}

/** `card`: how large what is drawn of a node is; it stays within the picture. */
export function ringOf(rows: readonly Row[], picture: Size, card: Size): Spot[] {
  const places = placesOf(rows)
  const points = places.map(([, at]) => (hasColumns(rows) ? onColumns(at) : onEllipse(at, rows.length)))
  const xs = stretched(
    points.map(({ x }) => x),
    picture.width,
    card.width,
  )
  const ys = stretched(
    points.map(({ y }) => y),
    picture.height,
    card.height,
  )
  return places.map(([{ name, rack }, at], index) => ({
    name,
    x: xs[index]!,
    y: ys[index]!,
    side: at < 0.5 ? 'right' : 'left',
    ...(rack !== undefined && { rack }),
  }))
}

/** How high the picture has to be. */
export function heightOf(rows: readonly Row[], card: Size): number {
  const count = rows.length
  if (count <= 2) return card.height * 2
  const racks = byRack(rows).length
  if (hasColumns(rows)) return Math.ceil((count + gapOf(rows, racks) * racks) / 2) * (card.height + 6)
  // small cards need room between them too: for ways, and for the names of racks
  return count <= 4 ? card.height * 3.4 : Math.max(card.height * 5.2, leastHeight)
}

/** A curve between two spots that bends towards the middle, and the point half way along it. */
export function curveOf(
  a: Point,
  b: Point,
  { width, height }: Size,
): { readonly path: string; readonly middle: Point } {
  const [cx, cy] = [
    ((a.x + b.x) / 2) * (1 - pull) + (width / 2) * pull,
    ((a.y + b.y) / 2) * (1 - pull) + (height / 2) * pull,
  ]
  const r = (value: number): number => Math.round(value * 10) / 10
  return {
    path: `M${r(a.x)} ${r(a.y)}Q${r(cx)} ${r(cy)} ${r(b.x)} ${r(b.y)}`,
    middle: { x: (a.x + b.x) / 4 + cx / 2, y: (a.y + b.y) / 4 + cy / 2 },
  }
}

/** The smallest polygon around points, from one to the next (Andrew's monotone chain). */
export function hullOf(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y)
  const turn = (o: Point, a: Point, b: Point): number => (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x)
  const half = (all: readonly Point[]): Point[] => {
    const chain: Point[] = []
    for (const point of all) {
      while (chain.length > 1 && turn(chain.at(-2)!, chain.at(-1)!, point) <= 0) chain.pop()
      chain.push(point)
    }
    return chain.slice(0, -1)
  }
  return sorted.length < 3 ? sorted : [...half(sorted), ...half(sorted.toReversed())]
}
