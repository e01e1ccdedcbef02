// Request bodies in application/vnd.kubernetes.protobuf, which typed clients send for built-in kinds: the four bytes
// "k8s\0" and a runtime.Unknown around the object (apimachinery pkg/runtime/serializer/protobuf).
import { badRequest, unsupportedMediaType } from '../api-error.ts'
import type { Json, JsonObject } from '../json.ts'
import { refPrefix, SchemaNode, type Definitions, type Schema } from '../schema/schema.ts'
import { protobufFields } from './protobuf-fields.ts'

export const protobufMediaType = 'application/vnd.kubernetes.protobuf'

const magic = Buffer.from('k8s\0')

/** One field of a message on the wire. */
type Field = { readonly number: number; readonly value: bigint | Buffer }

class ProtobufError extends Error {
  override name = 'ProtobufError'
}

/** Cuts a message into its fields; throws ProtobufError where it ends early or uses a wire type that no API type has. */
export function readFields(bytes: Buffer): Field[] {
  const fields: Field[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new ProtobufError('the message ends inside a number')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new ProtobufError('a number is longer than 64 bits')
  }
  while (at < bytes.length) {
    const tag = varint()
    const number = Number(tag >> 3n)
    if ((tag & 7n) === 0n) fields.push({ number, value: varint() })
    else if ((tag & 7n) === 2n) {
      const length = Number(varint())
      if (length > bytes.length - at) throw new ProtobufError('the message ends inside a field')
      fields.push({ number, value: bytes.subarray(at, at + length) })
      at += length
    } else throw new ProtobufError(`wire type ${tag & 7n} is not used by Kubernetes types`)
  }
  return fields
}

/** Decodes the object in a body; throws 400 for a malformed message and 415 for kinds that are accepted only as JSON. */
export function decodeProtobuf(body: Buffer, definitions: Definitions): Json {
  if (!body.subarray(0, magic.length).equals(magic)) throw badRequest('the protobuf body does not begin with "k8s\\0"')
  try {
    const unknown = readFields(body.subarray(magic.length))
    const typeMeta = bytesOf(unknown, 1)
    const apiVersion = bytesOf(readFields(typeMeta), 1).toString()
    const kind = bytesOf(readFields(typeMeta), 2).toString()
    return { apiVersion, kind, ...decodeKind(apiVersion, kind, bytesOf(unknown, 2), definitions) }
  } catch (error) {
    throw error instanceof ProtobufError ? badRequest(`the protobuf body cannot be read: ${error.message}`) : error
  }
}

function bytesOf(fields: readonly Field[], number: number): Buffer {
  const found = fields.findLast((field) => field.number === number)?.value
  return Buffer.isBuffer(found) ? found : Buffer.alloc(0)
}

function numberOf(fields: readonly Field[], number: number): number {
  const found = fields.findLast((field) => field.number === number)?.value
  return typeof found === 'bigint' ? Number(BigInt.asIntN(64, found)) : 0
}

/** Schemas of options, which are not kinds and so have no schema elsewhere. */
const options: Readonly<Record<string, Schema>> = {
  DeleteOptions: {
    properties: {
      gracePeriodSeconds: { type: 'integer' },
      preconditions: { $ref: `${refPrefix}Preconditions` },
      orphanDependents: { type: 'boolean' },
      propagationPolicy: { type: 'string' },
      dryRun: { type: 'array', items: { type: 'string' } },
    },
  },
  Preconditions: { properties: { uid: { type: 'string' }, resourceVersion: { type: 'string' } } },
}

function decodeKind(apiVersion: string, kind: string, raw: Buffer, definitions: Definitions): JsonObject {
  if (kind === 'DeleteOptions')
    return decodeMessage(raw, kind, { $ref: refPrefix + kind }, new Map(Object.entries(options)))
  const [version, group = ''] = apiVersion.split('/').toReversed()
  for (const [name, schema] of definitions) {
    const isMeant = schema['x-kubernetes-group-version-kind']?.some(
      (gvk) => gvk.kind === kind && gvk.version === version && gvk.group === group,
    )
    if (isMeant === true) return decodeMessage(raw, kind, { $ref: refPrefix + name }, definitions)
  }
  throw onlyJson()
}

const onlyJson = (): Error => unsupportedMediaType(['application/json', 'application/yaml'])

function decodeMessage(bytes: Buffer, type: string, schema: Schema, definitions: Definitions): JsonObject {
  // a member that is a struct in Go is sent when it is unset, too
  if (bytes.length === 0) return {}
  const names = protobufFields.get(type)
  if (names === undefined) throw onlyJson()
  const { properties = {} } = new SchemaNode(schema, definitions).schema
  const result = new Map<string, Json>()
  for (const { number, value } of readFields(bytes)) {
    const known = names.get(number)
    const property = known === undefined ? undefined : properties[known.name]
    if (known === undefined || property === undefined) continue
    const { name, omitsZero } = known
    const decoded = decodeValue(value, property, definitions, result.get(name))
    // Go writes unset fields as zero values, which JSON leaves out
    if (decoded !== '' && !(omitsZero && (decoded === 0 || decoded === false))) result.set(name, decoded)
  }
  return Object.fromEntries(result)
}

function decodeValue(
  value: bigint | Buffer,
  schema: Schema,
  definitions: Definitions,
  earlier: Json | undefined,
): Json {
  if (typeof value === 'bigint') return schema.type === 'boolean' ? value !== 0n : Number(BigInt.asIntN(64, value))
  if (schema.type === 'array') {
    const item = decodeValue(value, schema.items ?? {}, definitions, undefined)
    return [...(Array.isArray(earlier) ? earlier : []), item]
  }
  if (typeof schema.additionalProperties === 'object')
    return { ...objectOf(earlier), ...decodeEntry(value, schema.additionalProperties, definitions) }
  if (schema.$ref !== undefined) return decodeMessage(value, schema.$ref.split(/[./]/).at(-1)!, schema, definitions)
  if (schema.format === 'quantity') return bytesOf(readFields(value), 1).toString()
  if (schema['x-kubernetes-int-or-string'] === true) return decodeIntOrString(value)
  if (schema.format === 'date-time') return decodeTime(value)
  if (schema.type === 'object') return decodeMessage(value, '', schema, definitions)
  if (schema.type !== 'string') throw onlyJson()
  return schema.format === 'byte' ? value.toString('base64') : value.toString()
}

function objectOf(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {}
}

function decodeEntry(bytes: Buffer, schema: Schema, definitions: Definitions): JsonObject {
  const fields = readFields(bytes)
  return { [bytesOf(fields, 1).toString()]: decodeValue(bytesOf(fields, 2), schema, definitions, undefined) }
}

/** IntOrString: type (0 is a number), intVal, strVal. */
function decodeIntOrString(bytes: Buffer): Json {
  const fields = readFields(bytes)
  return numberOf(fields, 1) === 0 ? numberOf(fields, 2) : bytesOf(fields, 3).toString()
}

/** Time and MicroTime: seconds and nanoseconds; an empty message is the zero time, which JSON leaves out. */
function decodeTime(bytes: Buffer): Json {
  const fields = readFields(bytes)
  if (fields.length === 0) return ''
  const date = new Date(numberOf(fields, 1) * 1000)
  if (Number.isNaN(date.getTime())) throw new ProtobufError('a time is out of range')
  const micros = String(Math.floor(numberOf(fields, 2) / 1000)).padStart(6, '0')
  return micros === '000000' ? `${date.toISOString().slice(0, 19)}Z` : `${date.toISOString().slice(0, 19)}.${micros}Z`
}
