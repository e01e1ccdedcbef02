// What a command is: one declaration of its name, its options and its actions, which parsing, help and completion read.
import { type OptionTable } from './args.ts'

export type Loaders = Readonly<Record<string, () => Promise<Command>>>

type Described = {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Paragraphs for `causeway help NAME`; lines are wrapped when they are shown. */
  readonly about?: string
  /** The command works but help does not show it: for the lab's own background processes. */
  readonly isHidden?: true
}

/** A command that does something. */
export type Action = Described & {
  readonly options: OptionTable
  /** The operands after the options, as help writes them: "CONFIG.json". */
  readonly operands?: string
  /** The required options, for the usage line. */
  readonly needs?: string
  /** The whole help text, where it does not follow from the above. */
  readonly help?: string
  /** Returns the exit status: 0 is yes, 1 is no. Throws when something goes wrong. */
  readonly run: (args: readonly string[]) => Promise<number>
}

/** A command whose first argument names an action. The code of an action is loaded when it is asked for. */
export type Group = Described & {
  readonly verbs: Loaders
  /** What the group does without the name of an action. */
  readonly bare?: Action
}

export type Command = Action | Group
