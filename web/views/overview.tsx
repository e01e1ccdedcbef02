// What somebody sees first: the state in one line, what is wrong, and the picture of the nodes.
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { type Headline } from '../derive/headline.ts'
import { type Pair } from '../derive/pairs.ts'
import { type Wrong } from '../derive/wrong.ts'
import { ask, whyOf } from '../state/ask.ts'
import { type State } from '../state/state.ts'
import { Sign, Words } from '../parts/basics.tsx'
import { NodeTable } from './node-table.tsx'
import { RackTiles } from './rack-tiles.tsx'
import { Ring } from './ring.tsx'
import { DoctorLine, WrongList } from './wrong.tsx'

/** More nodes than this have no room for their names. */
const mostInRing = 40

type Props = {
  readonly state: State
  readonly pairs: ReadonlyMap<string, Pair>
  readonly wrong: readonly Wrong[]
  readonly headline: Headline
  readonly isOld: boolean
}

export function Overview({ state, pairs, wrong, headline: { tone, title, facts }, isOld }: Props): JSX.Element {
  const [why, setWhy] = useState<string>()
  const { nodes } = state
  async function look(): Promise<void> {
    try {
      await ask('doctor', { method: 'POST' })
      setWhy(undefined)
    } catch (error) {
      setWhy(whyOf(error))
    }
  }
  return (
    <>
      <header class={`headline ${tone}`}>
        <Sign />
        <div>
          <h1 tabIndex={-1}>
            <Words text={title} />
          </h1>
          <ul class="inline">
            {facts.map((fact) => (
              <li>{fact}</li>
            ))}
          </ul>
        </div>
      </header>
      <WrongList all={wrong} state={state} isOld={isOld} />
      {nodes.size > 0 && (
        <DoctorLine state={state} isTold={wrong.some(({ by }) => by === 'agents')} onAsk={() => void look()} />
      )}
      {why !== undefined && <p class="refused">{why}</p>}
      {nodes.size > mostInRing && (
        <>
          <NodeTable nodes={nodes} isOfMany />
          <RackTiles nodes={nodes} />
        </>
      )}
      {nodes.size > 0 && nodes.size <= mostInRing && (
        <>
          <Ring state={state} pairs={pairs} />
          <NodeTable nodes={nodes} isOfMany={false} />
        </>
      )}
    </>
  )
}
