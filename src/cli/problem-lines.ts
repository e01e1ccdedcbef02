// Problems as commands print them: what is known in one line, and below it, indented, how it is known and what to do.
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { groupByCause, namesOf } from '#/lib/causes.ts'
import { wrapWords } from '#/lib/wrap.ts'

/** `node` is the node whose agent reports the problem, where several agents are asked. */
type Told = ToldProblem & { readonly node?: string }

/** A cause, shown once because its text is the same for all subjects. */
type Cause = { readonly first: Told; readonly subjects: readonly string[] }

function subjectOf({ node, object }: Told): string {
  return node === undefined ? object : `${node} ${object}`
}

function causesOf(problems: readonly Told[]): Cause[] {
  const alike = Map.groupBy(problems, ({ code, how, remedy }) => JSON.stringify([code, how, remedy]))
  return [...alike.values()].flatMap((group) =>
    groupByCause(
      group.map((each) => ({
        problem: each,
        subject: subjectOf(each),
        text: each.message,
        names: [each.node ?? '', each.object, each.object.slice(each.object.indexOf('/') + 1)],
      })),
    ).map((same) => ({ first: same[0]!.problem, subjects: same.map(({ subject }) => subject) })),
  )
}

/**
 * A line for each cause, with how many objects it concerns and the words for the first. Of neighbours with one way to be known and
 * one remedy these are told once, below the last of them.
 */
export function problemLines(problems: readonly Told[], mark: string, columns = Infinity): string[] {
  const causes = causesOf(problems)
  const hanging = (text: string, start: string): string[] =>
    wrapWords(text, columns - start.length).map((piece, index) => (index === 0 ? start : `${mark}         `) + piece)
  return causes.flatMap(({ first, subjects }, index) => {
    const next = causes[index + 1]?.first
    const line = `${first.code} ${namesOf(subjects, 'objects')}: ${first.message}`
    if (next !== undefined && next.code === first.code && next.how === first.how && next.remedy === first.remedy)
      return hanging(line, `${mark} `)
    return [
      ...hanging(line, `${mark} `),
      ...hanging(`known from: ${first.how}`, `${mark}     `),
      ...hanging(`remedy: ${first.remedy}`, `${mark}     `),
    ]
  })
}
