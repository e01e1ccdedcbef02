// The command line: a table of commands, and what every one of them shares: help, errors, exit status.
import { messageOf } from '#/lib/log.ts'
import { UsageError } from './args.ts'
import { agentCommand } from './agent.ts'
import { cleanCommand } from './clean.ts'
import { type Command, print } from './command.ts'
import { controllerCommand } from './controller.ts'
import { labCommand } from './lab.ts'
import { planCommand } from './plan.ts'
import { statusCommand } from './status.ts'

const commands: readonly Command[] = [
  labCommand,
  statusCommand,
  planCommand,
  cleanCommand,
  agentCommand,
  controllerCommand,
]

const help = `causeway: node-to-node networking for Kubernetes that shows its work

usage: causeway COMMAND [OPTIONS]

${commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join('\n')}
  ${'help'.padEnd(12)}help on a command: causeway help lab

Exit status: 0 yes, 1 no or failed, 2 wrong use.`

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '-h' || name === '--help' || (name === 'help' && args.length === 0)) {
    print(help)
    return name === undefined ? 2 : 0
  }
  const wanted = name === 'help' ? args[0] : name
  const command = commands.find((each) => each.name === wanted)
  if (command === undefined) {
    throw new UsageError(`there is no command "${wanted}"; there are ${commands.map((each) => each.name).join(', ')}`)
  }
  if (name === 'help' || args.includes('--help') || args.includes('-h')) {
    print(command.help)
    return 0
  }
  return command.run(args)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(`causeway: ${messageOf(error)}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
