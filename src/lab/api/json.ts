// JSON values as immutable data: a change makes a new value that shares the unchanged parts. Values come from outside, so only own
// properties are read.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export type JsonObject = { readonly [key: string]: Json | undefined }

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** Own property `key` of an object; undefined for anything else. */
export function field(value: Json | undefined, key: string): Json | undefined {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

/** The value at a path of own properties. */
export function dig(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let at = value
  for (const key of path) at = field(at, key)
  return at
}

/** Reads JSON text; throws SyntaxError. */
export function parseJson(source: string): Json {
  const value: Json = JSON.parse(source)
  return value
}

export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}

export function list(value: Json | undefined): readonly Json[] {
  return isArray(value) ? value : []
}

export function objects(value: Json | undefined): readonly JsonObject[] {
  return list(value).filter(isObject)
}

/** A copy without `keys`; the same value when it has none of them. */
export function without(value: JsonObject, ...keys: readonly string[]): JsonObject {
  if (!keys.some((key) => Object.hasOwn(value, key))) return value
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
}

/** Equality of JSON values; object member order does not matter, undefined members count as absent. */
export function deepEqual(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true
  if (isArray(left) && isArray(right)) {
    return left.length === right.length && left.every((item, index) => deepEqual(item, right[index]))
  }
  if (!isObject(left) || !isObject(right)) return false
  const keys = definedKeys(left)
  return (
    keys.length === definedKeys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && deepEqual(left[key], right[key]))
  )
}

function definedKeys(value: JsonObject): string[] {
  return Object.keys(value).filter((key) => value[key] !== undefined)
}

/** Text that is the same for equal values: JSON with sorted keys. */
export function canonical(value: Json): string {
  if (isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const members = definedKeys(value).toSorted()
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonical(value[key]!)}`).join(',')}}`
}

/** Why a value from outside is unsafe to work on; undefined when it is safe. */
export function hostility(value: Json | undefined, maxDepth = 500): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (maxDepth === 0) return 'it is nested too deeply'
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') return 'the member name "__proto__" is not accepted'
    const found = hostility(member ?? null, maxDepth - 1)
    if (found !== undefined) return found
  }
  return undefined
}
