// The picture of few nodes: each with its pods, racks around them, and the ways between them, which light up when they are probed.
import { type JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { type NodeRow } from '#/ui/contract.ts'
import { type Pair } from '../derive/pairs.ts'
import { curveOf, hasColumns, heightOf, ringOf, type Size, type Spot } from '../derive/ring.ts'
import { pairTones, placeWord, readyText } from '../derive/words.ts'
import { type State } from '../state/state.ts'
import { NodeCard } from './node-card.tsx'
import { NodeColumn } from './node-column.tsx'
import { RackAreas, rackNameHeight, RackNames } from './rack-areas.tsx'
import { WayKeys } from './way-keys.tsx'
import { type Drawn, WayLabel, WayLine, WaySign } from './way-line.tsx'

/** So many nodes have cards with more than a name, and so many ways words. */
const cardNodes = 9
const labelPairs = 3
/** More ways than this do not light up: nobody could look at one. */
const beatPairs = 28
const cards = { large: { width: 196, height: 80 }, small: { width: 124, height: 30 } } as const
/** Around the cards of a rack. */
const rackMargin = 24

const leastWidth = 560
const leastLargeWidth = 720

function drawnOf(pairs: Iterable<Pair>, spots: ReadonlyMap<string, Spot>, picture: Size): Drawn[] {
  return (
    [...pairs]
      .flatMap((pair): Drawn[] => {
        const [a, b] = [spots.get(pair.a), spots.get(pair.b)]
        return a === undefined || b === undefined ? [] : [{ pair, ...curveOf(a, b, picture) }]
      })
      // what is wrong lies above
      .sort((x, y) => Number(pairTones[x.pair.state] === 'bad') - Number(pairTones[y.pair.state] === 'bad'))
  )
}

/** The room that there is within an element. */
function useWidth(): readonly [ref: { current: HTMLDivElement | null }, width: number] {
  const ref = useRef<HTMLDivElement>(null)
  const [width, set] = useState(0)
  useEffect(() => {
    const element = ref.current!
    set(element.clientWidth)
    const observer = new ResizeObserver(() => set(element.clientWidth))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [ref, width]
}

type PictureProps = {
  readonly rows: readonly NodeRow[]
  readonly pairs: ReadonlyMap<string, Pair>
  readonly width: number
  readonly rounds: number
}

function Picture({ rows, pairs, width, rounds }: PictureProps): JSX.Element {
  const [near, setNear] = useState<string>()
  const isLarge = rows.length <= cardNodes && width >= leastLargeWidth
  const card = isLarge ? cards.large : cards.small
  const hasRacks = rows.some(({ rack }) => rack !== undefined)
  const areas = { card, hasColumns: hasColumns(rows) }
  const around = hasRacks
    ? { width: card.width + rackMargin, height: card.height + rackMargin + 2 * rackNameHeight }
    : card
  const picture = { width, height: heightOf(rows, card) + around.height - card.height }
  const list = ringOf(rows, picture, around)
  const spots = new Map(list.map((each) => [each.name, each]))
  const drawn = drawnOf(pairs.values(), spots, picture)
  const isMany = drawn.length > beatPairs
  const isDim = ({ a, b, state }: Pair): boolean =>
    near !== undefined && a !== near && b !== near && pairTones[state] !== 'bad'
  const keyOf = ({ pair: { a, b } }: Drawn): string => JSON.stringify([a, b])
  return (
    <div class={`picture${isMany ? ' many' : ''}`} style={{ height: `${picture.height}px` }}>
      <svg width={picture.width} height={picture.height} aria-hidden="true">
        <RackAreas spots={list} {...areas} />
        {drawn.map((each) => (
          <WayLine key={keyOf(each)} drawn={each} isDim={isDim(each.pair)} beat={isMany ? undefined : rounds} />
        ))}
      </svg>
      <RackNames spots={list} {...areas} word={placeWord(rows)} />
      <ul>
        {rows.map((row) => {
          const { x, y } = spots.get(row.name)!
          return (
            <li
              key={row.name}
              class={isLarge ? 'spot large' : 'spot small'}
              style={{ left: `${x}px`, top: `${y}px` }}
              onMouseEnter={() => setNear(row.name)}
              onMouseLeave={() => setNear(undefined)}
              onFocusIn={() => setNear(row.name)}
              onFocusOut={() => setNear(undefined)}
            >
              <NodeCard row={row} isLarge={isLarge} />
            </li>
          )
        })}
      </ul>
      {isLarge && drawn.length <= labelPairs
        ? drawn.map((each) => <WayLabel key={keyOf(each)} drawn={each} />)
        : drawn
            .filter(({ pair: { state } }) => pairTones[state] === 'bad' || pairTones[state] === 'unknown')
            .map((each) => <WaySign key={keyOf(each)} drawn={each} />)}
    </div>
  )
}

export function Ring({
  state: { nodes, rounds },
  pairs,
}: {
  state: State
  pairs: ReadonlyMap<string, Pair>
}): JSX.Element {
  const [ref, width] = useWidth()
  const rows = [...nodes.values()]
  return (
    <section aria-labelledby="picture">
      <h2 id="picture">
        How packets cross <small>{readyText(rows)}</small>
      </h2>
      <div class="frame">
        <div ref={ref}>
          {width >= leastWidth && <Picture rows={rows} pairs={pairs} width={width} rounds={rounds} />}
          {width > 0 && width < leastWidth && <NodeColumn rows={rows} />}
        </div>
      </div>
      <WayKeys pairs={pairs} />
    </section>
  )
}
