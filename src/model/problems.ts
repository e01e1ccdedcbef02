// A problem: something that keeps Causeway from doing its work, or that its operator should know. Its code, object, fact, source and remedy
// are separate fields. Pure.
import { problemCatalogue, type ProblemCode } from './problem-catalogue.ts'
import { type Concern } from './problem-entry.ts'

export type Problem = {
  readonly code: ProblemCode
  /** The object of the problem, as "kind/name": "node/node-2", "route/10.244.2.0/24", "file/etc/cni/net.d". */
  readonly object: string
  /** The fact. */
  readonly message: string
  /** How the fact is known. */
  readonly how: string
  /** The remedy, safe to follow. */
  readonly remedy: string
}

/** When several facts make one problem, only this many are listed. */
const toldFacts = 5

/** Makes a problem. `how` and `remedy` replace the catalogue's texts where a caller can say more. */
export function problem(
  code: ProblemCode,
  object: string,
  message: string,
  { how = problemCatalogue[code].how, remedy = problemCatalogue[code].remedy }: { how?: string; remedy?: string } = {},
): Problem {
  return { code, object, message, how, remedy }
}

/**
 * The id of a problem. Problems with the same id are the same, whatever their messages say: a message may change while the problem lasts.
 */
export function problemId({ code, object }: { readonly code: string; readonly object: string }): string {
  return `${code} ${object}`
}

export function concernOf({ code }: Problem): Concern {
  return problemCatalogue[code].about
}

/** The whole problem in one line of text. */
export function problemText(each: Problem): string {
  return `${problemId(each)}: ${each.message}; remedy: ${each.remedy}`
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}

function joined(same: readonly Problem[]): Problem {
  const [first] = same
  if (first === undefined) throw new Error('no problem to join')
  if (same.length === 1) return first
  const messages = unique(same.map(({ message }) => message))
  const told = messages.slice(0, toldFacts)
  const more = messages.length - told.length
  return {
    ...first,
    message: [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; '),
    how: unique(same.map(({ how }) => how)).join('; '),
    remedy: unique(same.map(({ remedy }) => remedy))
      .slice(0, toldFacts)
      .join('; '),
  }
}

/** Merges facts of one code and object into one problem whose message lists them, in the order of their first facts. */
export function oneOfEach(problems: Iterable<Problem>): Problem[] {
  return [...Map.groupBy(problems, problemId).values()].map(joined)
}

/** The problems that came and went between two sets; a problem whose message changed is neither. */
export function problemNews(
  before: readonly Problem[],
  now: readonly Problem[],
): { readonly appeared: readonly Problem[]; readonly gone: readonly Problem[] } {
  const known = new Set(before.map(problemId))
  const present = new Set(now.map(problemId))
  return {
    appeared: now.filter((each) => !known.has(problemId(each))),
    gone: before.filter((each) => !present.has(problemId(each))),
  }
}
