// A node in the picture: its state, its pods as squares, its address.
import { type JSX } from 'preact'
import { type NodeRow } from '#/ui/contract.ts'
import { nodeTones, nodeWords, plural } from '../derive/words.ts'
import { to } from '../state/route.ts'

/** As many squares have room in a line. */
const shownPods = 18

function wordsOf({ state, problems, moreProblems = 0 }: NodeRow): string {
  if (state === 'silent' || problems.length === 0) return nodeWords[state]
  return state === 'not ready' ? nodeWords[state] : plural(problems.length + moreProblems, 'problem')
}

export function NodeCard({ row, isLarge }: { row: NodeRow; isLarge: boolean }): JSX.Element {
  const { name, state, pods = 0, addrs } = row
  const words = wordsOf(row)
  return (
    <a class={`node-card ${nodeTones[state]}${state === 'silent' ? ' silent' : ''}`} href={to.node(name)}>
      <span class="sign" aria-hidden="true" />
      <b class="name">{name}</b>
      <span class="sr">, {words}</span>
      {isLarge && (
        <>
          <span class="pods" aria-hidden="true">
            {Array.from({ length: Math.min(pods, shownPods) }, () => (
              <i />
            ))}
          </span>
          <span class="about">
            <span>{plural(pods, 'pod')}</span>
            <span aria-hidden={state !== 'ready'}>{state === 'ready' ? addrs[0] : words}</span>
          </span>
        </>
      )}
    </a>
  )
}
