// Create and update: from a decoded object to a stored one (registry/generic/registry/store.go).
import { randomInt, randomUUID } from 'node:crypto'
import { isSameContent, trackUpdate, type Manager } from '../apply/managed-fields.ts'
import {
  alreadyExists,
  ApiError,
  badRequest,
  conflict,
  forbidden,
  invalid,
  invalidValue,
  modifiedMeanwhile,
  notFound,
} from '../api-error.ts'
import { deepEqual, dig, list, without, type JsonObject } from '../json.ts'
import { checkMeta, checkMetaUpdate, subdomainFault } from '../kinds/names.ts'
import { apiVersionOf, subjectOf, type Resource } from '../kinds/resource.ts'
import { compact, withMeta, type KubeObject } from '../objects.ts'
import { keyFor, load, lookUp, nowStamp, served, stored, type Context, type Target } from './context.ts'

export type WriteOptions = {
  readonly isDryRun: boolean
  readonly manager: string
  readonly subresource: 'status' | 'binding' | 'finalize' | undefined
}

export function managerOf(
  context: Context,
  resource: Resource,
  options: WriteOptions,
  operation: Manager['operation'],
): Manager {
  const { manager, subresource } = options
  return { name: manager, operation, apiVersion: apiVersionOf(resource), subresource, time: nowStamp(context) }
}

/** Stores a new object; throws 4xx. With `isApply` managedFields are already up to date. */
export function create(
  context: Context,
  target: Target,
  given: KubeObject,
  options: WriteOptions,
  isApply = false,
): KubeObject {
  const { resource } = target
  const named = withName(target, given)
  const name = named.metadata.name ?? ''
  const identified = withMeta(named, {
    uid: randomUUID(),
    creationTimestamp: nowStamp(context),
    generation: resource.countsGenerations ? 1 : undefined,
    resourceVersion: undefined,
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  })
  const bare = resource.separatesStatus && resource.isCustom ? { ...identified, status: undefined } : identified
  const { prepareCreate, complete } = resource.strategy
  const completed = complete === undefined ? bare : complete(bare)
  // before `prepareCreate`, because no manager owns the fields that the server adds
  const tracked = isApply
    ? completed
    : trackCreate(resource, completed, managerOf(context, resource, options, 'Update'))
  const prepared = prepareCreate === undefined ? tracked : prepareCreate(tracked)
  validate(resource, prepared)
  requireNamespace(context, target, name)
  const key = { ...target, name }
  if (lookUp(context, key) !== undefined) throw alreadyExists(subjectOf(resource), name)
  return save(context, key, prepared, options.isDryRun)
}

/** Tracks a create. The main resource does not write the status, so the creator does not own it. */
function trackCreate(resource: Resource, object: KubeObject, manager: Manager): KubeObject {
  const owned = withMeta(resource.separatesStatus ? { ...object, status: undefined } : object, {
    managedFields: undefined,
  })
  return { ...trackUpdate(undefined, owned, resource.schema, manager), status: object['status'] }
}

