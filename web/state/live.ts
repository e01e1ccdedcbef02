// Follows the live stream, and begins anew when it ends.
import { type LiveLine } from '#/ui/contract.ts'
import { ask, linesOf, otherToken, parsed, Refused, whyOf } from './ask.ts'
import { untilPlace, watchPlace } from './places.ts'
import { dispatch } from './store.ts'

/** An empty line comes every two seconds. */
const silenceMs = 10_000
const leastPauseMs = 500
const mostPauseMs = 5_000

/** Nobody looks at this tab, and others that nobody looks at hold as many connections as they may. */
class Unseen extends Error {}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function follow(): Promise<void> {
  const ending = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const wait = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => ending.abort(new Error(`nothing was heard for ${silenceMs / 1000} s`)), silenceMs)
  }
  wait()
  const unwatch = watchPlace(() => ending.abort(new Unseen()))
  try {
    for await (const line of linesOf(await ask('live', { signal: ending.signal }))) {
      wait()
      if (line !== '') dispatch({ kind: 'line', line: parsed(line) as LiveLine, atMs: Date.now() })
    }
  } finally {
    clearTimeout(timer)
    unwatch()
    ending.abort()
  }
}

/** Where the command does not know this page's token, which was started anew, it waits for another one. */
export async function live(): Promise<void> {
  let pauseMs = leastPauseMs
  while (true) {
    await untilPlace(() => dispatch({ kind: 'unseen' }))
    const startedMs = Date.now()
    try {
      await follow()
      dispatch({ kind: 'lost', why: 'the command that serves this page has ended' })
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        dispatch({ kind: 'strange' })
        await otherToken()
        return location.reload()
      }
      if (error instanceof Unseen) continue
      dispatch({ kind: 'lost', why: whyOf(error) })
    }
    pauseMs = Date.now() - startedMs > mostPauseMs ? leastPauseMs : Math.min(mostPauseMs, pauseMs * 2)
    await sleep(pauseMs)
  }
}
