// Groups failures that have one cause, so that the cause is told once.
import { someOf } from './some-of.ts'

export type Failure = {
  /** The object that failed, such as a node. */
  readonly subject: string
  readonly text: string
  /** Names in the text that differ from subject to subject; by default the subject's own. */
  readonly names?: readonly string[]
}

const address = /(?<![\w:.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?:\/\d{1,3})?/g

/** The text without names and addresses, which is the same for all subjects that the cause concerns. */
function causeOf({ subject, text, names = [subject] }: Failure): string {
  return names
    .filter((name) => name !== '')
    .toSorted((a, b) => b.length - a.length)
    .reduce(
      (rest, name) => rest.replaceAll(new RegExp(`(?<![\\w-])${RegExp.escape(name)}(?![\\w-])`, 'g'), '\0'),
      text.replaceAll(address, '\0'),
    )
}

/** Failures with the same cause, those that came first at the front. */
export function groupByCause<F extends Failure>(failures: readonly F[]): F[][] {
  return [...Map.groupBy(failures, causeOf).values()]
}

/** "node-1", or "20 nodes (node-1, node-2, node-3 and 17 more)". `noun` is in the plural. */
export function namesOf(subjects: readonly string[], noun: string): string {
  if (subjects.length === 1) return subjects[0]!
  return `${subjects.length} ${noun} (${someOf(subjects)})`
}

/** A line for each cause: how many subjects it concerns, and the text of the first. */
export function causeLines(failures: readonly Failure[], noun: string): string[] {
  return groupByCause(failures).map((group) => {
    const subjects = [...new Set(group.map(({ subject }) => subject))]
    return `${namesOf(subjects, noun)}: ${group[0]!.text}`
  })
}
