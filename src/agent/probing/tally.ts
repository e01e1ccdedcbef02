// What became of the probes of one size on a way. Pure.

/** Of so many probes the loss is told, those between that were sent in doubt not counted. */
export const windowProbes = 60

/** What came instead of an answer. */
export type Refusal = { readonly by: string; readonly why: string; readonly mtuBytes?: number }

type Result = { readonly atMs: number; readonly isAnswered: boolean; readonly rttMs?: number }

/** Probes of one size. */
export type Tally = {
  sent: number
  answered: number
  lost: number
  lastSentMs: number
  /** When the last one was sent that was due, and no extra one. */
  lastRegularMs: number
  lostInRow: number
  /** When the first of these was sent. */
  lostSinceMs: number
  answeredInRow: number
  isBroken: boolean
  refused: Refusal | undefined
  /** The results of regular probes, the latest last. */
  results: Result[]
}

export const newTally = (): Tally => ({
  sent: 0,
  answered: 0,
  lost: 0,
  lastSentMs: -Infinity,
  lastRegularMs: -Infinity,
  lostInRow: 0,
  lostSinceMs: 0,
  answeredInRow: 0,
  isBroken: false,
  refused: undefined,
  results: [],
})

/** How many were lost in a row, each time. */
export function lostRuns(results: readonly Result[]): number[] {
  const runs: number[] = []
  let isRun = false
  for (const { isAnswered } of results) {
    if (!isAnswered && isRun) runs[runs.length - 1]!++
    else if (!isAnswered) runs.push(1)
    isRun = !isAnswered
  }
  return runs
}

export function note(each: Tally, result: Result): void {
  each.results.push(result)
  if (each.results.length > windowProbes) each.results.shift()
}
