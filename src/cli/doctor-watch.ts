// `causeway doctor --watch`: after the first diagnosis only what came and what went.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Finding } from '#/doctor/types.ts'
import { exitStatusOf, type Told } from './doctor-text.ts'

/** Between the end of a diagnosis and the next one. */
const pauseMs = 5_000

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

/** Examines again and again until `signal` aborts; returns the exit status of the last diagnosis. */
export async function watchDiagnosis(
  examine: () => Promise<Told>,
  tell: (told: Told, news: News | undefined) => void,
  signal: AbortSignal,
): Promise<number> {
  let before: Told | undefined
  while (!signal.aborted) {
    const told = await examine()
    if (signal.aborted) break
    tell(told, before && newsBetween(before.diagnosis.findings, told.diagnosis.findings))
    before = told
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
  }
  return before === undefined ? 0 : exitStatusOf(before)
}
