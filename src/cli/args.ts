// Options of a command: node:util's parser with our errors, which name the option and what was expected.
import { parseArgs, type ParseArgsConfig } from 'node:util'

/** Wrong use of the command line: one line for the user, exit status 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

type OptionTypes = NonNullable<ParseArgsConfig['options']>
type Parsed<O extends OptionTypes> = ReturnType<
  typeof parseArgs<{ options: O; allowPositionals: true; strict: true; args: string[] }>
>

/** Throws UsageError for unknown options and missing values. */
export function options<O extends OptionTypes>(args: readonly string[], types: O): Parsed<O> {
  try {
    return parseArgs({ args: [...args], options: types, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.split('\n')[0]! : String(error))
  }
}

/** Throws UsageError unless there are just these positional arguments. */
export function noMore(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`)
}

export function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${option} "${text}": expected a whole number`)
  return Number(text)
}
