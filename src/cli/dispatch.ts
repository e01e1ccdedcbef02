// Finds the command that the words of a command line name.
import { didYouMean } from '#/lib/nearest.ts'
import { UsageError } from './args.ts'
import { type Action, type Command, type Group } from './command.ts'

export type Found<C extends Command = Command> = {
  /** "causeway lab up" */
  readonly path: string
  readonly command: C
  /** The arguments after the command's name. */
  readonly args: readonly string[]
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

/** The names of a group's actions, without the hidden ones. */
async function shownNames({ verbs }: Group): Promise<string[]> {
  const all = await Promise.all(Object.entries(verbs).map(async ([name, load]) => ({ name, verb: await load() })))
  return all.filter(({ verb }) => !verb.isHidden).map(({ name }) => name)
}

/** As far as `args` name a command; throws UsageError for a name that is none. */
export async function find(path: string, command: Command, args: readonly string[]): Promise<Found> {
  const [word, ...rest] = args
  if (!('verbs' in command) || word === undefined || word.startsWith('-')) return { path, command, args }
  const load = Object.hasOwn(command.verbs, word) ? command.verbs[word] : undefined
  if (load !== undefined) return find(`${path} ${word}`, await load(), rest)
  const names = await shownNames(command)
  const hint = didYouMean(word, names)
  if (path === 'causeway') throw new UsageError(`there is no command "${word}"${hint || `; there are ${list(names)}`}`)
  throw new UsageError(`${path.replace('causeway ', '')} ${word}: expected ${list(names)}${hint}`)
}

/** Finds an action. Throws UsageError where its name is missing and the group alone does nothing: "causeway lab" alone does not say what to do. */
export async function findAction(path: string, root: Command, args: readonly string[]): Promise<Found<Action>> {
  const found = await find(path, root, args)
  const { command } = found
  if (!('verbs' in command)) return { ...found, command }
  if (command.bare) return { ...found, command: command.bare }
  const names = await shownNames(command)
  const what = found.path.replace(/^causeway ?/, '')
  const [option] = found.args
  if (option !== undefined && what === '') {
    throw new UsageError(`there is no option ${option} here: the command comes first, such as: causeway ${names[0]}`)
  }
  throw new UsageError(
    option === undefined
      ? `${what}: expected ${list(names)}`
      : `${what} ${option}: what to do comes first: ${found.path} ${list(names)}`,
  )
}
