// The nodes one below the other, where there is no room for a ring: with each the ways from it, those that are wrong by name.
import { type JSX } from 'preact'
import { type NodeRow } from '#/ui/contract.ts'
import { pairTones, pairWords, plural, rttText, wayWords } from '../derive/words.ts'
import { to } from '../state/route.ts'
import { NodeCard } from './node-card.tsx'

type Pairs = NodeRow['pairs']

/** "5 nodes answer, VXLAN tunnel, 0.31 ms to 0.61 ms" */
function whole(pairs: Pairs): string {
  const ways = [...new Set(pairs.map(({ way }) => wayWords[way]))].join(' or ')
  const rtts = pairs.flatMap(({ rttMs }) => rttMs ?? [])
  const [least, most] = [rttText(Math.min(...rtts)), rttText(Math.max(...rtts))]
  const took = rtts.length === 0 ? '' : least === most ? `, ${least}` : `, ${least} to ${most}`
  return `${pairs.length === 1 ? pairs[0]!.to : plural(pairs.length, 'node')} ${pairs.length === 1 ? 'answers' : 'answer'}, ${ways}${took}`
}

export function NodeColumn({ rows }: { rows: readonly NodeRow[] }): JSX.Element {
  return (
    <ul class="column">
      {rows.map((row) => {
        const ok = row.pairs.filter(({ state }) => state === 'ok')
        const others = row.pairs.filter(({ state }) => state !== 'ok')
        return (
          <li key={row.name}>
            <NodeCard row={row} isLarge />
            {row.state !== 'silent' && row.pairs.length > 0 && (
              <ul class="ways">
                {others.map((pair) => (
                  <li key={pair.to} class={`told ${pairTones[pair.state]}`}>
                    <span class="sign" aria-hidden="true" />
                    <a href={to.pair(row.name, pair.to)}>
                      {pair.to}: {pairWords[pair.state]}
                    </a>
                  </li>
                ))}
                {ok.length > 0 && (
                  <li class="told good">
                    <span class="sign" aria-hidden="true" />
                    <span>{whole(ok)}</span>
                  </li>
                )}
              </ul>
            )}
          </li>
        )
      })}
    </ul>
  )
}
