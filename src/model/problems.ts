// A problem: something that keeps Causeway from doing its work, or that its operator should know. Code, object, what is known, how it
// is known and what to do stand apart. Pure.
import { type Concern, problemCatalogue, type ProblemCode } from './problem-catalogue.ts'

export type Problem = {
  readonly code: ProblemCode
  /** What it is about, as "kind/name": "node/node-2", "route/10.244.2.0/24", "file/etc/cni/net.d". */
  readonly object: string
  /** What is known. */
  readonly message: string
  /** How it is known. */
  readonly how: string
  /** What to do; safe to follow. */
  readonly remedy: string
}

/** Of facts that are one problem, so many are told. */
const toldFacts = 5

/** `how` and `remedy` where there is more to say than the catalogue has. */
export function problem(
  code: ProblemCode,
  object: string,
  message: string,
  { how = problemCatalogue[code].how, remedy = problemCatalogue[code].remedy }: { how?: string; remedy?: string } = {},
): Problem {
  return { code, object, message, how, remedy }
}

/** Two with the same id are the same problem, whatever else they say: its message may change while it lasts. */
export function problemId({ code, object }: { readonly code: string; readonly object: string }): string {
  return `${code} ${object}`
}

export function concernOf({ code }: Problem): Concern {
  return problemCatalogue[code].about
}

/** All of a problem that fits in one line of text. */
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

/** Each problem once, in the order of their first facts: several facts of one code and object become a list in its message. */
export function oneOfEach(problems: Iterable<Problem>): Problem[] {
  return [...Map.groupBy(problems, problemId).values()].map(joined)
}

/** What came and what went between two sets of problems; another message of the same problem is neither. */
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
