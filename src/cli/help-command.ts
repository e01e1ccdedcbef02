// `causeway help`: the help of any command.
import { type Action, type Group } from './command.ts'
import { find } from './dispatch.ts'
import { helpOf } from './help.ts'
import { print } from './output.ts'

export function helpCommand(root: Group): Action {
  return {
    name: 'help',
    summary: 'help on a command: causeway help lab up',
    options: {},
    operands: '[COMMAND]',
    run: async (args) => {
      const { path, command } = await find(root.name, root, args)
      print(await helpOf(path, command))
      return 0
    },
  }
}
