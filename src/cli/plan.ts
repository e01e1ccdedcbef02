// `causeway plan`: what the agents would change in their kernels now, as commands.
import { type AgentPlan } from '#/api/schemas/plan.ts'
import { agentOptions, agentOptionsNote, answersOf } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options } from './args.ts'
import { type Action } from './command.ts'
import { print, printJson } from './output.ts'
import { problemLines } from './problem-lines.ts'

function render(value: AgentPlan): string {
  const lines = value.changes.flatMap(({ commands }) => commands)
  const problems = problemLines(value.problems, '#')
  const title = `# ${value.node}: ${lines.length === 0 ? 'the kernel is as it should be' : `${value.changes.length} changes`}`
  return [title, ...problems, ...lines].join('\n')
}

export const planCommand: Action = {
  name: 'plan',
  summary: 'show what would change in the kernel now, as ip, bridge and nft commands',
  about: `The agents repair their kernels within a second, so there is something to see only while an object cannot be made.
Exit status 0 when nothing would change.

${agentOptionsNote}`,
  options: agentOptions,
  run: async (args) => {
    const { values, positionals } = options(args, agentOptions)
    noMore(positionals)
    const answers = await answersOf(values, 'plan')
    if (values.json) printJson(answers)
    else print(renderAnswers(answers, (_node, value) => render(value), '# '))
    return answers.every(({ value }) => value !== undefined && value.changes.length === 0) ? 0 : 1
  },
}
