// Racks in the picture: an area around the nodes of each, and its name above the uppermost.
import { type JSX } from 'preact'
import { hullOf, type Size, type Spot } from '../derive/ring.ts'
import { Place } from '../parts/basics.tsx'

/** Above the uppermost card of a rack. */
export const rackNameHeight = 18

/** Nodes of one rack that stand together: in columns it may be cut in two. */
function partsOf(spots: readonly Spot[], hasColumns: boolean): Spot[][] {
  const own = spots.filter(({ rack }) => rack !== undefined)
  return [...Map.groupBy(own, ({ rack, side }) => JSON.stringify([rack, hasColumns && side])).values()]
}

type Props = { readonly spots: readonly Spot[]; readonly card: Size; readonly hasColumns: boolean }

/** Their corners, and a thick round line about them. */
export function RackAreas({ spots, card, hasColumns }: Props): JSX.Element {
  const cornersOf = ({ x, y }: Spot) =>
    [-1, 1].flatMap((right) =>
      [-1, 1].map((down) => ({
        x: x + (right * card.width) / 2,
        y: y + (down * card.height) / 2 - (down < 0 ? rackNameHeight : 0),
      })),
    )
  return (
    <>
      {partsOf(spots, hasColumns).map((own) => (
        <polygon
          key={own[0]!.name}
          class="rack-area"
          points={hullOf(own.flatMap(cornersOf))
            .map(({ x, y }) => `${x},${y}`)
            .join(' ')}
        />
      ))}
    </>
  )
}

export function RackNames({ spots, card, hasColumns, word }: Props & { readonly word: string }): JSX.Element {
  return (
    <>
      {partsOf(spots, hasColumns).map((own) => {
        const { x, y, rack = '' } = own.reduce((least, each) => (each.y < least.y ? each : least))
        return (
          <span
            key={own[0]!.name}
            class="rack-name"
            style={{ left: `${x - card.width / 2}px`, top: `${y - card.height / 2}px` }}
          >
            <Place word={word} name={rack} />
          </span>
        )
      })}
    </>
  )
}
