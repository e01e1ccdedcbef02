// All pairs as a table that arrow keys walk through: by nodes, or by racks where there are many.
import { type JSX } from 'preact'
import { useMemo, useRef, useState } from 'preact/hooks'
import { type Cell, cellKey, cellOf, type Group, groupCells, groupsOf, mostNodes, unprobed } from '../derive/matrix.ts'
import { type Pair } from '../derive/pairs.ts'
import { type Tone, pairTones, wayWords } from '../derive/words.ts'
import { to } from '../state/route.ts'
import { type State } from '../state/state.ts'
import { moved } from '../parts/roving.ts'
import { PairForm } from './pair-form.tsx'

type Axis = { readonly key: string; readonly title: string }

const toneOf = ({ state }: Cell): Tone => (state === 'unprobed' || state === 'self' ? 'none' : pairTones[state])

type GridProps = {
  readonly rows: readonly Axis[]
  readonly columns: readonly Axis[]
  readonly cell: (row: Axis, column: Axis) => Cell
  readonly href: (row: Axis, column: Axis) => string | undefined
}

function Grid({ rows, columns, cell, href }: GridProps): JSX.Element {
  const ref = useRef<HTMLTableElement>(null)
  const [at, setAt] = useState<readonly [number, number]>([0, 0])
  const [row, column] = [Math.min(at[0], rows.length - 1), Math.min(at[1], columns.length - 1)]
  function onKeyDown(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    if (event.key === 'Enter') {
      const target = href(rows[row]!, columns[column]!)
      if (target !== undefined) location.hash = target
      return
    }
    const next = moved(event.key, [row, column], [rows.length, columns.length])
    if (next === undefined) return
    event.preventDefault()
    setAt(next)
    ref.current!.querySelector<HTMLElement>(`[data-at="${next.join(' ')}"]`)?.focus()
  }
  const here = rows[row] !== undefined && columns[column] !== undefined && cell(rows[row], columns[column])
  return (
    <>
      <p class="matrix-said" aria-hidden="true">
        {here && (
          <>
            <b>{rows[row]!.title}</b> to <b>{columns[column]!.title}</b>:{' '}
            {here.way === undefined ? '' : `${wayWords[here.way]}, `}
            {here.words}
          </>
        )}
      </p>
      <div class="scroll matrix-scroll">
        <table
          class="matrix"
          role="grid"
          ref={ref}
          aria-label="From the node of a row to the node of a column"
          onKeyDown={onKeyDown}
        >
          <thead>
            <tr>
              <td class="corner">
                <span class="sr">from, to</span>
              </td>
              {columns.map(({ key, title }, index) => (
                <th key={key} scope="col" class={index === column ? 'here' : ''}>
                  <span>{title}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((own, y) => (
              <tr key={own.key}>
                <th scope="row" class={y === row ? 'here' : ''}>
                  {own.title}
                </th>
                {columns.map((other, x) => {
                  const each = cell(own, other)
                  const target = href(own, other)
                  return (
                    <td
                      key={other.key}
                      role="gridcell"
                      class={`cell ${toneOf(each)} ${each.state.replace(' ', '-')} ${each.way ?? ''}`}
                      data-at={`${y} ${x}`}
                      tabIndex={y === row && x === column ? 0 : -1}
                      aria-label={`${own.title} to ${other.title}: ${each.words}`}
                      onFocus={() => setAt([y, x])}
                      onMouseEnter={() => setAt([y, x])}
                      onClick={() => target !== undefined && (location.hash = target)}
                    >
                      <span class="sign" aria-hidden="true" />
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

const axisOf = (name: string): Axis => ({ key: name, title: name })

const Keys = (): JSX.Element => (
  <ul class="keys matrix-keys">
    {(
      [
        ['good ok', 'packets arrive'],
        ['unknown lossy', 'some are lost'],
        ['bad small-only', 'large ones, or answers, are lost'],
        ['bad broken', 'no packet arrives'],
        ['none unknown', 'not enough was sent yet'],
        ['none unprobed', 'not probed'],
      ] as const
    ).map(([kind, words]) => (
      <li class="key">
        <span class={`cell ${kind}`} aria-hidden="true">
          <span class="sign" />
        </span>
        {words}
      </li>
    ))}
  </ul>
)

export function MatrixView({
  state: { nodes },
  pairs,
  from,
  to: other,
}: {
  state: State
  pairs: ReadonlyMap<string, Pair>
  from: string | undefined
  to: string | undefined
}): JSX.Element {
  const groups = useMemo(() => groupsOf(nodes), [nodes])
  const find = (key: string | undefined): Group | undefined => groups.find((group) => group.key === key)
  const [fromGroup, toGroup] = [find(from), find(other)]
  const isGrouped = nodes.size > mostNodes && (fromGroup === undefined || toGroup === undefined)
  const names = [...nodes.keys()]
  const rows = fromGroup?.names ?? names
  const columns = toGroup?.names ?? names
  const cells = useMemo(() => (isGrouped ? groupCells(groups, pairs) : undefined), [isGrouped, groups, pairs])
  return (
    <>
      <h1 tabIndex={-1}>Pairs of nodes</h1>
      <p class="lead">
        What each {isGrouped ? 'group of nodes' : 'node'} of a row sees of its ways to {isGrouped ? 'those' : 'that'} of
        a column. Each node probes some eight others all the time; a pair opens to how packets cross.
        {!isGrouped && nodes.size > mostNodes && (
          <>
            {' '}
            <a href={to.matrix()}>All groups</a>
          </>
        )}
      </p>
      {nodes.size > 2 && <PairForm nodes={nodes} />}
      <Keys />
      {nodes.size > 0 && isGrouped && (
        <Grid
          rows={groups}
          columns={groups}
          cell={(a, b) => cells!.get(cellKey(a.key, b.key)) ?? unprobed}
          href={(a, b) => to.matrix(a.key, b.key)}
        />
      )}
      {nodes.size > 0 && !isGrouped && (
        <Grid
          rows={rows.map(axisOf)}
          columns={columns.map(axisOf)}
          cell={(a, b) => cellOf(a.key, b.key, pairs, nodes)}
          href={(a, b) => (a.key === b.key ? to.node(a.key) : to.pair(a.key, b.key))}
        />
      )}
    </>
  )
}
