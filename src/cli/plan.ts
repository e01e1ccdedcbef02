// `causeway plan`: what the agents would change in their kernels now, as commands.
import { type AgentPlan } from '#/api/schemas/plan.ts'
import { type AgentAnswer, agentOptions, agentOptionsHelp, answersOf } from './agents.ts'
import { renderAnswers, type Told } from './answers.ts'
import { noMore, options } from './args.ts'
import { outputColumns } from './columns.ts'
import { type Command, print, printJson } from './command.ts'
import { problemLines } from './problem-lines.ts'

function renderOne({ value }: Told<AgentPlan>, columns: number): string {
  const lines = value.changes.flatMap(({ commands }) => commands)
  const problems = problemLines(value.problems, '#', columns)
  const title = `# ${value.node}: ${lines.length === 0 ? 'the kernel is as it should be' : `${value.changes.length} changes`}`
  return [title, ...problems, ...lines].join('\n')
}

/** Commands that a shell takes: all else is a comment. */
export function renderPlan(answers: readonly AgentAnswer<AgentPlan>[], columns: number): string {
  return renderAnswers(answers, (told) => renderOne(told, columns), { lineStart: '# ', columns })
}

export const planCommand: Command = {
  name: 'plan',
  summary: 'show what would change in the kernel now, as ip, bridge and nft commands',
  help: `usage: causeway plan [--node NAME] [--lab NAME] [--json]

The agents repair their kernels within a second, so there is something to see only while an object cannot be made.
Exit status 0 when nothing would change.

${agentOptionsHelp}`,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    const answers = await answersOf(values, 'plan')
    if (values.json) printJson(answers)
    else print(renderPlan(answers, outputColumns()))
    return answers.every(({ value }) => value !== undefined && value.changes.length === 0) ? 0 : 1
  },
}
