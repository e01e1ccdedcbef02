// The OpenAPI v2 document as the protobuf message gnostic.openapi.v2.Document, which older kubectls ask for
// (application/com.github.proto-openapi.spec.v2@v1.0+protobuf). Field numbers: openapiv2/OpenAPIv2.proto of gnostic-models.
import { field, isObject, list, objects, text, type Json, type JsonObject } from '../json.ts'

/** One field of a protobuf message: tag and payload. */
type Part = Uint8Array

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return Buffer.from([...bytes, rest])
}

const lengthDelimited = 2
const varintType = 0
const fixed64 = 1

function delimited(number: number, payload: Uint8Array): Part {
  return Buffer.concat([varint(number * 8 + lengthDelimited), varint(payload.length), payload])
}

const message = (number: number, parts: readonly Part[]): Part => delimited(number, Buffer.concat(parts))
const string = (number: number, value: string): Part => delimited(number, Buffer.from(value))
const flag = (number: number): Part => Buffer.concat([varint(number * 8 + varintType), varint(1)])

function double(number: number, value: number): Part {
  const payload = Buffer.alloc(8)
  payload.writeDoubleLE(value)
  return Buffer.concat([varint(number * 8 + fixed64), payload])
}

/** The members of an object that are objects. */
function members(value: Json | undefined): [string, JsonObject][] {
  return isObject(value)
    ? Object.entries(value).filter((entry): entry is [string, JsonObject] => isObject(entry[1]))
    : []
}

/** Schema fields by the way they are encoded. */
const strings = { $ref: 1, format: 2, title: 3, description: 4, pattern: 13 } as const
const doubles = { multipleOf: 6, maximum: 7, minimum: 9 } as const
const flags = { exclusiveMaximum: 8, exclusiveMinimum: 10, uniqueItems: 16 } as const
const integers = {
  maxLength: 11,
  minLength: 12,
  maxItems: 14,
  minItems: 15,
  maxProperties: 17,
  minProperties: 18,
} as const

/** The message Any, which holds YAML; JSON is valid YAML. */
const anyValue = (number: number, value: Json): Part => message(number, [string(2, JSON.stringify(value))])

function named(number: number, name: string, value: readonly Part[]): Part {
  return message(number, [string(1, name), message(2, value)])
}

function extensions(number: number, value: JsonObject): Part[] {
  return Object.entries(value)
    .filter(([key]) => key.startsWith('x-'))
    .map(([key, extension]) => named(number, key, [string(2, JSON.stringify(extension))]))
}

function schemaParts(schema: JsonObject): Part[] {
  const parts: Part[] = []
  for (const [key, number] of Object.entries(strings))
    if (typeof schema[key] === 'string') parts.push(string(number, schema[key]))
  for (const [key, number] of Object.entries(doubles))
    if (typeof schema[key] === 'number') parts.push(double(number, schema[key]))
  for (const [key, number] of Object.entries(flags)) if (schema[key] === true) parts.push(flag(number))
  for (const [key, number] of Object.entries(integers)) {
    const value = schema[key]
    if (typeof value === 'number') parts.push(Buffer.concat([varint(number * 8 + varintType), varint(value)]))
  }
  if (schema['default'] !== undefined) parts.push(anyValue(5, schema['default']))
  for (const name of list(schema['required'])) parts.push(string(19, text(name)))
  for (const value of list(schema['enum'])) parts.push(anyValue(20, value))
  const { additionalProperties, items, properties, type } = schema
  if (isObject(additionalProperties)) parts.push(message(21, [message(1, schemaParts(additionalProperties))]))
  if (typeof type === 'string') parts.push(message(22, [string(1, type)]))
  if (isObject(items)) parts.push(message(23, [message(1, schemaParts(items))]))
  if (isObject(properties))
    parts.push(
      message(
        25,
        members(properties).map(([name, property]) => named(1, name, schemaParts(property))),
      ),
    )
  return [...parts, ...extensions(31, schema)]
}

function parameterParts(parameter: JsonObject): Part[] {
  // ParametersItem.parameter, Parameter.non_body_parameter, NonBodyParameter.query_parameter_sub_schema
  const query = [string(2, 'query'), string(4, text(parameter['name'])), string(6, text(parameter['type']))]
  return [message(1, [message(2, [message(3, query)])])]
}

function operationParts(operation: Json | undefined): Part[] {
  if (!isObject(operation)) return []
  const responses = field(operation, 'responses')
  const codes = isObject(responses) ? Object.entries(responses) : []
  return [
    string(5, text(operation['operationId'])),
    ...objects(operation['parameters']).map((parameter) => message(8, parameterParts(parameter))),
    message(
      9,
      codes.map(([code, response]) => named(1, code, [message(1, [string(1, text(field(response, 'description')))])])),
    ),
    ...extensions(13, operation),
  ]
}

/** Encodes a document made by openApiV2. */
export function encodeOpenApiV2(document: JsonObject): Buffer {
  const info = document['info']
  return Buffer.concat([
    string(1, text(document['swagger'])),
    message(2, [string(1, text(field(info, 'title'))), string(2, text(field(info, 'version')))]),
    message(
      8,
      members(document['paths']).map(([path, item]) => named(2, path, [message(8, operationParts(item['patch']))])),
    ),
    message(
      9,
      members(document['definitions']).map(([name, schema]) => named(1, name, schemaParts(schema))),
    ),
  ])
}
