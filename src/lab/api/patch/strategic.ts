// Strategic merge patch: a JSON merge patch that takes from the schema which lists are merged, and by which key (apimachinery
// pkg/util/strategicpatch; community/contributors/devel/sig-api-machinery/strategic-merge-patch.md).
import { canonical, field, isArray, isObject, type Json, type JsonObject } from '../json.ts'
import type { SchemaNode } from '../schema/schema.ts'

/** The patch uses a directive that does not exist or is not allowed in that place. */
export class StrategicPatchError extends Error {
  override name = 'StrategicPatchError'
}

const directive = '$patch'
const retainKeys = '$retainKeys'
const orderPrefix = '$setElementOrder/'
const deletePrefix = '$deleteFromPrimitiveList/'

type Type = SchemaNode | undefined

/** Applies `patch` to `original`; throws StrategicPatchError. */
export function strategicMerge(original: JsonObject, patch: JsonObject, type: Type): JsonObject {
  return mergeObject(original, patch, type) ?? {}
}

/** Merges two objects; undefined when the patch deletes the object. */
function mergeObject(original: JsonObject, patch: JsonObject, type: Type): JsonObject | undefined {
  switch (patch[directive]) {
    case 'delete':
      return undefined
    case 'replace':
      return Object.fromEntries(Object.entries(patch).filter(([key]) => key !== directive))
    case 'merge':
    case undefined:
      break
    default:
      throw new StrategicPatchError(`unknown patch type found: ${JSON.stringify(patch[directive])}`)
  }
  const result = new Map(Object.entries(retained(original, patch)))
  for (const [key, value] of Object.entries(patch)) {
    if (key === directive || key === retainKeys || value === undefined) continue
    if (key.startsWith(orderPrefix) || key.startsWith(deletePrefix)) continue
    const merged =
      value === null ? undefined : mergeValue(result.get(key), value, type?.member(key), listHints(patch, key))
    if (merged === undefined) result.delete(key)
    else result.set(key, merged)
  }
  applyLoneDirectives(result, patch, type)
  return Object.fromEntries(result)
}

type Hints = { readonly order: readonly Json[] | undefined; readonly deletions: readonly Json[] }

function listHints(patch: JsonObject, key: string): Hints {
  const order = field(patch, orderPrefix + key)
  return { order: isArray(order) ? order : undefined, deletions: asList(patch, deletePrefix + key) }
}

function asList(patch: JsonObject, key: string): readonly Json[] {
  const value = field(patch, key)
  if (value === undefined) return []
  if (!isArray(value)) throw new StrategicPatchError(`${key} must be a list`)
  return value
}

/** Applies order and deletion directives to lists that the patch does not mention otherwise. */
function applyLoneDirectives(result: Map<string, Json | undefined>, patch: JsonObject, type: Type): void {
  const named = Object.keys(patch).filter((key) => key.startsWith(orderPrefix) || key.startsWith(deletePrefix))
  for (const key of new Set(named.map((name) => name.slice(name.indexOf('/') + 1)))) {
    const current = result.get(key)
    if (Object.hasOwn(patch, key) || !isArray(current)) continue
    result.set(key, mergeList(current, [], type?.member(key), listHints(patch, key)))
  }
}

function retained(original: JsonObject, patch: JsonObject): JsonObject {
  const keep = patch[retainKeys]
  if (keep === undefined) return original
  if (!isArray(keep)) throw new StrategicPatchError('$retainKeys must be a list')
  return Object.fromEntries(Object.entries(original).filter(([key]) => keep.includes(key)))
}

function mergeValue(original: Json | undefined, patch: Json, type: Type, hints: Hints): Json | undefined {
  if (isObject(patch)) return mergeObject(isObject(original) ? original : {}, patch, type)
  if (!isArray(patch)) return patch
  if (type?.schema['x-kubernetes-patch-strategy']?.includes('merge') !== true) return patch.map(clean)
  return mergeList(isArray(original) ? original : [], patch, type, hints)
}

/** A patch value where the original has none: without directives and nulls. */
function clean(value: Json): Json {
  if (isArray(value)) return value.map(clean)
  if (!isObject(value)) return value
  const members = Object.entries(value).filter(([key, member]) => member !== null && !key.startsWith('$'))
  return Object.fromEntries(members.map(([key, member]) => [key, clean(member!)]))
}

function mergeList(original: readonly Json[], patch: readonly Json[], type: Type, { order, deletions }: Hints): Json {
  const mergeKey = type?.schema['x-kubernetes-patch-merge-key']
  if (mergeKey === undefined) {
    const union = new Map([...original, ...patch].map((item) => [canonical(item), item]))
    for (const item of deletions) union.delete(canonical(item))
    return ordered([...union.values()], original, order, canonical)
  }
  const merged = mergeByKey(original, patch, mergeKey, type)
  return ordered(merged, original, order, (item) => identity(item, mergeKey))
}

/** The text of an item's merge key, which identifies it; throws when the item has none. */
function identity(item: Json, mergeKey: string): string {
  const key = field(item, mergeKey)
  if (key === undefined)
    throw new StrategicPatchError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`)
  return canonical(key)
}

function mergeByKey(original: readonly Json[], patch: readonly Json[], mergeKey: string, type: Type): Json[] {
  const bare = (item: Json): boolean =>
    isObject(item) && item[directive] !== undefined && field(item, mergeKey) === undefined
  const replaces = patch.some((item) => bare(item) && field(item, directive) === 'replace')
  const changes = patch.filter((item) => !bare(item))
  if (replaces) return changes.map(clean)
  let result = [...original]
  for (const change of changes) {
    if (!isObject(change))
      throw new StrategicPatchError(`a list merged by ${mergeKey} holds objects, not ${JSON.stringify(change)}`)
    const id = identity(change, mergeKey)
    const at = result.findIndex((item) => identity(item, mergeKey) === id)
    const before = at < 0 ? undefined : result[at]
    const after = mergeObject(isObject(before) ? before : {}, change, type?.items)
    if (after === undefined) result = result.filter((item) => identity(item, mergeKey) !== id)
    else if (at < 0) result.push(clean(after))
    else result[at] = after
  }
  return result
}

/**
 * Sorts by the patch's order; items that only the server has keep their place relative to their neighbours (normalizeElementOrder in
 * strategicpatch).
 */
function ordered(
  items: readonly Json[],
  original: readonly Json[],
  order: readonly Json[] | undefined,
  identify: (item: Json) => string,
): Json[] {
  if (order === undefined) return [...items]
  const wanted = new Map(order.map((item, index) => [identify(item), index]))
  const before = new Map(original.map((item, index) => [identify(item), index]))
  const rank = (item: Json): number => wanted.get(identify(item))!
  const known = items.filter((item) => wanted.has(identify(item))).sort((a, b) => rank(a) - rank(b))
  const serverOnly = items.filter((item) => !wanted.has(identify(item)))
  const result: Json[] = []
  while (known.length > 0 && serverOnly.length > 0) {
    const left = before.get(identify(known[0]!))
    const right = before.get(identify(serverOnly[0]!))
    result.push(left !== undefined && right !== undefined && right < left ? serverOnly.shift()! : known.shift()!)
  }
  return [...result, ...known, ...serverOnly]
}
