// Reads values by their schemas, and tells in words what does not match.
import { type BaseIssue, type GenericSchema, safeParse } from 'valibot'

/** Such as `objects[3].state`; '' for the value itself. */
function placeOf({ path }: BaseIssue<unknown>): string {
  return (path ?? [])
    .map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '')
}

/** Names the field, what is wrong with it and what was expected. */
function textOf(issue: BaseIssue<unknown>): string {
  const place = placeOf(issue)
  const field = place === '' ? '' : `${place}: `
  if (issue.kind === 'validation') return `${field}${issue.received} ${issue.message}`
  // of a missing field the issue tells the field's name as what was expected
  if (issue.received === 'undefined') return `${field}is missing`
  return `${field}expected ${issue.expected}, not ${issue.received}`
}

/** What came, or what is wrong with it. */
export type Read<T> = { readonly value: T } | { readonly mismatch: string }

/** The value as its schema reads it, or the first thing that is wrong with it. */
export function readWith(schema: GenericSchema, value: unknown): Read<unknown> {
  const { issues, output } = safeParse(schema, value, { abortEarly: true })
  return issues ? { mismatch: textOf(issues[0]) } : { value: output }
}

function undeclaredIn(declared: unknown, value: unknown, place: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, inner] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${place}[${key}]` : place === '' ? key : `${place}.${key}`
    // JSON leaves such a field out
    if (inner === undefined) continue
    if (!Object.hasOwn(declared as object, key)) return `${at}: the schema does not declare it`
    const found = undeclaredIn((declared as Record<string, unknown>)[key], inner, at)
    if (found !== undefined) return found
  }
  return undefined
}

/** What is wrong with a value of our own making: a field that its schema does not declare is wrong too. */
export function strictMismatchOf(schema: GenericSchema, value: unknown): string | undefined {
  const read = readWith(schema, value)
  // what a schema reads has the declared fields alone
  return 'mismatch' in read ? read.mismatch : undeclaredIn(read.value, value, '')
}
