// A compact notation for the types of built-in kinds, read into schemas at start-up.
//
//   Pod v1                                       a type; a version marks it as a kind of that group/version
//     spec!   PodSpec                            "!" is required
//     env     []EnvVar  merge=name               list merged by key, in strategic merge and in server-side apply
//     ports   []ContainerPort merge=containerPort keys=containerPort,protocol
//     args    []string                           atomic list; "set" makes it a set
//     labels  {string}                           map; "atomic" makes it, or a whole type, atomic
//     status  []A  patchKey=type                 merged by key in strategic merge only
//     phase   string  -- what the field means
//
// Scalars: string int32 int64 number boolean time microtime quantity intOrString any.
import type { Definitions, Schema } from './schema.ts'
import { refPrefix } from './schema.ts'

type Draft = {
  name: string
  description: string
  gvk: { group: string; version: string } | undefined
  isAtomic: boolean
  fields: Record<string, Schema>
  required: string[]
}

const scalars: Readonly<Record<string, Schema>> = {
  string: { type: 'string' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  number: { type: 'number', format: 'double' },
  boolean: { type: 'boolean' },
  bytes: { type: 'string', format: 'byte' },
  time: { type: 'string', format: 'date-time' },
  microtime: { type: 'string', format: 'date-time' },
  quantity: { 'x-kubernetes-int-or-string': true, format: 'quantity' },
  intOrString: { 'x-kubernetes-int-or-string': true, format: 'int-or-string' },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
  object: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
}

const shared = new Set([
  'ObjectMeta',
  'OwnerReference',
  'ManagedFieldsEntry',
  'LabelSelector',
  'LabelSelectorRequirement',
  'ListMeta',
  'Condition',
])

/** Types of core/v1 that types of other packages contain. */
const coreTypesOfOthers = new Set(['PodTemplateSpec', 'PodSpec'])

/** The published name of a type, such as io.k8s.api.core.v1.Pod. */
export function definitionName(packageName: string, type: string): string {
  const home = shared.has(type)
    ? 'io.k8s.apimachinery.pkg.apis.meta.v1'
    : coreTypesOfOthers.has(type)
      ? 'io.k8s.api.core.v1'
      : packageName
  return `${home}.${type}`
}

/** Reads the types of one API package, such as io.k8s.api.core.v1. Throws on a malformed line, which is a bug in this program. */
export function readTypes(packageName: string, source: string): Definitions {
  const drafts: Draft[] = []
  for (const line of source.split('\n')) {
    if (line.trim() === '') continue
    const [body = '', description = ''] = line.split(' -- ')
    const words = body.trim().split(/\s+/)
    if (line.startsWith(' ')) addField(packageName, drafts.at(-1)!, words, description.trim())
    else drafts.push(startType(words, description.trim()))
  }
  return new Map(drafts.map((draft) => [definitionName(packageName, draft.name), toSchema(draft)]))
}

function startType([name = '', option]: readonly string[], description: string): Draft {
  const isAtomic = option === 'atomic'
  const groupVersion = isAtomic ? undefined : option
  const [version = '', group = ''] = groupVersion?.split('/').toReversed() ?? []
  return {
    name,
    description,
    gvk: groupVersion === undefined ? undefined : { group, version },
    isAtomic,
    fields: {},
    required: [],
  }
}

function addField(packageName: string, draft: Draft, words: readonly string[], description: string): void {
  const [label = '', type = '', ...options] = words
  const name = label.replace('!', '')
  if (label.endsWith('!')) draft.required.push(name)
  draft.fields[name] = { ...withOptions(typeSchema(packageName, type), options), ...(description && { description }) }
}

function typeSchema(packageName: string, type: string): Schema {
  if (type.startsWith('[]')) return { type: 'array', items: typeSchema(packageName, type.slice(2)) }
  if (type.startsWith('{')) return { type: 'object', additionalProperties: typeSchema(packageName, type.slice(1, -1)) }
  const scalar = scalars[type]
  if (scalar !== undefined) return scalar
  if (!/^[A-Z]\w+$/.test(type)) throw new Error(`unknown type "${type}" in ${packageName}`)
  return { $ref: refPrefix + definitionName(packageName, type) }
}

function withOptions(schema: Schema, options: readonly string[]): Schema {
  let result = schema
  for (const option of options) {
    const [name, value = ''] = option.split('=')
    if (name === 'merge') result = { ...mergedBy(value), ...result }
    else if (name === 'keys')
      result = { ...result, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': value.split(',') }
    else if (name === 'set')
      result = { ...result, 'x-kubernetes-list-type': 'set', 'x-kubernetes-patch-strategy': 'merge' }
    else if (name === 'patchKey')
      result = { ...result, 'x-kubernetes-patch-strategy': 'merge', 'x-kubernetes-patch-merge-key': value }
    else if (name === 'default') result = { ...result, default: value }
    else if (name === 'atomic') result = { ...result, 'x-kubernetes-map-type': 'atomic' }
    else if (name === 'retainKeys') {
      const strategies = [result['x-kubernetes-patch-strategy'], 'retainKeys']
      result = { ...result, 'x-kubernetes-patch-strategy': strategies.filter((each) => each !== undefined).join() }
    } else if (name === 'enum') result = { ...result, enum: value.split('|') }
    else throw new Error(`unknown option "${option}"`)
  }
  return result
}

function mergedBy(key: string): Schema {
  return {
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-patch-merge-key': key,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
  }
}

function toSchema({ name, description, gvk, isAtomic, fields, required }: Draft): Schema {
  const all: Record<string, Schema> =
    gvk === undefined
      ? fields
      : {
          apiVersion: { type: 'string', description: 'APIVersion defines the versioned schema of this object.' },
          kind: { type: 'string', description: 'Kind says which REST resource this object represents.' },
          ...fields,
        }
  return {
    ...(description && { description }),
    type: 'object',
    properties: all,
    ...(required.length > 0 && { required }),
    ...(isAtomic && { 'x-kubernetes-map-type': 'atomic' as const }),
    ...(gvk !== undefined && { 'x-kubernetes-group-version-kind': [{ ...gvk, kind: name }] }),
  }
}
