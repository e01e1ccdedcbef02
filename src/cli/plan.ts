// `causeway plan`: what the agents would change in their kernels now, as commands.
import { type AgentPlan } from '#/api/schemas/plan.ts'
import { type AgentAnswer, agentOptions, agentOptionsHelp, answersOf } from './agents.ts'
import { noMore, options } from './args.ts'
import { type Command, print, printJson } from './command.ts'
import { problemLines } from './problem-lines.ts'

function render({ node, value, error }: AgentAnswer<AgentPlan>): string {
  if (value === undefined) return `# ${node}: ${error}`
  const lines = value.changes.flatMap(({ commands }) => commands)
  const problems = problemLines(value.problems, '#')
  const title = `# ${value.node}: ${lines.length === 0 ? 'the kernel is as it should be' : `${value.changes.length} changes`}`
  return [title, ...problems, ...lines].join('\n')
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
    else print(answers.map(render).join('\n\n'))
    return answers.every(({ value }) => value !== undefined && value.changes.length === 0) ? 0 : 1
  },
}
