// Reads the untrusted fields of an object's spec: a malformed field is reported with its path, and its default is used. Never throws.
import { fieldsOf, isFields } from './kubernetes.ts'
import { type LabelSelector, labelSelectorOf, selectsNothing } from './label-selector.ts'

export type NumberRange = { readonly min: number; readonly max: number }

/** One mapping of the object and its path. null counts as absent, as in the API server. */
export class SpecReader {
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #at: string
  readonly #problems: string[]

  /** Problems are appended to `problems`. */
  constructor(fields: unknown, at: string, problems: string[]) {
    this.#fields = fieldsOf(fields)
    this.#at = at
    this.#problems = problems
    if (fields !== undefined && fields !== null && !isFields(fields)) problems.push(`${at}: is no mapping`)
  }

  refuse(field: string, why: string): void {
    this.#problems.push(`${this.#at}.${field}: ${why}`)
  }

  has(field: string): boolean {
    return this.value(field) !== undefined
  }

  value(field: string): unknown {
    return Object.hasOwn(this.#fields, field) ? (this.#fields[field] ?? undefined) : undefined
  }

  number(field: string, { min, max }: NumberRange): number | undefined {
    const value = this.value(field)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    this.refuse(field, `${shown(value)}: expected a whole number from ${min} to ${max}`)
    return undefined
  }

  flag(field: string): boolean | undefined {
    const value = this.value(field)
    if (value === undefined || typeof value === 'boolean') return value
    this.refuse(field, `${shown(value)}: expected true or false`)
    return undefined
  }

  choice<const T extends string>(field: string, choices: readonly T[]): T | undefined {
    const value = this.value(field)
    const choice = choices.find((each) => each === value)
    if (choice === undefined && value !== undefined)
      this.refuse(field, `${shown(value)}: expected one of ${choices.join(', ')}`)
    return choice
  }

  /** The field as a text; undefined when it is absent or empty. */
  text(field: string): string | undefined {
    const value = this.value(field)
    if (value === undefined || (typeof value === 'string' && value !== '')) return value
    this.refuse(field, `${shown(value)}: expected a text`)
    return undefined
  }

  /** The field as parsed by `read`, which returns the value or says in words what is wrong with the text. */
  parsed<T extends object>(field: string, read: (text: string) => T | string): T | undefined {
    const text = this.text(field)
    const value = text === undefined ? undefined : read(text)
    if (typeof value !== 'string') return value
    this.refuse(field, value)
    return undefined
  }

  /** The texts of a list in which `fault` finds nothing wrong. */
  texts(field: string, fault: (text: string) => string | undefined): string[] {
    const texts: string[] = []
    for (const [index, value] of this.#list(field).entries()) {
      const why = typeof value === 'string' ? fault(value) : 'expected a text'
      if (why === undefined) texts.push(value as string)
      else this.refuse(`${field}[${index}]`, `${shown(value)}: ${why}`)
    }
    return texts
  }

  /** The field as a label selector. Undefined when absent; a malformed one selects nothing. */
  selector(field: string): LabelSelector | undefined {
    const value = this.value(field)
    if (value === undefined) return undefined
    const selector = labelSelectorOf(value)
    if (typeof selector !== 'string') return selector
    this.refuse(field, selector)
    return selectsNothing
  }

  /** The mapping in a field; an empty one when the field is absent. */
  inner(field: string): SpecReader {
    return new SpecReader(this.value(field), `${this.#at}.${field}`, this.#problems)
  }

  /** The mappings in a list. */
  each(field: string): SpecReader[] {
    return this.#list(field).map(
      (value, index) => new SpecReader(value, `${this.#at}.${field}[${index}]`, this.#problems),
    )
  }

  #list(field: string): readonly unknown[] {
    const value = this.value(field) ?? []
    if (Array.isArray(value)) return value
    this.refuse(field, 'is no list')
    return []
  }
}

const shownCharacters = 60

/** A value as messages show it, cut so that no object fills a log. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text
}
