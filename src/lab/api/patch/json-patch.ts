// JSON Patch, RFC 6902, over immutable values. Paths are JSON Pointers, RFC 6901.
import { deepEqual, isArray, isObject, text, type Json, type JsonObject } from '../json.ts'

/** The patch is malformed or does not fit the document. */
export class JsonPatchError extends Error {
  override name = 'JsonPatchError'
  /** False when the patch itself is malformed, true when it does not fit this document. */
  readonly isDocumentFault: boolean

  constructor(message: string, isDocumentFault: boolean) {
    super(message)
    this.isDocumentFault = isDocumentFault
  }
}

/** The limit of kube-apiserver. */
const maxOperations = 10_000

const malformed = (message: string): JsonPatchError => new JsonPatchError(message, false)
const misfit = (message: string): JsonPatchError => new JsonPatchError(message, true)

/** Applies all operations in order, or throws JsonPatchError; `document` is not changed. */
export function jsonPatch(document: Json, patch: Json): Json {
  if (!isArray(patch)) throw malformed('a JSON Patch is an array of operations')
  if (patch.length > maxOperations) {
    throw malformed(`the allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`)
  }
  let result = document
  for (const operation of patch) {
    if (!isObject(operation)) throw malformed('an operation of a JSON Patch is an object')
    result = applyOperation(result, operation)
  }
  return result
}

function applyOperation(document: Json, operation: JsonObject): Json {
  const path = pointer(operation, 'path')
  switch (operation['op']) {
    case 'add':
      return add(document, path, valueOf(operation))
    case 'remove':
      return remove(document, path)
    case 'replace':
      read(document, path)
      return path.length === 0 ? valueOf(operation) : add(remove(document, path), path, valueOf(operation))
    case 'move': {
      const from = pointer(operation, 'from')
      if (path.length > from.length && from.every((key, index) => key === path[index])) {
        throw misfit('a value cannot be moved into one of its own children')
      }
      return add(remove(document, from), path, read(document, from))
    }
    case 'copy':
      return add(document, path, read(document, pointer(operation, 'from')))
    case 'test':
      if (deepEqual(read(document, path), valueOf(operation))) return document
      throw misfit(`testing value ${text(operation['path'])} failed`)
    default:
      throw malformed(`unknown JSON Patch operation ${JSON.stringify(operation['op'] ?? null)}`)
  }
}

function valueOf(operation: JsonObject): Json {
  const value = operation['value']
  if (value === undefined) throw malformed(`a JSON Patch "${text(operation['op'])}" needs a value`)
  return value
}

function pointer(operation: JsonObject, member: string): string[] {
  const source = operation[member]
  if (typeof source !== 'string') throw malformed(`a JSON Patch operation needs a text "${member}"`)
  if (source === '') return []
  if (!source.startsWith('/') || /~(?![01])/.test(source)) throw malformed(`"${source}" is no JSON Pointer`)
  return source
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

const missing = (path: readonly string[]): JsonPatchError => misfit(`the path "/${path.join('/')}" does not exist`)

/** The index that a key stands for (RFC 6901 section 4): digits without leading zeros; "-" is the place after the last. */
function indexIn(array: readonly Json[], key: string, last: number): number {
  const index = key === '-' ? array.length : /^(0|[1-9]\d{0,8})$/.test(key) ? Number(key) : -1
  if (index < 0 || index > last) throw misfit(`"${key}" is no index of an array of ${array.length}`)
  return index
}

function child(value: Json, key: string, path: readonly string[]): Json {
  if (isArray(value)) return value[indexIn(value, key, value.length - 1)]!
  const found = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
  if (found === undefined) throw missing(path)
  return found
}

function read(document: Json, path: readonly string[]): Json {
  return path.reduce<Json>((value, key) => child(value, key, path), document)
}

/** Applies `change` to the parent of the path's last key, and rebuilds the values above it. */
function rewrite(document: Json, path: readonly string[], change: (parent: Json, key: string) => Json, at = 0): Json {
  const key = path[at]!
  if (at === path.length - 1) return change(document, key)
  const changed = rewrite(child(document, key, path), path, change, at + 1)
  if (isArray(document)) return document.with(Number(key), changed)
  return { ...(isObject(document) ? document : {}), [key]: changed }
}

function add(document: Json, path: readonly string[], value: Json): Json {
  if (path.length === 0) return value
  return rewrite(document, path, (parent, key) => {
    if (isArray(parent)) return parent.toSpliced(indexIn(parent, key, parent.length), 0, value)
    if (isObject(parent)) return { ...parent, [key]: value }
    throw missing(path)
  })
}

function remove(document: Json, path: readonly string[]): Json {
  if (path.length === 0) return null
  return rewrite(document, path, (parent, key) => {
    if (isArray(parent)) return parent.toSpliced(indexIn(parent, key, parent.length - 1), 1)
    if (!isObject(parent) || !Object.hasOwn(parent, key)) throw missing(path)
    return Object.fromEntries(Object.entries(parent).filter(([name]) => name !== key))
  })
}
