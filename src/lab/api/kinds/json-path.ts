// The simple JSON paths of additionalPrinterColumns: `.spec.a.b`, `.status.conditions[0].x`,
// `.status.conditions[?(@.type=="Ready")].status`, `.metadata.labels['a/b']`.
import { deepEqual, field, isArray, type Json } from '../json.ts'

type Step =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'filter'; readonly name: string; readonly value: Json }

const stepPattern =
  /\.([\w-]+(?:\\\.[\w-]+)*)|\[(\d{1,6})\]|\['([^']*)'\]|\[\?\(@\.([\w-]+)\s*==\s*(?:"([^"]*)"|'([^']*)'|(\d{1,15}|true|false))\)\]/y

/** Parses a path; undefined when it is malformed. */
export function parsePath(source: string): readonly Step[] | undefined {
  const steps: Step[] = []
  const pattern = new RegExp(stepPattern)
  if (!source.startsWith('.')) return undefined
  while (pattern.lastIndex < source.length) {
    const match = pattern.exec(source)
    if (match === null) return undefined
    const [, member, index, quoted, name, double, single, bare] = match
    if (index !== undefined) steps.push({ kind: 'index', index: Number(index) })
    else if (name !== undefined) steps.push({ kind: 'filter', name, value: double ?? single ?? literal(bare!) })
    else steps.push({ kind: 'member', name: quoted ?? member!.replaceAll('\\.', '.') })
  }
  return steps
}

function literal(source: string): Json {
  return source === 'true' || (source !== 'false' && Number(source))
}

/** The value at a path; with a filter, the first match. */
export function evaluate(value: Json, steps: readonly Step[]): Json | undefined {
  let at: Json | undefined = value
  for (const step of steps) {
    if (step.kind === 'member') at = field(at, step.name)
    else if (!isArray(at)) return undefined
    else if (step.kind === 'index') at = at[step.index]
    else at = at.find((item) => deepEqual(field(item, step.name), step.value))
  }
  return at
}
