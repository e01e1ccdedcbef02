// The one state of the page: lines come in at any rate, and the page is drawn once a frame.
import { useEffect, useState } from 'preact/hooks'
import { type Event, isOld, nothing, reduce, type State } from './state.ts'

let state: State = nothing
let frame: number | undefined
const listeners = new Set<(state: State) => void>()

function tell(): void {
  frame = undefined
  for (const listener of listeners) listener(state)
}

export function dispatch(event: Event): void {
  state = reduce(state, event)
  // a hidden page gets no frames, and its title is what is seen of it
  if (document.hidden) tell()
  else frame ??= requestAnimationFrame(tell)
}

/** This moment by the command's clock, ms since 1970. */
export const commandNow = (): number => Date.now() - state.skewMs

export function useStore(): State {
  const [now, set] = useState(state)
  useEffect(() => {
    listeners.add(set)
    set(state)
    return () => listeners.delete(set)
  }, [])
  return now
}

/** Whether what is shown is of now: also when nothing comes that would have it drawn anew. */
export function useIsOld(now: State): boolean {
  const [, redraw] = useState(0)
  const old = isOld(now, commandNow())
  useEffect(() => {
    if (old) return
    const timer = setInterval(() => {
      if (isOld(now, commandNow())) redraw((count) => count + 1)
    }, 1000)
    return () => clearInterval(timer)
  }, [now, old])
  return old
}
