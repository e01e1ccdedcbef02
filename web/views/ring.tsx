// The picture of few nodes: each with its pods, racks around them, and the ways between them, which light up when they are probed.
import { type JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { type NodeRow } from '#/ui/contract.ts'
import { type Pair } from '../derive/pairs.ts'
import { curveOf, hullOf, ringOf, type Size, type Spot } from '../derive/ring.ts'
import { nodeTones, nodeWords, pairTones, pairWords, plural, rttText, wayWords } from '../derive/words.ts'
import { type State } from '../state/state.ts'
import { to } from '../state/route.ts'
import { NodeCard } from './node-card.tsx'
import { WayKeys } from './way-keys.tsx'

const cardNodes = 9
const labelPairs = 3
const pulsedPairs = 28
const cards = { large: { width: 184, height: 92 }, small: { width: 112, height: 34 } } as const

/** In a window that has no room for a ring, nodes stand in a column. */
const leastWidth = 560

function heightOf(count: number, width: number): number {
  if (count <= 1) return 140
  if (count === 2) return 200
  if (count <= cardNodes) return 320 + count * 20
  return Math.min(width * 0.72, 420 + count * 8)
}

type Drawn = { readonly pair: Pair; readonly path: string; readonly middle: { readonly x: number; readonly y: number } }

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

const pairTitle = ({ told, way }: Pair): string =>
  [
    wayWords[way],
    ...told.map(
      (each) =>
        `${each.from} → ${each.to}: ${pairWords[each.state]}${each.rttMs === undefined ? '' : `, ${rttText(each.rttMs)}`}`,
    ),
  ].join('\n')

function Way({
  drawn: { pair, path },
  isDim,
  beat,
}: {
  drawn: Drawn
  isDim: boolean
  beat: number | undefined
}): JSX.Element {
  const tone = pairTones[pair.state]
  return (
    <a href={to.pair(pair.a, pair.b)} tabIndex={-1} class={`way-line ${pair.way} ${tone}${isDim ? ' dim' : ''}`}>
      <title>{pairTitle(pair)}</title>
      <path class="hit" d={path} />
      <path class="body" d={path} />
      <path class="core" d={path} />
      {beat !== undefined && tone === 'good' && <path key={beat} class="beat" d={path} pathLength={100} />}
    </a>
  )
}

function WaySign({ drawn: { pair, middle } }: { drawn: Drawn }): JSX.Element {
  return (
    <a
      class={`way-sign ${pairTones[pair.state]}`}
      href={to.pair(pair.a, pair.b)}
      style={{ left: `${middle.x}px`, top: `${middle.y}px` }}
      aria-label={`${pair.a} and ${pair.b}: ${pairWords[pair.state]}`}
    >
      <span class="sign" aria-hidden="true" />
    </a>
  )
}

function WayLabel({ drawn: { pair, middle } }: { drawn: Drawn }): JSX.Element {
  const { state, way, rttMs } = pair
  return (
    <a
      class={`way-label ${pairTones[state]}`}
      href={to.pair(pair.a, pair.b)}
      style={{ left: `${middle.x}px`, top: `${middle.y}px` }}
    >
      {pairTones[state] !== 'good' && <span class="sign" aria-hidden="true" />}
      <span class="sr">
        {pair.a} and {pair.b}:{' '}
      </span>
      <b>{wayWords[way]}</b>
      <span>{state === 'ok' ? (rttMs === undefined ? pairWords.ok : rttText(rttMs)) : pairWords[state]}</span>
    </a>
  )
}

/** Around the cards of a rack: their corners, and a thick round line about them. */
function Racks({ spots, card }: { spots: readonly Spot[]; card: Size }): JSX.Element {
  const racks = [...Map.groupBy(spots, ({ rack }) => rack)].filter(([rack]) => rack !== undefined)
  return (
    <>
      {racks.map(([rack, own]) => {
        const corners = own.flatMap(({ x, y }) =>
          [-1, 1].flatMap((i) => [-1, 1].map((j) => ({ x: x + (i * card.width) / 2, y: y + (j * card.height) / 2 }))),
        )
        return (
          <polygon
            key={rack}
            class="rack-area"
            points={hullOf(corners)
              .map(({ x, y }) => `${x},${y}`)
              .join(' ')}
          >
            <title>rack {rack}</title>
          </polygon>
        )
      })}
    </>
  )
}

function RackNames({ spots, card }: { spots: readonly Spot[]; card: Size }): JSX.Element {
  const racks = [...Map.groupBy(spots, ({ rack }) => rack)].filter(([rack]) => rack !== undefined)
  return (
    <>
      {racks.map(([rack, own]) => {
        const top = own.reduce((least, each) => (each.y < least.y ? each : least))
        return (
          <span
            key={rack}
            class="rack-name"
            style={{ left: `${top.x - card.width / 2}px`, top: `${top.y - card.height / 2 - 4}px` }}
          >
            rack <b>{rack}</b>
          </span>
        )
      })}
    </>
  )
}

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

function Picture({
  rows,
  pairs,
  width,
  rounds,
}: {
  rows: readonly NodeRow[]
  pairs: ReadonlyMap<string, Pair>
  width: number
  rounds: number
}): JSX.Element {
  const [near, setNear] = useState<string>()
  const isLarge = rows.length <= cardNodes && width >= 720
  const card = isLarge ? cards.large : cards.small
  const hasRacks = rows.some(({ rack }) => rack !== undefined)
  const margin = hasRacks ? { width: card.width + 40, height: card.height + 64 } : card
  const picture = { width, height: heightOf(rows.length, width) + (hasRacks ? 60 : 0) }
  const list = ringOf(rows, picture, margin)
  const spots = new Map(list.map((each) => [each.name, each]))
  const drawn = drawnOf(pairs.values(), spots, picture)
  const hasLabels = isLarge && drawn.length <= labelPairs
  const isDim = ({ a, b, state }: Pair): boolean =>
    near !== undefined && a !== near && b !== near && pairTones[state] !== 'bad'
  return (
    <div class="picture" style={{ height: `${picture.height}px` }}>
      <svg width={picture.width} height={picture.height} aria-hidden="true">
        <Racks spots={list} card={card} />
        {drawn.map((each) => (
          <Way
            key={`${each.pair.a} ${each.pair.b}`}
            drawn={each}
            isDim={isDim(each.pair)}
            beat={drawn.length <= pulsedPairs ? rounds : undefined}
          />
        ))}
      </svg>
      <RackNames spots={list} card={card} />
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
      {hasLabels
        ? drawn.map((each) => <WayLabel key={`${each.pair.a} ${each.pair.b}`} drawn={each} />)
        : drawn
            .filter(({ pair }) => pairTones[pair.state] === 'bad' || pairTones[pair.state] === 'unknown')
            .map((each) => <WaySign key={`${each.pair.a} ${each.pair.b}`} drawn={each} />)}
    </div>
  )
}

/** Where there is no room for a ring: the nodes one below the other, each with the ways from it. */
function Column({ rows }: { rows: readonly NodeRow[] }): JSX.Element {
  return (
    <ul class="column">
      {rows.map((row) => (
        <li key={row.name}>
          <NodeCard row={row} isLarge />
          <ul class="ways">
            {row.pairs.map((pair) => (
              <li key={pair.to} class={`told ${pairTones[pair.state]}`}>
                <span class={`mark ${pair.way}`} aria-hidden="true" />
                <a href={to.pair(row.name, pair.to)}>
                  {pair.to}:{' '}
                  {pair.state === 'ok'
                    ? `${wayWords[pair.way]}${pair.rttMs === undefined ? '' : `, ${rttText(pair.rttMs)}`}`
                    : pairWords[pair.state]}
                </a>
              </li>
            ))}
          </ul>
        </li>
      ))}
    </ul>
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
  const count = (tone: string): number => rows.filter(({ state }) => nodeTones[state] === tone).length
  const words = count('good') === rows.length ? nodeWords.ready : `${count('good')} of ${rows.length} ready`
  return (
    <section aria-labelledby="picture">
      <h2 id="picture">
        How packets cross{' '}
        <small>
          {plural(rows.length, 'node')}, {words}
        </small>
      </h2>
      <div ref={ref} class="frame">
        {width >= leastWidth && <Picture rows={rows} pairs={pairs} width={width} rounds={rounds} />}
        {width > 0 && width < leastWidth && <Column rows={rows} />}
      </div>
      <WayKeys pairs={pairs} />
    </section>
  )
}
