// A way between two nodes in the picture: its line, and what is said of it half way.
import { type JSX } from 'preact'
import { type Pair } from '../derive/pairs.ts'
import { type Point } from '../derive/ring.ts'
import { pairTones, pairWords, rttText, wayWords } from '../derive/words.ts'
import { to } from '../state/route.ts'

export type Drawn = { readonly pair: Pair; readonly path: string; readonly middle: Point }

function titleOf({ told, way }: Pair): string {
  const said = told.map(
    ({ from, to: other, state, rttMs }) =>
      `${from} → ${other}: ${pairWords[state]}${rttMs === undefined ? '' : `, ${rttText(rttMs)}`}`,
  )
  return [wayWords[way], ...said].join('\n')
}

/** `beat`: changes when its nodes were asked; it lights up then. */
export function WayLine({
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
    <a href={to.pair(pair.a, pair.b)} tabindex={-1} class={`way-line ${pair.way} ${tone}${isDim ? ' dim' : ''}`}>
      <title>{titleOf(pair)}</title>
      <path class="hit" d={path} />
      <path class="body" d={path} />
      <path class="core" d={path} />
      {beat !== undefined && tone === 'good' && <path key={beat} class="beat" d={path} pathLength={100} />}
    </a>
  )
}

const placed = ({ x, y }: Point): { left: string; top: string } => ({ left: `${x}px`, top: `${y}px` })

/** Where there are too many for words: only what is wrong has a sign. */
export function WaySign({ drawn: { pair, middle } }: { drawn: Drawn }): JSX.Element {
  return (
    <a
      class={`way-sign ${pairTones[pair.state]}`}
      href={to.pair(pair.a, pair.b)}
      style={placed(middle)}
      title={titleOf(pair)}
      aria-label={`${pair.a} and ${pair.b}: ${pairWords[pair.state]}`}
    >
      <span class="sign" aria-hidden="true" />
    </a>
  )
}

export function WayLabel({ drawn: { pair, middle } }: { drawn: Drawn }): JSX.Element {
  const { a, b, state, way, rttMs } = pair
  return (
    <a class={`way-label ${pairTones[state]}`} href={to.pair(a, b)} style={placed(middle)} title={titleOf(pair)}>
      {pairTones[state] !== 'good' && <span class="sign" aria-hidden="true" />}
      <span class="sr">
        {a} and {b}:{' '}
      </span>
      <b>{wayWords[way]}</b> <span>{state === 'ok' && rttMs !== undefined ? rttText(rttMs) : pairWords[state]}</span>
    </a>
  )
}
