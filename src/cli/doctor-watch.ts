// `causeway doctor --watch`: after the first diagnosis only what came and what went.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Finding } from '#/doctor/types.ts'
import { exitStatusOf, type Told, untoldStatus } from './doctor-text.ts'

/** Between the end of a diagnosis and the next one. */
const usualPauseMs = 5_000

export type News = { readonly came: readonly Finding[]; readonly went: readonly Finding[] }

const idOf = ({ code, object, nodes }: Finding): string =>
  `${code} ${object}${object.startsWith('node/') ? '' : ` ${nodes.join(' ')}`}`

/** What one diagnosis has and the other has not; a finding that says something else of the same object is the same. */
export function newsBetween(before: readonly Finding[], now: readonly Finding[]): News {
  const [known, present] = [before, now].map((all) => new Set(all.map(idOf)))
  return {
    came: now.filter((each) => !known!.has(idOf(each))),
    went: before.filter((each) => !present!.has(idOf(each))),
  }
}

export type Watch = {
  readonly examine: () => Promise<Told>
  readonly tell: (told: Told, news: News | undefined) => void
  /** Called when a later diagnosis could not be made; the next one is tried. */
  readonly tellFailure: (error: unknown) => void
  readonly signal: AbortSignal
  readonly pauseMs?: number
}

/** Examines again and again until `signal` aborts; returns the exit status of the last time. Rejects when the first diagnosis cannot be made. */
export async function watchDiagnosis({
  examine,
  tell,
  tellFailure,
  signal,
  pauseMs = usualPauseMs,
}: Watch): Promise<number> {
  let before: Told | undefined
  let status: number = untoldStatus
  while (!signal.aborted) {
    try {
      const told = await examine()
      if (signal.aborted) break
      tell(told, before && newsBetween(before.diagnosis.findings, told.diagnosis.findings))
      before = told
      status = exitStatusOf(told)
    } catch (error) {
      if (before === undefined) throw error
      status = untoldStatus
      tellFailure(error)
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
  }
  return status
}
