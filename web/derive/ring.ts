// Where nodes stand in the picture: on an ellipse, those of one rack side by side, so that no way between two of them passes behind a third. Pure.
import { type NodeRow } from '#/ui/contract.ts'

export type Point = { readonly x: number; readonly y: number }

export type Spot = Point & {
  readonly name: string
  readonly rack?: string
  /** From the middle, radians. */ readonly angle: number
}

export type Size = { readonly width: number; readonly height: number }

/** Between racks there is as much room as this many nodes take. */
const gapNodes = 0.6

/** Racks in the order of their names, those without one last; within a rack the order of the rows. */
export function byRack<Row extends Pick<NodeRow, 'rack'>>(
  rows: Iterable<Row>,
): (readonly [rack: string | undefined, rows: Row[]])[] {
  const groups = [...Map.groupBy(rows, ({ rack }) => rack)]
  const compare = new Intl.Collator('en', { numeric: true }).compare
  return groups.sort(([a], [b]) => (a === undefined ? 1 : b === undefined ? -1 : compare(a, b)))
}

/** `card`: how large what is drawn of a node is; it stays within the picture. */
export function ringOf(rows: readonly Pick<NodeRow, 'name' | 'rack'>[], picture: Size, card: Size): Spot[] {
  const racks = byRack(rows)
  const gaps = racks.length > 1 ? racks.length * gapNodes : 0
  const step = (2 * Math.PI) / (rows.length + gaps)
  // two stand side by side, an even number has none on the very top
  const start = rows.length === 2 ? Math.PI : -Math.PI / 2 - (rows.length % 2 === 0 && racks.length < 2 ? step / 2 : 0)
  const [rx, ry] = [(picture.width - card.width) / 2, (picture.height - card.height) / 2]
  let at = racks.length > 1 ? gapNodes / 2 : 0
  return racks.flatMap(([rack, own]) => {
    const spots = own.map(({ name }, index): Spot => {
      const angle = start + (at + index + (racks.length > 1 ? 0.5 : 0)) * step
      const [x, y] = [picture.width / 2 + rx * Math.cos(angle), picture.height / 2 + ry * Math.sin(angle)]
      return { name, x, y, angle, ...(rack !== undefined && { rack }) }
    })
    at += own.length + gapNodes
    return spots
  })
}

/** A curve between two spots that bends towards the middle, and the point half way along it. */
export function curveOf(
  a: Point,
  b: Point,
  { width, height }: Size,
): { readonly path: string; readonly middle: Point } {
  const bend = 0.35
  const [cx, cy] = [
    ((a.x + b.x) / 2) * (1 - bend) + (width / 2) * bend,
    ((a.y + b.y) / 2) * (1 - bend) + (height / 2) * bend,
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
