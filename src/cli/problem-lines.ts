// Problems as commands print them: what is known in one line, and below it, indented, how it is known and what to do.
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { problemId } from '#/model/problems.ts'

/** Of neighbours with one way to be known and one remedy these are told once, below the last of them. */
export function problemLines(problems: readonly ToldProblem[], mark: string): string[] {
  return problems.flatMap((each, index) => {
    const next = problems[index + 1]
    const line = `${mark} ${problemId(each)}: ${each.message}`
    if (next !== undefined && next.code === each.code && next.how === each.how && next.remedy === each.remedy)
      return [line]
    return [line, `${mark}     known from: ${each.how}`, `${mark}     remedy: ${each.remedy}`]
  })
}
