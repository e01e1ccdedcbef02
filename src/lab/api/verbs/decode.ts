// Decodes a request's JSON into an object of the requested kind: checks identity, fields and types.
import { badRequest, invalid, type Cause } from '../api-error.ts'
import { deepEqual, hostility, isObject, type Json, type JsonObject } from '../json.ts'
import { apiVersionOf, subjectOf, type Resource } from '../kinds/resource.ts'
import { isKubeObject, kubeObject, type KubeObject } from '../objects.ts'
import { check } from '../schema/check.ts'
import { withRules } from '../schema/rules.ts'
import { applyDefaults, prune } from '../schema/shape.ts'

/** How to treat fields that the kind does not have (KEP-2885). */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'

/** Refuses values that are dangerous to process; throws 400. */
export function requireSane(value: Json): void {
  const fault = hostility(value)
  if (fault !== undefined) throw badRequest(`the object provided cannot be read: ${fault}`)
}

/**
 * The object in `body`, without unknown fields and with the schema's defaults. Throws 400 when it is not an object of this kind, 422 when a
 * custom resource does not fit its schema. What does not fit in `live`, the object that it replaces, may stay as it is (validation
 * ratcheting, KEP-4008).
 */
export function decode(
  resource: Resource,
  body: Json,
  fieldValidation: FieldValidation,
  warnings: string[],
  live?: KubeObject,
): KubeObject {
  requireSane(body)
  const partial = decodePartial(resource, body, fieldValidation, warnings)
  const pruned = kubeObject(applyDefaults(partial, resource.schema))
  const before = live === undefined || !resource.isCustom ? [] : faultsOf(resource, live)
  const causes = faultsOf(resource, pruned).filter((cause) => !before.some((old) => deepEqual(old, cause)))
  if (causes.length === 0) return pruned
  if (resource.isCustom) throw invalid(subjectOf(resource), pruned.metadata.name ?? '', causes)
  const wrongType = causes.find(({ reason }) => reason === 'FieldValueTypeInvalid')
  if (wrongType !== undefined) throw unreadable(resource, wrongType)
  throw invalid(subjectOf(resource), pruned.metadata.name ?? '', causes)
}

/** The object in `body` without unknown fields, otherwise unchanged: an apply patch names only some fields. */
export function decodePartial(
  resource: Resource,
  body: Json,
  fieldValidation: FieldValidation,
  warnings: string[],
): KubeObject {
  if (!isObject(body))
    throw badRequest(`the object provided is unrecognized (must be of type ${resource.kind}): expected a JSON object`)
  const unknown: string[] = []
  const pruned = prune(identify(resource, body), resource.schema, unknown)
  if (!isKubeObject(pruned))
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: metadata must be an object`,
    )
  reportUnknown(resource, unknown, fieldValidation, warnings)
  return pruned
}

function faultsOf({ schema, isCustom }: Resource, object: KubeObject): readonly Cause[] {
  const faults = check(object, schema)
  return isCustom ? withRules(faults, object, schema) : faults
}

function unreadable({ kind, version }: Resource, cause: Cause): Error {
  return badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${cause.field}: ${cause.message}`)
}

function identify(resource: Resource, body: JsonObject): JsonObject {
  const apiVersion = apiVersionOf(resource)
  if (body['kind'] !== undefined && body['kind'] !== resource.kind) {
    throw badRequest(
      `the kind in the data (${JSON.stringify(body['kind'])}) does not match the expected kind (${resource.kind})`,
    )
  }
  if (body['apiVersion'] !== undefined && body['apiVersion'] !== apiVersion) {
    throw badRequest(
      `the API version in the data (${JSON.stringify(body['apiVersion'])}) does not match the expected API version (${apiVersion})`,
    )
  }
  return { ...body, apiVersion, kind: resource.kind, metadata: body['metadata'] ?? {} }
}

function reportUnknown(
  resource: Resource,
  unknown: readonly string[],
  fieldValidation: FieldValidation,
  warnings: string[],
): void {
  const messages = unknown.map((path) => `unknown field "${path}"`)
  if (messages.length === 0 || fieldValidation === 'Ignore') return
  if (fieldValidation === 'Warn') warnings.push(...messages)
  else
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: ${messages.join(', ')}`,
    )
}
