// The version of this program, from package.json, which is two folders up from the source and from the bundle.
import { readFileSync } from 'node:fs'
import { noMore, options } from './args.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'

export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export const versionCommand: Action = {
  name: 'version',
  summary: 'print the version of this program',
  options: {},
  run: async (args) => {
    noMore(options(args, {}).positionals)
    print(`causeway ${version()}`)
    return 0
  },
}
