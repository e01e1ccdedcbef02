// An answer of the command, asked for when a view comes up and again after some time.
import { useEffect, useState } from 'preact/hooks'
import { askJson, whyOf } from '../state/ask.ts'
import { commandNow } from '../state/store.ts'

export type Answer<T> = {
  readonly value?: T
  /** Why there is none, or none that is newer. */
  readonly why?: string
  /** When it was given, by the command's clock. */
  readonly atMs?: number
}

/** An answer that takes long is large, or comes from far: asking takes a tenth of the time at most. */
const mostShare = 10

/** `everyMs`: how long after an answer it is asked for again, as long as somebody looks. */
export function useAnswer<T>(path: string | undefined, everyMs = 5_000): Answer<T> {
  const [answer, set] = useState<Answer<T> & { readonly path?: string }>({})
  useEffect(() => {
    if (path === undefined) return
    const ending = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    async function run(asked: string): Promise<void> {
      const startedMs = Date.now()
      try {
        if (!document.hidden)
          set({ path: asked, value: await askJson<T>(asked, { signal: ending.signal }), atMs: commandNow() })
      } catch (error) {
        if (ending.signal.aborted) return
        set((before) => ({ ...(before.path === asked ? before : {}), path: asked, why: whyOf(error) }))
      }
      const pauseMs = Math.max(everyMs, (Date.now() - startedMs) * mostShare)
      if (!ending.signal.aborted) timer = setTimeout(() => void run(asked), pauseMs)
    }
    void run(path)
    return () => {
      clearTimeout(timer)
      ending.abort()
    }
  }, [path, everyMs])
  // what was answered to another question is no answer to this one
  return answer.path === path ? answer : {}
}
