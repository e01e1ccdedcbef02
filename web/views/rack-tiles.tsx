// The picture of many nodes: a tile for each, by racks. What is wrong stands out by form and colour; what is well is calm.
import { Component, type JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type NodeRow } from '#/ui/contract.ts'
import { byRack } from '../derive/ring.ts'
import { nodeTone, nodeWords, pairTones, pairWords, placeWord, plural, type Tone } from '../derive/words.ts'
import { to } from '../state/route.ts'
import { Place } from '../parts/basics.tsx'
import { movedInFlow } from '../parts/roving.ts'

function wordsOf(row: NodeRow): string {
  const { name, state, pods, pairs } = row
  const broken = pairs.filter((pair) => pairTones[pair.state] === 'bad')
  return [
    `${name}: ${nodeWords[state]}`,
    pods === undefined ? '' : plural(pods, 'pod'),
    ...broken.slice(0, 3).map((pair) => `to ${pair.to}: ${pairWords[pair.state]}`),
  ]
    .filter(Boolean)
    .join(', ')
}

type RackProps = { readonly rack: string | undefined; readonly word: string; readonly rows: readonly NodeRow[] }

/** Rows that are the same objects are the same rack: of thousands of tiles those few are compared that changed. */
class Rack extends Component<RackProps> {
  override shouldComponentUpdate(next: RackProps): boolean {
    const { rack, word, rows } = this.props
    return (
      next.rack !== rack ||
      next.word !== word ||
      next.rows.length !== rows.length ||
      next.rows.some((row, index) => row !== rows[index])
    )
  }

  override render({ rack, word, rows }: RackProps): JSX.Element {
    const wrong = rows.filter((row) => !['good', 'none'].includes(nodeTone(row))).length
    return (
      <section class="rack">
        <h3>
          {rack === undefined ? (
            `no ${word}`
          ) : (
            <span>
              <Place word={word} name={rack} />
            </span>
          )}{' '}
          <small>{rows.length}</small>
          {wrong > 0 && <small class="amiss">{wrong} to see to</small>}
        </h3>
        <div class="tiles">
          {rows.map((row) => (
            <a
              key={row.name}
              class={`tile ${nodeTone(row)}${row.state === 'silent' ? ' silent' : ''}`}
              href={to.node(row.name)}
              tabIndex={-1}
              aria-label={wordsOf(row)}
            />
          ))}
        </div>
      </section>
    )
  }
}

const tilesIn = (element: Element): HTMLElement[] => [...element.querySelectorAll<HTMLElement>('.tile')]

const keys: readonly (readonly [Tone, string])[] = [
  ['good', 'ready'],
  ['unknown', 'to see to'],
  ['bad', 'not ready, or does not reach others'],
  ['none', 'not asked yet'],
]

export function RackTiles({ nodes }: { nodes: ReadonlyMap<string, NodeRow> }): JSX.Element {
  const ref = useRef<HTMLDivElement>(null)
  const [said, say] = useState('')
  const racks = useMemo(() => byRack(nodes.values()), [nodes])
  // Tab reaches one tile, arrow keys the others
  useEffect(() => {
    const all = tilesIn(ref.current!)
    if (!all.some(({ tabIndex }) => tabIndex === 0)) all[0]?.setAttribute('tabindex', '0')
  })
  const rowOf = (target: EventTarget | null): HTMLElement | undefined =>
    (target as Element | null)?.closest<HTMLElement>('.tile') ?? undefined
  function onKeyDown(event: KeyboardEvent): void {
    const own = rowOf(event.target)
    if (own === undefined || event.altKey || event.ctrlKey || event.metaKey) return
    const next = movedInFlow(event.key, own, tilesIn(ref.current!))
    if (next === undefined) return
    event.preventDefault()
    own.tabIndex = -1
    next.tabIndex = 0
    next.focus()
  }
  const tell = (event: Event): void => {
    const tile = rowOf(event.target)
    if (tile !== undefined) say(tile.getAttribute('aria-label') ?? '')
  }
  const tones = new Set([...nodes.values()].map(nodeTone))
  const word = placeWord(nodes.values())
  return (
    <section aria-labelledby="picture">
      <h2 id="picture">Nodes by {word}s</h2>
      <ul class="keys">
        {keys
          .filter(([tone]) => tones.has(tone))
          .map(([tone, words]) => (
            <li class="key">
              <span class={`tile ${tone}`} aria-hidden="true" />
              {words}
            </li>
          ))}
      </ul>
      <p class="tile-said" aria-hidden="true">
        {said}
      </p>
      <div
        ref={ref}
        class="racks"
        role="group"
        aria-label="Nodes; arrow keys go from one to the next"
        onKeyDown={onKeyDown}
        onMouseOver={tell}
        onFocusIn={tell}
      >
        {racks.map(([rack, rows]) => (
          <Rack key={rack ?? ''} rack={rack} word={word} rows={rows} />
        ))}
      </div>
      <p>
        <a href={to.matrix()}>All pairs as a table</a>
      </p>
    </section>
  )
}
