// When the page's next diagnosis begins by itself. Agents tell of most that goes wrong; what only doctor's packets show begins and ends unseen. Pure.

/** A larger cluster is examined only when somebody asks: all nodes tell what their kernels have, which takes half a minute. */
export const mostUnaskedNodes = 200

export type Waits = {
  /** What breaks is told by several nodes within some seconds: so long is waited for the rest. */
  readonly settleMs: number
  /** Between the end of a diagnosis and the next one that nobody asked for. */
  readonly pauseMs: number
  /** Findings say "wrong now": so long they are believed. */
  readonly wrongMs: number
  /** So long it is believed that nothing is wrong that agents do not tell. */
  readonly wellMs: number
  /** And so many times as long as the last one took: however large the cluster is, it is examined for a tenth of the time at most. */
  readonly timesTook: number
}

export const usualWaits: Waits = { settleMs: 3_000, pauseMs: 15_000, wrongMs: 60_000, wellMs: 300_000, timesTook: 9 }

/** The last diagnosis. wrong: it has findings, or failed and left those of an earlier one. Times are ms of one clock. */
export type Looked = {
  readonly endedMs: number
  readonly tookMs: number
  readonly outcome: 'well' | 'wrong' | 'failed'
}

export type Looks = {
  readonly nodes: number
  /** Nobody has looked since the first page opened. */
  readonly isFirst?: boolean
  /** Since when agents tell other things than when the last diagnosis began. */
  readonly changedMs?: number
  /** When a trace of a page was lost since then. */
  readonly lostMs?: number
  readonly looked?: Looked
}

function againMs({ endedMs, tookMs, outcome }: Looked, isSmall: boolean, waits: Waits): number {
  if (!isSmall && outcome !== 'wrong') return Infinity
  return endedMs + Math.max(outcome === 'well' ? waits.wellMs : waits.wrongMs, waits.timesTook * tookMs)
}

/** The time of the next one, which may have passed; Infinity: not before something changes. */
export function nextLookMs(
  { nodes, isFirst = false, changedMs = Infinity, lostMs = Infinity, looked }: Looks,
  waits: Waits = usualWaits,
): number {
  const isSmall = nodes <= mostUnaskedNodes
  const again = looked === undefined ? Infinity : againMs(looked, isSmall, waits)
  if (!isSmall) return again
  const news = Math.min(isFirst ? -Infinity : Infinity, changedMs + waits.settleMs, lostMs)
  return Math.min(again, Math.max(news, (looked?.endedMs ?? -Infinity) + waits.pauseMs))
}
