// Pruning and defaulting, which bring an object into the form of its schema before validation.
import { isArray, isObject, type Json, type JsonObject } from '../json.ts'
import type { SchemaNode } from './schema.ts'

/**
 * `value` without members that the schema does not know. The paths of dropped members are added to `unknown`; nulls are dropped as in Go.
 */
export function prune(value: Json, node: SchemaNode, unknown: string[] = [], path = ''): Json {
  if (isArray(value)) {
    const { items } = node
    return items === undefined ? value : value.map((item, index) => prune(item, items, unknown, `${path}[${index}]`))
  }
  if (!isObject(value)) return value
  const kept: [string, Json | undefined][] = []
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    const at = path === '' ? key : `${path}.${key}`
    const type = node.member(key)
    if (type === undefined) {
      if (node.keepsUnknown || (node.schema['x-kubernetes-embedded-resource'] === true && isIdentity(key)))
        kept.push([key, member])
      else unknown.push(at)
    } else if (member !== null || type.schema.nullable === true || type.schema.type === undefined) {
      kept.push([key, prune(member, type, unknown, at)])
    }
  }
  return Object.fromEntries(kept)
}

function isIdentity(key: string): boolean {
  return key === 'apiVersion' || key === 'kind' || key === 'metadata'
}

/** `value` with the schema's defaults for members that are missing, or that are null and not nullable. */
export function applyDefaults(value: Json, node: SchemaNode): Json {
  if (isArray(value)) {
    const { items } = node
    return items === undefined ? value : value.map((item) => applyDefaults(item, items))
  }
  if (!isObject(value)) return value
  const result: JsonObject = Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const type = node.member(key)
      return [key, type === undefined || member === undefined ? member : applyDefaults(member, type)]
    }),
  )
  return { ...result, ...missingDefaults(result, node) }
}

function missingDefaults(value: JsonObject, node: SchemaNode): JsonObject {
  const missing: [string, Json][] = []
  for (const key of Object.keys(node.schema.properties ?? {})) {
    const type = node.property(key)!
    const present = Object.hasOwn(value, key) ? value[key] : undefined
    const isMissing = present === undefined || (present === null && type.schema.nullable !== true)
    if (isMissing && type.schema.default !== undefined) missing.push([key, applyDefaults(type.schema.default, type)])
  }
  return Object.fromEntries(missing)
}
