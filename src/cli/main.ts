// The command line, with the parts that all commands share: signals, output, help, errors, exit status.
// signals.ts comes first, so that no signal is lost while the other modules load
import './signals.ts'
import { messageOf } from '#/lib/log.ts'
import { UsageError } from './args.ts'
import { rootCommand } from './commands.ts'
import { find, findAction } from './dispatch.ts'
import { helpOf } from './help.ts'
import { complain, guardOutput, isOutputLost, print } from './output.ts'

function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 0) {
    print(await helpOf('causeway', rootCommand))
    return 2
  }
  const words = args[0] === '--version' ? ['version', ...args.slice(1)] : args
  if (wantsHelp(words)) {
    const { path, command } = await find('causeway', rootCommand, words)
    print(await helpOf(path, command))
    return 0
  }
  const action = await findAction('causeway', rootCommand, words)
  return action.command.run(action.args)
}

guardOutput()
// no await at the top level: the bundle is CommonJS (docs/decisions/0004-bundle.md)
void main(process.argv.slice(2))
  .catch((error: unknown) => {
    complain(`causeway: ${messageOf(error)}`)
    return error instanceof UsageError ? 2 : 1
  })
  .then((status) => {
    process.exitCode = status
    // a failed write is reported only a moment later
    process.on('exit', () => {
      if (isOutputLost() && status === 0) process.exitCode = 1
    })
  })
