// The nodes as a table, the worst first; many are found by their names.
import { type ComponentChildren, type JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { type NodeRow } from '#/ui/contract.ts'
import {
  capital,
  crossingsText,
  datapathWords,
  nodeTone,
  nodeTones,
  nodeWords,
  pairTones,
  pairWords,
  placeWord,
  type Tone,
} from '../derive/words.ts'
import { Ago, NodeLink, Told } from '../parts/basics.tsx'

/** Where tiles show many, the table is for those that are wrong, or that are looked for. */
const shownOfFew = 40
const shownOfMany = 12
const order: readonly Tone[] = ['bad', 'unknown', 'none', 'good']

/** Those that are alike stay in the order of their names, which is that of all. */
function sorted(nodes: ReadonlyMap<string, NodeRow>): NodeRow[] {
  return order.flatMap((tone) => [...nodes.values()].filter((row) => nodeTone(row) === tone))
}

/** What it sees of its ways to others, where that is not good. */
function Ways({ row: { pairs } }: { row: NodeRow }): JSX.Element | null {
  const [first, ...others] = pairs.filter((pair) => ['bad', 'unknown'].includes(pairTones[pair.state]))
  return first === undefined ? null : (
    <Told tone={pairTones[first.state]}>
      to {first.to}: {pairWords[first.state]}
      {others.length > 0 && `, and to ${others.length} more`}
    </Told>
  )
}

function State({ row }: { row: NodeRow }): JSX.Element {
  const { state, heardMs } = row
  return (
    <div class="states">
      <Told tone={nodeTones[state]}>
        {nodeWords[state]}
        {state === 'silent' && heardMs !== undefined && (
          <>
            {' '}
            for <Ago ms={heardMs} />
          </>
        )}
      </Told>
      {state !== 'silent' && <Ways row={row} />}
    </div>
  )
}

type Column = {
  readonly title: string
  readonly kind?: string
  readonly cell: (row: NodeRow) => ComponentChildren
}

const placeTitle = 'Rack'

const columns: readonly Column[] = [
  { title: placeTitle, kind: 'wide', cell: ({ rack }) => rack },
  { title: 'Pods', kind: 'number', cell: ({ pods }) => pods },
  {
    title: 'Addresses in use',
    kind: 'number wide',
    cell: ({ addresses }) => addresses && `${addresses.used} of ${addresses.total}`,
  },
  { title: 'Ways to pod CIDRs of others', kind: 'wide', cell: crossingsText },
  { title: 'Pods hang on', kind: 'wide', cell: ({ datapath }) => datapath && datapathWords[datapath] },
  {
    title: 'BGP sessions',
    kind: 'wide',
    cell: ({ bgp }) =>
      bgp && <Told tone={bgp.up === bgp.total ? 'good' : 'bad'}>{`${bgp.up} of ${bgp.total} up`}</Told>,
  },
]

const isHeld = (text: string, { name, rack = '', addrs }: NodeRow): boolean =>
  [name, rack, ...addrs].some((each) => each.includes(text))

export function NodeTable({
  nodes,
  isOfMany,
}: {
  nodes: ReadonlyMap<string, NodeRow>
  isOfMany: boolean
}): JSX.Element {
  const [text, setText] = useState('')
  const rows = useMemo(() => sorted(nodes), [nodes])
  const place = placeWord(nodes.values())
  const isAmiss = (row: NodeRow): boolean => ['bad', 'unknown'].includes(nodeTone(row))
  const found = text === '' ? (isOfMany ? rows.filter(isAmiss) : rows) : rows.filter((row) => isHeld(text, row))
  const some = found.slice(0, isOfMany ? shownOfMany : shownOfFew)
  // what none of them has is no column
  const told = columns.filter(({ cell }) => some.some((row) => (cell(row) ?? '') !== ''))
  return (
    <section aria-labelledby="nodes">
      <div class="title-row">
        <h2 id="nodes">{isOfMany && text === '' ? 'Nodes to see to' : 'Nodes'}</h2>
        {nodes.size > 8 && (
          <label class="search">
            <span class="sr">Nodes whose name, {place} or address holds</span>
            <input
              type="search"
              placeholder={`name, ${place} or address`}
              value={text}
              onInput={(event) => setText(event.currentTarget.value.trim())}
            />
          </label>
        )}
      </div>
      {found.length > 0 && (
        <div class="scroll">
          <table class="list">
            <thead>
              <tr>
                <th scope="col">Node</th>
                <th scope="col">State</th>
                {told.map(({ title, kind }) => (
                  <th key={title} scope="col" class={kind}>
                    {title === placeTitle ? capital(place) : title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {some.map((row) => (
                <tr key={row.name}>
                  <th scope="row">
                    <NodeLink name={row.name} />
                    <span class="addr">{row.addrs[0]}</span>
                  </th>
                  <td>
                    <State row={row} />
                  </td>
                  {told.map(({ title, kind, cell }) => (
                    <td key={title} class={kind}>
                      {cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {found.length > some.length && (
        <p class="soft">
          {(found.length - some.length).toLocaleString('en')} more: search for a name, a {place} or an address
        </p>
      )}
      {found.length === 0 && (
        <p class="soft">{text === '' ? 'None.' : `No node is of this name, ${place} or address.`}</p>
      )}
    </section>
  )
}
