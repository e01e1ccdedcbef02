// The nodes as a table, the worst first; many are found by their names.
import { type JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { type NodeRow } from '#/ui/contract.ts'
import { crossingsText, datapathWords, nodeTones, nodeWords, type Tone } from '../derive/words.ts'
import { byName } from '../state/state.ts'
import { Ago, NodeLink, Told } from '../parts/basics.tsx'

const shown = 50
const order: readonly Tone[] = ['bad', 'unknown', 'none', 'good']

function sorted(nodes: ReadonlyMap<string, NodeRow>): NodeRow[] {
  const rank = ({ state }: NodeRow): number => order.indexOf(nodeTones[state])
  return [...nodes.values()].sort((a, b) => rank(a) - rank(b) || byName(a.name, b.name))
}

function Row({ row }: { row: NodeRow }): JSX.Element {
  const { name, state, rack, pods, addresses, bgp, datapath, heardMs, addrs } = row
  return (
    <tr>
      <th scope="row">
        <NodeLink name={name} />
        <span class="addr">{addrs[0]}</span>
      </th>
      <td>
        <Told tone={nodeTones[state]}>
          {nodeWords[state]}
          {state === 'silent' && heardMs !== undefined && (
            <>
              {' '}
              for <Ago ms={heardMs} />
            </>
          )}
        </Told>
      </td>
      <td class="wide">{rack ?? ''}</td>
      <td class="number">{pods ?? ''}</td>
      <td class="number wide">{addresses && `${addresses.used} of ${addresses.total}`}</td>
      <td>
        {crossingsText(row)}
        {datapath && <span class="soft"> by {datapathWords[datapath]}</span>}
      </td>
      <td class="wide">
        {bgp && <Told tone={bgp.up === bgp.total ? 'good' : 'bad'}>{`${bgp.up} of ${bgp.total} up`}</Told>}
      </td>
    </tr>
  )
}

export function NodeTable({ nodes }: { nodes: ReadonlyMap<string, NodeRow> }): JSX.Element {
  const [text, setText] = useState('')
  const rows = useMemo(() => sorted(nodes), [nodes])
  const found =
    text === ''
      ? rows
      : rows.filter(({ name, addrs, rack }) => [name, rack ?? '', ...addrs].some((each) => each.includes(text)))
  return (
    <section aria-labelledby="nodes">
      <div class="title-row">
        <h2 id="nodes">Nodes</h2>
        {nodes.size > 8 && (
          <label class="search">
            <span class="sr">Nodes whose name, rack or address holds</span>
            <input
              type="search"
              placeholder="name, rack or address"
              value={text}
              onInput={(event) => setText(event.currentTarget.value.trim())}
            />
          </label>
        )}
      </div>
      <div class="scroll">
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">State</th>
              <th scope="col" class="wide">
                Rack
              </th>
              <th scope="col" class="number">
                Pods
              </th>
              <th scope="col" class="number wide">
                Addresses in use
              </th>
              <th scope="col">Ways to pod CIDRs of others</th>
              <th scope="col" class="wide">
                BGP sessions
              </th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, shown).map((row) => (
              <Row key={row.name} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {found.length > shown && (
        <p class="soft">{(found.length - shown).toLocaleString('en')} more: search for a name</p>
      )}
      {found.length === 0 && <p class="soft">No node is of this name, rack or address.</p>}
    </section>
  )
}
