// Any two nodes, also such that do not probe each other: their names lead to how packets cross.
import { type JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { type State } from '../state/state.ts'
import { to } from '../state/route.ts'

export function PairForm({ nodes }: { nodes: State['nodes'] }): JSX.Element {
  const [from, setFrom] = useState('')
  const [other, setOther] = useState('')
  const names = [...nodes.keys()].join('\n')
  const options = useMemo(() => names.split('\n').map((name) => <option key={name} value={name} />), [names])
  const isKnown = nodes.has(from) && nodes.has(other) && from !== other
  const field = (id: string, label: string, value: string, set: (value: string) => void): JSX.Element => (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        list="node-names"
        autocomplete="off"
        spellcheck={false}
        value={value}
        onInput={(event) => set(event.currentTarget.value.trim())}
      />
    </div>
  )
  return (
    <form
      class="pair-form"
      onSubmit={(event) => {
        event.preventDefault()
        if (isKnown) location.hash = to.pair(from, other)
      }}
    >
      {field('pair-from', 'From node', from, setFrom)}
      {field('pair-to', 'To node', other, setOther)}
      <datalist id="node-names">{options}</datalist>
      <button type="submit" disabled={!isKnown}>
        How packets cross
      </button>
    </form>
  )
}
