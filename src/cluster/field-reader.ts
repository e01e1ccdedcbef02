// Reads fields of a configuration file; every error names the file and the path to the field.
import { isFields } from '#/model/kubernetes.ts'
import { ConfigError } from './config.ts'

type Place = { readonly file: string; readonly at: string }

/** One mapping of the file. null and "" count as absent, as they do for kubectl. */
export class FieldReader {
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #place: Place

  constructor(fields: Readonly<Record<string, unknown>>, place: Place) {
    this.#fields = fields
    this.#place = place
  }

  get file(): string {
    return this.#place.file
  }

  /** A field's full name for errors: "kubeconfig /path: users[admin].user.token". */
  nameOf(field: string): string {
    return `${this.#place.file}: ${this.#pathOf(field)}`
  }

  error(field: string, problem: string): ConfigError {
    return new ConfigError(`${this.nameOf(field)}: ${problem}`)
  }

  /** The same mapping; errors name its list entry by this name instead of by its number. */
  labelled(name: string): FieldReader {
    return new FieldReader(this.#fields, { ...this.#place, at: this.#place.at.replace(/\[\d+\]$/, `[${name}]`) })
  }

  has(field: string): boolean {
    return this.#value(field) !== undefined
  }

  refuse(field: string, why: string): void {
    if (this.has(field)) throw this.error(field, why)
  }

  text(field: string): string {
    const text = this.optionalText(field)
    if (text === undefined) throw this.error(field, 'is missing')
    return text
  }

  optionalText(field: string): string | undefined {
    const value = this.#value(field)
    if (value !== undefined && typeof value !== 'string') throw this.error(field, `is ${typeof value}, expected text`)
    return value
  }

  optionalBoolean(field: string): boolean | undefined {
    const value = this.#value(field)
    if (value !== undefined && typeof value !== 'boolean') throw this.error(field, 'is neither true nor false')
    return value
  }

  optionalTexts(field: string): string[] {
    return this.#listOf(field).map((value, index) => {
      if (typeof value !== 'string') throw this.error(`${field}[${index}]`, 'is no text')
      return value
    })
  }

  optionalList(field: string): FieldReader[] {
    return this.#listOf(field).map((value, index) => {
      if (!isFields(value)) throw this.error(`${field}[${index}]`, 'is no mapping')
      return new FieldReader(value, { ...this.#place, at: this.#pathOf(`${field}[${index}]`) })
    })
  }

  /** The mapping under a field, or an empty one where the field is absent. */
  optionalObject(field: string): FieldReader {
    const value = this.#value(field) ?? {}
    if (!isFields(value)) throw this.error(field, 'is no mapping')
    return new FieldReader(value, { ...this.#place, at: this.#pathOf(field) })
  }

  #value(field: string): unknown {
    const value = Object.hasOwn(this.#fields, field) ? this.#fields[field] : undefined
    return value === null || value === '' ? undefined : value
  }

  #listOf(field: string): readonly unknown[] {
    const value = this.#value(field) ?? []
    if (!Array.isArray(value)) throw this.error(field, 'is no list')
    return value
  }

  #pathOf(field: string): string {
    return this.#place.at === '' ? field : `${this.#place.at}.${field}`
  }
}
