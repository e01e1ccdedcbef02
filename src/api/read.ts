// Reads values by their schemas, and describes what does not match.
import { type BaseIssue, type GenericSchema, safeParse } from 'valibot'

/** The path of the field that is wrong, such as `objects[3].state`; '' for the value itself. */
function placeOf({ path }: BaseIssue<unknown>): string {
  return (path ?? [])
    .map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
}

/** Describes the issue: the field, what is wrong with it and what was expected. */
function textOf(issue: BaseIssue<unknown>): string {
  const place = placeOf(issue)
  const field = place === '' ? '' : `${place}: `
  if (issue.kind === 'validation') return `${field}${issue.received} ${issue.message}`
  // for a missing field, `issue.expected` would be the field's name
  if (issue.received === 'undefined') return `${field}is missing`
  return `${field}expected ${issue.expected}, not ${issue.received}`
}

/** The value that was read, or what is wrong with it. */
export type Read<T> = { readonly value: T } | { readonly mismatch: string }

/** Reads a value by its schema; returns the first mismatch if there is one. */
export function readWith(schema: GenericSchema, value: unknown): Read<unknown> {
  const { issues, output } = safeParse(schema, value, { abortEarly: true })
  return issues ? { mismatch: textOf(issues[0]) } : { value: output }
}

function undeclaredIn(declared: unknown, value: unknown, place: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, inner] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${place}[${key}]` : place === '' ? key : `${place}.${key}`
    // JSON.stringify leaves out a field whose value is undefined
    if (inner === undefined) continue
    if (!Object.hasOwn(declared as object, key)) return `${at}: the schema does not declare it`
    const found = undeclaredIn((declared as Record<string, unknown>)[key], inner, at)
    if (found !== undefined) return found
  }
  return undefined
}

/** What is wrong with a value that this program made: here an undeclared field counts as a mismatch too. */
export function strictMismatchOf(schema: GenericSchema, value: unknown): string | undefined {
  const read = readWith(schema, value)
  // `read.value` has only the fields that the schema declares
  return 'mismatch' in read ? read.mismatch : undeclaredIn(read.value, value, '')
}
