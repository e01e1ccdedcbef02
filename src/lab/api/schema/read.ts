// Checks schemas from CustomResourceDefinitions: every keyword must have its type before other code walks through them.
import { isArray, isObject, type Json, type JsonObject } from '../json.ts'
import type { Schema } from './schema.ts'

type Shape = (value: Json) => boolean

const isText: Shape = (value) => typeof value === 'string'
const isNumber: Shape = (value) => typeof value === 'number'
const isFlag: Shape = (value) => typeof value === 'boolean'
const isTexts: Shape = (value) => isArray(value) && value.every(isText)
const isSchemas: Shape = (value) => isArray(value) && value.every(isSchemaValue)
const isSchemaMap: Shape = (value) => isObject(value) && Object.values(value).every(isSchemaValue)

const keywords: Readonly<Record<string, Shape>> = {
  ...each(isText, [
    '$ref',
    'type',
    'format',
    'description',
    'pattern',
    'x-kubernetes-list-type',
    'x-kubernetes-map-type',
  ]),
  ...each(isNumber, ['minimum', 'maximum', 'multipleOf', 'minLength', 'maxLength', 'minItems', 'maxItems']),
  ...each(isNumber, ['minProperties', 'maxProperties']),
  ...each(isFlag, ['nullable', 'exclusiveMinimum', 'exclusiveMaximum', 'uniqueItems', 'x-kubernetes-int-or-string']),
  ...each(isFlag, ['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource']),
  ...each(isTexts, ['required', 'x-kubernetes-list-map-keys']),
  ...each(isSchemas, ['allOf', 'anyOf', 'oneOf']),
  enum: isArray,
  properties: isSchemaMap,
  items: isSchemaValue,
  not: isSchemaValue,
  additionalProperties: (value) => isFlag(value) || isSchemaValue(value),
  'x-kubernetes-validations': (value) => isArray(value) && value.every(isRule),
}

function isRule(value: Json): boolean {
  if (!isObject(value) || typeof value['rule'] !== 'string') return false
  return ['message', 'fieldPath'].every((key) => value[key] === undefined || typeof value[key] === 'string')
}

function each(shape: Shape, names: readonly string[]): Record<string, Shape> {
  return Object.fromEntries(names.map((name) => [name, shape]))
}

/** Whether a value is a schema, judged by the types of its keywords. */
export function isSchemaValue(value: Json | undefined): value is JsonObject & Schema {
  if (!isObject(value)) return false
  return Object.entries(value).every(
    ([key, member]) => member === undefined || !Object.hasOwn(keywords, key) || keywords[key]!(member),
  )
}
