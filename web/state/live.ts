// Follows the live stream, and begins anew when it ends.
import { type LiveLine } from '#/ui/contract.ts'
import { ask, linesOf, parsed, Refused, whyOf } from './ask.ts'
import { dispatch } from './store.ts'

/** An empty line comes every two seconds. */
const silenceMs = 10_000
const leastPauseMs = 500
const mostPauseMs = 5_000

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function follow(): Promise<void> {
  const ending = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const wait = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => ending.abort(new Error(`nothing was heard for ${silenceMs / 1000} s`)), silenceMs)
  }
  wait()
  try {
    for await (const line of linesOf(await ask('live', { signal: ending.signal }))) {
      wait()
      if (line !== '') dispatch({ kind: 'line', line: parsed(line) as LiveLine, atMs: Date.now() })
    }
  } finally {
    clearTimeout(timer)
    ending.abort()
  }
}

/** Returns when the command does not know this page's token: it was started anew, and prints another address. */
export async function live(): Promise<void> {
  let pauseMs = leastPauseMs
  while (true) {
    const startedMs = Date.now()
    try {
      await follow()
      dispatch({ kind: 'lost', why: 'the command that serves this page has ended' })
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return dispatch({ kind: 'strange' })
      dispatch({ kind: 'lost', why: whyOf(error) })
    }
    pauseMs = Date.now() - startedMs > mostPauseMs ? leastPauseMs : Math.min(mostPauseMs, pauseMs * 2)
    await sleep(pauseMs)
  }
}
