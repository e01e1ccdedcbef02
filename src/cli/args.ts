// Options of a command: one table of them is read by parsing, help and completion. node:util's tokenizer, our errors.
import { parseArgs } from 'node:util'
import { didYouMean } from '#/lib/nearest.ts'

/** Wrong use of the command line: one line for the user, exit status 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

export type OptionDeclaration = {
  readonly type: 'string' | 'boolean'
  /** The placeholder for the value in help: "NAME". FILE and DIR are completed as such. */
  readonly value?: string
  readonly help: string
  /** The value when the option is not given. */
  readonly default?: string
  /** The default as help shows it, where that is not the text of `default`. */
  readonly shownDefault?: string
  readonly choices?: readonly string[]
  readonly multiple?: true
  /** Another name of the same option. */
  readonly alias?: string
  /** A letter for it, which only options have that kubectl has with the same letter. */
  readonly short?: string
}

export type OptionTable = Readonly<Record<string, OptionDeclaration>>

type One<D extends OptionDeclaration> = D extends { type: 'boolean' }
  ? boolean
  : D extends { choices: readonly (infer C)[] }
    ? C
    : string
type Value<D extends OptionDeclaration> = D extends { multiple: true }
  ? One<D>[] | undefined
  : D extends { default: string }
    ? One<D>
    : One<D> | undefined

export type Values<T extends OptionTable> = { readonly [K in keyof T]: Value<T[K]> }
export type Parsed<T extends OptionTable> = {
  readonly values: Values<T>
  readonly positionals: readonly string[]
  /** The names of the options that were given; the others have their defaults. */
  readonly given: ReadonlySet<string>
}

/** Every name that a table's options have, without dashes. */
export function optionNames(table: OptionTable): string[] {
  return Object.entries(table).flatMap(([name, { alias }]) => (alias === undefined ? [name] : [name, alias]))
}

function checkedValue(option: string, declaration: OptionDeclaration, text: string): string {
  const { choices } = declaration
  if (choices === undefined || choices.includes(text)) return text
  throw new UsageError(`${option} "${text}": expected ${choices.join(', ')}${didYouMean(text, choices)}`)
}

/** Reads options. Throws UsageError for unknown options, missing values, and values that are none of the choices. */
export function options<const T extends OptionTable>(args: readonly string[], table: T): Parsed<T> {
  const names = new Map(
    Object.entries(table).flatMap(([name, { alias }]) => [[name, name] as const, [alias ?? name, name] as const]),
  )
  const types = Object.fromEntries(
    [...names].map(([name, own]) => {
      const { type, short } = table[own]!
      return [name, { type, ...(short !== undefined && name === own && { short }) }]
    }),
  )
  const { tokens } = parseArgs({ args: [...args], options: types, strict: false, allowPositionals: true, tokens: true })
  const values: Record<string, string | boolean | string[] | undefined> = Object.fromEntries(
    Object.entries(table).flatMap(([name, { default: text }]) => (text === undefined ? [] : [[name, text]])),
  )
  const positionals: string[] = []
  const given = new Set<string>()
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const own = names.get(token.name)
    // only long options have names of several letters
    const option = token.rawName
    if (own === undefined || (!option.startsWith('--') && option !== `-${table[own]!.short}`)) {
      const known = optionNames(table).map((name) => `--${name}`)
      throw new UsageError(`there is no option ${option}${didYouMean(option, known)}`)
    }
    const declaration = table[own]!
    if (declaration.type === 'boolean') {
      if (token.value !== undefined) throw new UsageError(`${option} takes no value`)
      values[own] = true
    } else {
      const example = `${option}${token.inlineValue === true ? '=' : ' '}${declaration.value ?? 'VALUE'}`
      if (token.value === undefined) throw new UsageError(`${option} needs a value: ${example}`)
      if (!token.inlineValue && token.value.startsWith('-') && token.value.length > 1)
        throw new UsageError(
          `${option} needs a value: ${example}; if the value is "${token.value}", write ${option}=${token.value}`,
        )
      const text = checkedValue(option, declaration, token.value)
      const before = values[own]
      values[own] = declaration.multiple ? [...(Array.isArray(before) ? before : []), text] : text
    }
    given.add(own)
  }
  return { values: values as Values<T>, positionals, given }
}

/** Throws UsageError when there are positional arguments. */
export function noMore(positionals: readonly string[]): void {
  if (positionals.length > 0) throw new UsageError(`unexpected argument "${positionals[0]}"`)
}

export function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${option} "${text}": expected a whole number`)
  return Number(text)
}
