// What the lines of the picture mean: only those that are in it.
import { type JSX } from 'preact'
import { type Pair } from '../derive/pairs.ts'
import { pairTones, wayWords } from '../derive/words.ts'
import { to } from '../state/route.ts'

const signs = [
  ['bad', 'packets do not arrive'],
  ['unknown', 'some are lost'],
] as const

export function WayKeys({ pairs }: { pairs: ReadonlyMap<string, Pair> }): JSX.Element {
  const all = [...pairs.values()]
  const ways = (['vxlan', 'native', 'direct'] as const).filter((way) => all.some((pair) => pair.way === way))
  const tones = new Set<string>(all.map(({ state }) => pairTones[state]))
  return (
    <div class="keys-line">
      <ul class="keys">
        {ways.map((way) => (
          <li class="key">
            <span class={`mark ${way}`} aria-hidden="true" />
            {wayWords[way]}
          </li>
        ))}
        {signs
          .filter(([tone]) => tones.has(tone))
          .map(([tone, words]) => (
            <li class={`key ${tone}`}>
              <span class="sign" aria-hidden="true" />
              {words}
            </li>
          ))}
        {tones.has('none') && (
          <li class="key">
            <span class="mark unproved" aria-hidden="true" />
            not probed enough yet
          </li>
        )}
        <li class="key">
          <span class="pod-mark" aria-hidden="true" />a pod
        </li>
      </ul>
      <p>
        <a href={to.matrix()}>All pairs as a table</a>
      </p>
    </div>
  )
}
