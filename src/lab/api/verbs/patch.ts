// Patch: the four kinds of patches, each of which ends in an update (or, for apply, a create).
import { applyConfiguration } from '../apply/managed-fields.ts'
import { ApiError, badRequest, forbidden, invalid, unsupportedMediaType } from '../api-error.ts'
import { isObject, type Json, type JsonObject } from '../json.ts'
import { subjectOf, type Resource } from '../kinds/resource.ts'
import { withMeta, type KubeObject } from '../objects.ts'
import { JsonPatchError, jsonPatch } from '../patch/json-patch.ts'
import { mergePatch } from '../patch/merge-patch.ts'
import { strategicMerge, StrategicPatchError } from '../patch/strategic.ts'
import { load, lookUp, served, type Context, type Target } from './context.ts'
import { decode, decodePartial, requireSane, type FieldValidation } from './decode.ts'
import { create, managerOf, update, type WriteOptions } from './write.ts'

export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const

export type PatchOptions = WriteOptions & {
  readonly type: string
  readonly force: boolean
  readonly fieldValidation: FieldValidation
}

export type Patched = { readonly object: KubeObject; readonly isNew: boolean }

/** Patches an object; throws 4xx. */
export function patch(
  context: Context,
  target: Target,
  body: Json,
  options: PatchOptions,
  warnings: string[],
): Patched {
  requireSane(body)
  if (options.type === patchTypes.apply) return apply(context, target, body, options, warnings)
  const { resource } = target
  const live = served(resource, load(context, target).object)
  const changed = change(resource, live, body, options.type)
  // a patch applies to any stored version: it conflicts only with a version that it names itself
  return {
    object: update(context, target, decode(resource, changed, options.fieldValidation, warnings, live), options),
    isNew: false,
  }
}

function change(resource: Resource, live: KubeObject, body: Json, type: string): Json {
  try {
    switch (type) {
      case patchTypes.json:
        return jsonPatch(live, body)
      case patchTypes.merge:
        return mergePatch(live, requireObject(body))
      case patchTypes.strategic:
        if (resource.isCustom) break
        return strategicMerge(live, requireObject(body), resource.schema)
      default:
    }
  } catch (error) {
    throw asApiError(resource, live.metadata.name ?? '', error)
  }
  const types = Object.values(patchTypes)
  throw unsupportedMediaType(resource.isCustom ? types.filter((known) => known !== patchTypes.strategic) : types)
}

function requireObject(body: Json): JsonObject {
  if (isObject(body)) return body
  throw badRequest('error decoding patch: the patch must be an object')
}

function asApiError(resource: Resource, name: string, error: unknown): unknown {
  if (error instanceof StrategicPatchError) return badRequest(error.message)
  if (!(error instanceof JsonPatchError)) return error
  if (!error.isDocumentFault) return badRequest(error.message)
  return new ApiError(
    422,
    'Invalid',
    `the server rejected our request due to an error in our request: ${error.message}`,
    { name, kind: resource.plural },
  )
}

function apply(context: Context, target: Target, body: Json, options: PatchOptions, warnings: string[]): Patched {
  const { resource } = target
  if (options.manager === '')
    throw badRequest(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )
  const config = withIdentity(target, requireObject(body))
  const given = configuration(resource, config, options, warnings)
  const entry = lookUp(context, target)
  const manager = managerOf(context, resource, options, 'Apply')
  if (entry === undefined) {
    if (given.metadata.uid !== undefined)
      throw forbidden(subjectOf(resource), target.name, 'uid must not be set on an object that does not exist')
    const made = applyConfiguration(undefined, given, resource.schema, manager, options.force)
    const full = decode(resource, made, 'Ignore', warnings)
    return { object: create(context, target, full, options, true), isNew: true }
  }
  const live = served(resource, entry.object)
  const merged = applyConfiguration(live, given, resource.schema, manager, options.force)
  const full = decode(resource, merged, 'Ignore', warnings, live)
  return { object: update(context, target, full, options, true), isNew: false }
}

/** Decodes an applied configuration, which is partial: only its identity and its unknown fields are checked before the merge. */
function configuration(resource: Resource, config: JsonObject, options: PatchOptions, warnings: string[]): KubeObject {
  const given = decodePartial(resource, config, options.fieldValidation, warnings)
  if ((given.metadata.managedFields ?? []).length > 0) throw badRequest('metadata.managedFields must be nil')
  const isMain = options.subresource === undefined
  return withMeta(isMain && resource.separatesStatus ? { ...given, status: undefined } : given, {
    managedFields: undefined,
  })
}

function withIdentity({ resource, name, namespace }: Target, body: JsonObject): JsonObject {
  const metadata: JsonObject = isObject(body['metadata']) ? body['metadata'] : {}
  if (metadata['name'] !== undefined && metadata['name'] !== name) {
    throw badRequest(
      `metadata.name: Invalid value: ${JSON.stringify(metadata['name'])}: must match the name on the URL (${name})`,
    )
  }
  if (typeof body['apiVersion'] !== 'string' || typeof body['kind'] !== 'string') {
    throw invalid(subjectOf(resource), name, [
      { reason: 'FieldValueRequired', message: 'Required value: apiVersion and kind must be set in an apply patch' },
    ])
  }
  return {
    ...body,
    metadata: { ...metadata, name, ...(resource.namespaced && namespace !== undefined && { namespace }) },
  }
}
