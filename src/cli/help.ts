// Help of a command, from its declaration.
import { wrapText, wrapWords } from '#/lib/wrap.ts'
import { type OptionDeclaration, type OptionTable } from './args.ts'
import { type Action, type Command } from './command.ts'
import { helpWidth } from './output.ts'

/** Options whose names are longer have their description in the next line. */
const widestName = 24

function defaultOf({ default: text, shownDefault }: OptionDeclaration): string {
  const shown = shownDefault ?? text
  return shown === undefined || shown === '' ? '' : ` (${shown})`
}

function describe(declaration: OptionDeclaration): string {
  const { help, choices, alias, short, multiple } = declaration
  const others = [...(alias === undefined ? [] : [`--${alias}`]), ...(short === undefined ? [] : [`-${short}`])]
  const parts = [
    help,
    ...(choices === undefined ? [] : [choices.join(', ')]),
    ...(multiple ? ['may be repeated'] : []),
    ...(others.length === 0 ? [] : [`also ${others.join(', ')}`]),
  ]
  const [first, ...rest] = parts
  return `${first}${rest.length === 0 ? '' : `: ${rest.join('; ')}`}${defaultOf(declaration)}`
}

function optionLines(table: OptionTable, width: number): string[] {
  const entries = Object.entries(table).map(([name, declaration]) => ({
    left: `  --${name}${declaration.type === 'string' ? ` ${declaration.value ?? 'VALUE'}` : ''}`,
    text: describe(declaration),
  }))
  const column = Math.min(widestName, Math.max(0, ...entries.map(({ left }) => left.length))) + 2
  return entries.flatMap(({ left, text }) => {
    const lines = wrapWords(text, width - column).map((line) => ' '.repeat(column) + line)
    if (left.length > column - 2) return [left, ...lines]
    return [left + lines[0]!.slice(left.length), ...lines.slice(1)]
  })
}

function actionHelp(path: string, action: Action, width: number): string {
  const { about, options, operands, needs, help, summary } = action
  if (help !== undefined) return wrapText(help, width)
  const lines = optionLines(options, width)
  const usage = ['usage:', path, needs, operands, lines.length > 0 && '[OPTIONS]'].filter(Boolean).join(' ')
  const parts = [wrapText(usage, width), wrapText(about ?? `${summary[0]!.toUpperCase()}${summary.slice(1)}.`, width)]
  return [...parts, ...(lines.length > 0 ? [lines.join('\n')] : [])].join('\n\n')
}

/** `verbs` are the actions of a group, in their order. No line is longer than `width`. */
export function commandHelp(path: string, command: Command, verbs: readonly Command[], width: number): string {
  if (!('verbs' in command)) return actionHelp(path, command, width)
  const shown = verbs.filter(({ isHidden }) => !isHidden)
  const column = Math.max(...shown.map(({ name }) => name.length)) + 4
  const rows = shown.map(({ name, summary }) => wrapText(`  ${name.padEnd(column)}${summary}`, width))
  const names = path === 'causeway' ? 'COMMAND' : shown.map(({ name }) => name).join('|')
  const { bare } = command
  return [
    wrapText(`usage: ${path} ${bare ? `[${names}]` : names} [OPTIONS]`, width),
    ...(command.about === undefined ? [] : [wrapText(command.about, width)]),
    rows.join('\n'),
    ...(bare ? [`Options of ${path} alone:\n${optionLines(bare.options, width).join('\n')}`] : []),
    wrapText(`Options of each: ${path.replace('causeway', 'causeway help')} ${shown[0]!.name}`, width),
    'Exit status: 0 yes, 1 no or failed, 2 wrong use.',
  ].join('\n\n')
}

/** The text of a command's help; of a group this loads every action's code. */
export async function helpOf(path: string, command: Command): Promise<string> {
  const verbs = 'verbs' in command ? await Promise.all(Object.values(command.verbs).map(async (load) => load())) : []
  return commandHelp(path, command, verbs, helpWidth)
}
