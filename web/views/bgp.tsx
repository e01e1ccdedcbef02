// BGP sessions of all nodes: those with a session down first, each opening to its neighbours.
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { type NodeDetail, type NodeRow } from '#/ui/contract.ts'
import { plural } from '../derive/words.ts'
import { byName, type State } from '../state/state.ts'
import { useAnswer } from '../parts/answer.ts'
import { Loading, NodeLinks, NoNews, Told } from '../parts/basics.tsx'
import { Sessions } from './bgp-sessions.tsx'

const shown = 50
/** So many nodes are asked for their neighbours without being opened. */
const opened = 4

function Neighbours({ name }: { name: string }): JSX.Element {
  const { value, why, atMs } = useAnswer<NodeDetail>(`node/${encodeURIComponent(name)}`, 10_000)
  if (value?.bgp !== undefined)
    return (
      <>
        {why !== undefined && atMs !== undefined && <NoNews why={why} atMs={atMs} />}
        <Sessions report={value.bgp} />
      </>
    )
  const silence = value?.silences[0]?.why ?? why
  return silence === undefined ? <Loading what="Asking its agent…" /> : <p class="soft">{silence}</p>
}

function Speaker({ row: { name, bgp }, isOpen }: { row: NodeRow; isOpen: boolean }): JSX.Element {
  const [open, setOpen] = useState(isOpen)
  const { up, total } = bgp!
  return (
    <details class="fold speaker" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <b class="name">{name}</b>{' '}
        <Told tone={up === total ? 'good' : 'bad'}>{`${up} of ${plural(total, 'session')} up`}</Told>
      </summary>
      {open && <Neighbours name={name} />}
    </details>
  )
}

export function BgpView({ state: { nodes } }: { state: State }): JSX.Element {
  const speakers = [...nodes.values()].filter(({ bgp }) => bgp !== undefined && bgp.total > 0)
  const down = ({ bgp }: NodeRow): number => bgp!.total - bgp!.up
  const rows = speakers.sort((a, b) => down(b) - down(a) || byName(a.name, b.name))
  const downs = rows.filter((row) => down(row) > 0)
  const total = rows.reduce((sum, { bgp }) => sum + bgp!.total, 0)
  return (
    <>
      <h1 tabIndex={-1}>BGP sessions</h1>
      {rows.length === 0 ? (
        <p class="lead">
          No node has a BGP session. Without BGP, packets between nodes go through the tunnel, or directly where nodes
          are neighbours. docs/bgp.md says how to add sessions.
        </p>
      ) : (
        <p class="lead">
          {plural(total, 'session')} of {plural(rows.length, 'node')}:{' '}
          {downs.length === 0 ? (
            'all are up.'
          ) : (
            <>
              sessions of <NodeLinks names={downs.map(({ name }) => name)} /> are down.
            </>
          )}
        </p>
      )}
      {rows.slice(0, shown).map((row, index) => (
        <Speaker key={row.name} row={row} isOpen={index < opened && (down(row) > 0 || rows.length <= opened)} />
      ))}
      {rows.length > shown && (
        <p class="soft">{rows.length - shown} more, whose view has their sessions: see Overview.</p>
      )}
    </>
  )
}
