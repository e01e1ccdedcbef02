// A node in the picture: its state, its pods as squares, its address.
import { type JSX } from 'preact'
import { type NodeRow } from '#/ui/contract.ts'
import { nodeTones, nodeWords, plural } from '../derive/words.ts'
import { to } from '../state/route.ts'

const shownPods = 22

export function NodeCard({ row, isLarge }: { row: NodeRow; isLarge: boolean }): JSX.Element {
  const { name, state, pods = 0, addrs, problems } = row
  const words =
    problems.length > 0 && state !== 'silent'
      ? `${nodeWords[state]}, ${plural(problems.length, 'problem')}`
      : nodeWords[state]
  return (
    <a class={`node-card ${nodeTones[state]}${state === 'silent' ? ' silent' : ''}`} href={to.node(name)}>
      <span class="sign" aria-hidden="true" />
      <b class="name">{name}</b>
      <span class="sr">, {words}</span>
      {isLarge && (
        <>
          <span class="pods">
            {Array.from({ length: Math.min(pods, shownPods) }, () => (
              <i aria-hidden="true" />
            ))}
            <span>{plural(pods, 'pod')}</span>
          </span>
          <span class="addr">{state === 'ready' ? (addrs[0] ?? '') : words}</span>
        </>
      )}
    </a>
  )
}