function withName({ resource, namespace, name }: Target, given: KubeObject): KubeObject {
  const { metadata } = given
  const inside = metadata.namespace
  if (resource.namespaced && inside !== undefined && inside !== '' && inside !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  if (!resource.namespaced && inside !== undefined && inside !== '')
    throw badRequest('namespace may not be set on an object that has none')
  if (name !== '' && metadata.name !== undefined && metadata.name !== name) throw wrongName(metadata.name, name)
  // as in kube-apiserver: five characters without vowels, so that they form no words
  const suffix = (): string => Array.from({ length: 5 }, () => 'bcdfghjklmnpqrstvwxz2456789'[randomInt(27)]).join('')
  const own = metadata.name || name || (metadata.generateName ? metadata.generateName + suffix() : '')
  return withMeta(given, { name: own, namespace: resource.namespaced ? namespace : undefined })
}

const wrongName = (inside: string, asked: string): ApiError =>
  badRequest(`the name of the object (${inside}) does not match the name on the URL (${asked})`)

function validate(resource: Resource, object: KubeObject): void {
  const { strategy } = resource
  const causes = [...checkMeta(object, strategy.validateName ?? subdomainFault), ...(strategy.validate?.(object) ?? [])]
  if (causes.length > 0) throw invalid(subjectOf(resource), object.metadata.name ?? '', causes)
}

/** The admission plugin NamespaceLifecycle: no object is created in a namespace that is missing or being deleted. */
function requireNamespace(context: Context, { resource, namespace }: Target, name: string): void {
  if (!resource.namespaced || namespace === undefined) return
  const found = context.store.bucket('namespaces').get(namespace)
  if (found === undefined) throw notFound({ group: '', resource: 'namespaces', kind: 'Namespace' }, namespace)
  if (found.object.metadata.deletionTimestamp !== undefined) {
    throw forbidden(
      subjectOf(resource),
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
    )
  }
}

/** Replaces an object, or the part of it that a subresource covers; throws 4xx. */
export function update(
  context: Context,
  target: Target,
  given: KubeObject,
  options: WriteOptions,
  isApply = false,
): KubeObject {
  const { resource, name } = target
  const entry = lookUp(context, target)
  if (entry === undefined && resource.createsOnUpdate && options.subresource === undefined)
    return create(context, target, given, options)
  const live = served(resource, (entry ?? load(context, target)).object)
  if (given.metadata.name !== undefined && given.metadata.name !== name) throw wrongName(given.metadata.name, name)
  requireCurrent(resource, given, live)
  const kept = keepServerFields(resource, given, live)
  const partial =
    options.subresource === undefined
      ? mainPart(resource, kept, live)
      : subresourcePart(resource, kept, live, options.subresource)
  const completed = resource.strategy.complete === undefined ? partial : resource.strategy.complete(partial)
  const tracked = isApply
    ? completed
    : trackUpdate(live, completed, resource.schema, managerOf(context, resource, options, 'Update'))
  const counted = countGeneration(resource, tracked, live)
  validate(resource, counted)
  const causes = [...checkMetaUpdate(counted, live), ...(resource.strategy.validateUpdate?.(counted, live) ?? [])]
  if (causes.length > 0) throw invalid(subjectOf(resource), name, causes)
  if (isSameContent(counted, live)) return live
  return isReleased(resource, counted)
    ? drop(context, target, counted, options.isDryRun)
    : save(context, target, counted, options.isDryRun)
}

/** Optimistic concurrency: a given resourceVersion or uid must equal the stored one. */
function requireCurrent(resource: Resource, { metadata }: KubeObject, live: KubeObject): void {
  const name = live.metadata.name ?? ''
  if (metadata.uid !== undefined && metadata.uid !== '' && metadata.uid !== live.metadata.uid) {
    throw conflict(
      subjectOf(resource),
      name,
      `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${live.metadata.uid}`,
    )
  }
  if (metadata.resourceVersion === undefined || metadata.resourceVersion === '') {
    if (!resource.isCustom) return
    throw invalid(subjectOf(resource), name, [
      {
        ...invalidValue('metadata.resourceVersion', '', 'must be specified for an update'),
        message: 'Invalid value: 0x0: must be specified for an update',
      },
    ])
  }
  if (metadata.resourceVersion !== live.metadata.resourceVersion) throw modifiedMeanwhile(subjectOf(resource), name)
}

function keepServerFields(resource: Resource, given: KubeObject, live: KubeObject): KubeObject {
  const {
    namespace,
    creationTimestamp,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    generation,
    resourceVersion,
    uid,
    generateName,
  } = live.metadata
  const inside = given.metadata.namespace
  if (resource.namespaced && inside !== undefined && inside !== '' && inside !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  return withMeta(given, {
    name: live.metadata.name,
    namespace,
    creationTimestamp,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    generation,
    resourceVersion,
    uid,
    generateName,
  })
}

function mainPart(resource: Resource, given: KubeObject, live: KubeObject): KubeObject {
  return resource.separatesStatus ? { ...given, status: live['status'] } : given
}

function subresourcePart(
  resource: Resource,
  given: KubeObject,
  live: KubeObject,
  subresource: WriteOptions['subresource'],
): KubeObject {
  const part = subresource === 'status' ? 'status' : 'spec'
  // custom resources keep their metadata on status writes; built-in kinds let labels and annotations through
  const metadata = resource.isCustom
    ? withMeta(live, { managedFields: given.metadata.managedFields }).metadata
    : given.metadata
  return { ...live, metadata, [part]: given[part] }
}

function countGeneration(resource: Resource, next: KubeObject, live: KubeObject): KubeObject {
  if (!resource.countsGenerations || deepEqual(desired(resource, next), desired(resource, live))) return next
  return withMeta(next, { generation: (live.metadata.generation ?? 0) + 1 })
}

function desired(resource: Resource, object: KubeObject): JsonObject {
  return resource.separatesStatus ? without(object, 'metadata', 'status') : without(object, 'metadata')
}

/** Whether a deleted object has lost its last finalizer and is to be removed. */
function isReleased(resource: Resource, { metadata, ...object }: KubeObject): boolean {
  if (metadata.deletionTimestamp === undefined || (metadata.finalizers ?? []).length > 0) return false
  if (resource.kind === 'Namespace') return list(dig(object, 'spec', 'finalizers')).length === 0
  return (metadata.deletionGracePeriodSeconds ?? 0) === 0
}

/** Writes to the store; a dry run does everything except the write. */
export function save(context: Context, target: Target, object: KubeObject, isDryRun: boolean): KubeObject {
  const { resource } = target
  if (isDryRun) return object
  return served(resource, context.store.put(resource.bucket, keyFor(target), stored(resource, compact(object))))
}

/** Removes from the store; `last` is the state that the client sees. */
export function drop(context: Context, target: Target, last: KubeObject, isDryRun: boolean): KubeObject {
  if (isDryRun) return last
  const removed = context.store.remove(target.resource.bucket, keyFor(target))
  return withMeta(last, { resourceVersion: removed?.metadata.resourceVersion })
}
