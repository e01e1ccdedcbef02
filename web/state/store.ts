// The one state of the page: lines come in at any rate, and the page is drawn once a frame.
import { useEffect, useState } from 'preact/hooks'
import { type Event, nothing, reduce, type State } from './state.ts'

let state: State = nothing
let frame: number | undefined
const listeners = new Set<(state: State) => void>()

function tell(): void {
  frame = undefined
  for (const listener of listeners) listener(state)
}

export function dispatch(event: Event): void {
  state = reduce(state, event)
  // hidden pages get no frames, and need none
  frame ??= requestAnimationFrame(tell)
}

export function useStore(): State {
  const [now, set] = useState(state)
  useEffect(() => {
    listeners.add(set)
    set(state)
    return () => listeners.delete(set)
  }, [])
  return now
}
