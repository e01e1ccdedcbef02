// Checks a value against a schema: the validation of OpenAPI v3 with the messages of kube-apiserver.
import { duplicate, invalidValue, required, tooMany, unsupported, type Cause } from '../api-error.ts'
import { canonical, deepEqual, field, isArray, isObject, type Json, type JsonObject } from '../json.ts'
import type { Schema, SchemaNode } from './schema.ts'
import { SchemaNode as Node } from './schema.ts'

/** All faults of `value`; an empty list when it fits. */
export function check(value: Json, node: SchemaNode, path = ''): Cause[] {
  const { schema } = node
  if (value === null) return schema.nullable === true ? [] : [typeError(path, value, schema)]
  if (!hasType(value, schema)) return [typeError(path, value, schema)]
  return [
    ...checkEnum(value, schema, path),
    ...(typeof value === 'string' ? checkText(value, schema, path) : []),
    ...(typeof value === 'number' ? checkNumber(value, schema, path) : []),
    ...(isArray(value) ? checkArray(value, node, path) : []),
    ...(isObject(value) ? checkObject(value, node, path) : []),
    ...checkCombined(value, node, path),
  ]
}

export function typeName(value: Json): string {
  if (value === null) return 'null'
  if (isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function hasType(value: Json, schema: Schema): boolean {
  const actual = typeName(value)
  if (schema['x-kubernetes-int-or-string'] === true)
    return actual === 'integer' || actual === 'string' || (schema.format === 'quantity' && actual === 'number')
  return schema.type === undefined || schema.type === actual || (schema.type === 'number' && actual === 'integer')
}

function typeError(path: string, value: Json, schema: Schema): Cause {
  const wanted = schema.type ?? 'integer or string'
  return {
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: "${typeName(value)}": ${path || 'value'} in body must be of type ${wanted}: "${typeName(value)}"`,
    field: path,
  }
}

function checkEnum(value: Json, schema: Schema, path: string): Cause[] {
  if (schema.enum === undefined || schema.enum.some((allowed) => deepEqual(allowed, value))) return []
  return [unsupported(path, value, schema.enum)]
}

function checkText(value: string, schema: Schema, path: string): Cause[] {
  const causes: Cause[] = []
  const length = Array.from(value).length
  if (schema.minLength !== undefined && length < schema.minLength) {
    causes.push(invalidValue(path, value, `${path} in body should be at least ${schema.minLength} chars long`))
  }
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    const message = `Too long: may not be more than ${schema.maxLength} bytes`
    causes.push({ reason: 'FieldValueTooLong', message, field: path })
  }
  if (schema.pattern !== undefined && !patternOf(schema.pattern).test(value)) {
    causes.push(invalidValue(path, value, `${path} in body should match '${schema.pattern}'`))
  }
  if (schema.format === 'date-time' && Number.isNaN(Date.parse(value))) {
    causes.push(invalidValue(path, value, `${path} in body must be of type date-time: ${JSON.stringify(value)}`))
  }
  return causes
}

const patterns = new Map<string, RegExp>()

/** Compiles a pattern. kube-apiserver uses RE2; the common subset has the same meaning here. */
function patternOf(source: string): RegExp {
  let pattern = patterns.get(source)
  if (pattern === undefined) {
    pattern = new RegExp(source, 'u')
    patterns.set(source, pattern)
  }
  return pattern
}

function checkNumber(value: number, schema: Schema, path: string): Cause[] {
  const { minimum, maximum, multipleOf } = schema
  const causes: Cause[] = []
  const low = schema.exclusiveMinimum === true ? 'greater than' : 'greater than or equal to'
  const high = schema.exclusiveMaximum === true ? 'less than' : 'less than or equal to'
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    causes.push(invalidValue(path, value, `${path} in body should be ${low} ${minimum}`))
  }
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    causes.push(invalidValue(path, value, `${path} in body should be ${high} ${maximum}`))
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    causes.push(invalidValue(path, value, `${path} in body should be a multiple of ${multipleOf}`))
  }
  return causes
}

function checkArray(value: readonly Json[], node: SchemaNode, path: string): Cause[] {
  const { schema, items } = node
  const causes = items === undefined ? [] : value.flatMap((item, index) => check(item, items, `${path}[${index}]`))
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    causes.push(invalidValue(path, value.length, `${path} in body should have at least ${schema.minItems} items`))
  }
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    causes.push(tooMany(path, value.length, schema.maxItems))
  }
  if (schema.uniqueItems === true || schema['x-kubernetes-list-type'] === 'set')
    causes.push(...checkUnique(value, path))
  const keys = schema['x-kubernetes-list-map-keys']
  if (keys !== undefined)
    causes.push(
      ...checkUnique(
        value.map((item) => keys.map((key) => field(item, key) ?? null)),
        path,
      ),
    )
  return causes
}

function checkUnique(value: readonly Json[], path: string): Cause[] {
  const seen = new Set<string>()
  const causes: Cause[] = []
  for (const [index, item] of value.entries()) {
    const identity = canonical(item)
    if (seen.has(identity)) causes.push(duplicate(`${path}[${index}]`, item))
    seen.add(identity)
  }
  return causes
}

function checkObject(value: JsonObject, node: SchemaNode, path: string): Cause[] {
  const { schema } = node
  const at = (key: string): string =>
    path === '' ? key : node.property(key) === undefined ? `${path}[${key}]` : `${path}.${key}`
  const causes = (schema.required ?? [])
    .filter((key) => field(value, key) === undefined)
    .map((key) => required(at(key)))
  const size = Object.keys(value).length
  if (schema.minProperties !== undefined && size < schema.minProperties) {
    causes.push(invalidValue(path, size, `${path} in body should have at least ${schema.minProperties} properties`))
  }
  if (schema.maxProperties !== undefined && size > schema.maxProperties) {
    causes.push(tooMany(path, size, schema.maxProperties))
  }
  for (const [key, member] of Object.entries(value)) {
    const type = member === undefined ? undefined : node.member(key)
    if (type !== undefined) causes.push(...check(member!, type, at(key)))
  }
  return causes
}

function checkCombined(value: Json, node: SchemaNode, path: string): Cause[] {
  const { allOf, anyOf, oneOf, not } = node.schema
  const fits = (schema: Schema): boolean => check(value, new Node(schema, new Map()), path).length === 0
  const causes = (allOf ?? []).flatMap((schema) => check(value, new Node(schema, new Map()), path))
  const shown = typeof value === 'object' ? typeName(value) : value
  if (anyOf !== undefined && !anyOf.some(fits))
    causes.push(invalidValue(path, shown, `${path} in body must validate at least one schema (anyOf)`))
  if (oneOf !== undefined && oneOf.filter(fits).length !== 1)
    causes.push(invalidValue(path, shown, `${path} in body must validate one and only one schema (oneOf)`))
  if (not !== undefined && fits(not))
    causes.push(invalidValue(path, shown, `${path} in body must not validate the schema (not)`))
  return causes
}
