// Follow a packet: who sends to whom, what happens meanwhile, and the ladder of what was seen.
import { type JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { type TraceLine, type TraceWishBody } from '#/ui/contract.ts'
import { ask, linesOf, parsed, whyOf } from '../state/ask.ts'
import { to } from '../state/route.ts'
import { type State } from '../state/state.ts'
import { Loading, Trouble } from '../parts/basics.tsx'
import { TraceForm } from './trace-form.tsx'
import { TraceResult } from './trace-result.tsx'

type Trace = Extract<TraceLine, { kind: 'trace' }>['trace']

type Run =
  | { readonly kind: 'running'; readonly texts: readonly string[] }
  | { readonly kind: 'done'; readonly trace: Trace }
  | { readonly kind: 'refused'; readonly message: string }

async function* run(wish: TraceWishBody, signal: AbortSignal): AsyncGenerator<TraceLine> {
  const response = await ask('trace', { method: 'POST', body: wish, signal })
  for await (const line of linesOf(response)) if (line !== '') yield parsed(line) as TraceLine
}

export function TraceView({
  state,
  from = '',
  to: other = '',
}: {
  state: State
  from: string | undefined
  to: string | undefined
}): JSX.Element {
  const [now, set] = useState<Run>()
  const ending = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => ending.current?.abort(), [])
  async function start(wish: TraceWishBody): Promise<void> {
    ending.current?.abort()
    const own = new AbortController()
    ending.current = own
    // an address that can be passed on; what is run is not run again by it
    history.replaceState(null, '', to.trace(wish.from, wish.to))
    let texts: string[] = []
    set({ kind: 'running', texts })
    try {
      for await (const line of run(wish, own.signal)) {
        if (line.kind === 'progress') {
          texts = [...texts, line.text]
          set({ kind: 'running', texts })
        } else if (line.kind === 'trace') return set({ kind: 'done', trace: line.trace })
        else return set({ kind: 'refused', message: line.message })
      }
      set({ kind: 'refused', message: 'the answer ended before the trace did' })
    } catch (error) {
      if (!own.signal.aborted) set({ kind: 'refused', message: whyOf(error) })
    }
  }
  return (
    <>
      <h1 tabIndex={-1}>Follow a packet</h1>
      <p class="lead">
        One packet is sent from a pod, as the pod would send it, and every node tells through which devices it goes and
        where it ends. Nothing is changed.
      </p>
      <TraceForm
        key={`${from} ${other}`}
        from={from}
        to={other}
        isRunning={now?.kind === 'running'}
        onStart={(wish) => void start(wish)}
      />
      {now?.kind === 'running' && (
        <div class="progress" role="status">
          <Loading what={now.texts.at(-1) ?? 'Asking the nodes…'} />
          <ol>
            {now.texts.slice(0, -1).map((text) => (
              <li>{text}</li>
            ))}
          </ol>
        </div>
      )}
      {now?.kind === 'refused' && <Trouble title="It cannot be followed" why={now.message} />}
      {now?.kind === 'done' && <TraceResult trace={now.trace} state={state} />}
    </>
  )
}
