// Delete: at once, gracefully, or when the finalizers are done (registry/rest/delete.go, registry/generic/registry/store.go).
import { badRequest, conflict } from '../api-error.ts'
import { dig, field, isObject, text, type Json, type JsonObject } from '../json.ts'
import { subjectOf, type Resource } from '../kinds/resource.ts'
import { timestamp, withMeta, type KubeObject } from '../objects.ts'
import { load, served, type Context, type Target } from './context.ts'
import { drop, save } from './write.ts'

export type DeleteOptions = {
  readonly isDryRun: boolean
  readonly gracePeriodSeconds: number | undefined
  readonly propagation: 'Background' | 'Foreground' | 'Orphan'
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
}

/** Reads metav1.DeleteOptions from the body, or else from the query; throws 400. */
export function readDeleteOptions(body: Json | undefined, query: URLSearchParams): DeleteOptions {
  const given: JsonObject = isObject(body) ? body : {}
  const grace = given['gracePeriodSeconds'] ?? numberIn(query, 'gracePeriodSeconds')
  if (grace !== undefined && (typeof grace !== 'number' || !Number.isInteger(grace)))
    throw badRequest('gracePeriodSeconds must be an integer')
  const orphans = given['orphanDependents'] ?? query.get('orphanDependents') === 'true'
  const propagation =
    text(given['propagationPolicy']) || query.get('propagationPolicy') || (orphans === true ? 'Orphan' : 'Background')
  if (propagation !== 'Background' && propagation !== 'Foreground' && propagation !== 'Orphan') {
    throw badRequest(
      `invalid deletion option "${propagation}": propagationPolicy must be one of "Background", "Foreground", "Orphan"`,
    )
  }
  const optional = (key: string): string | undefined => text(field(given['preconditions'], key)) || undefined
  return {
    isDryRun: [...query.getAll('dryRun'), ...(Array.isArray(given['dryRun']) ? given['dryRun'] : [])].includes('All'),
    gracePeriodSeconds: grace,
    propagation,
    uid: optional('uid'),
    resourceVersion: optional('resourceVersion'),
  }
}

function numberIn(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  return value === null ? undefined : Number(value)
}

export type Removal = { readonly object: KubeObject; readonly isGone: boolean }

/** Deletes an object, or marks it for its finalizers or its node to finish. Throws 404 and 409. */
export function remove(context: Context, target: Target, options: DeleteOptions): Removal {
  const { resource } = target
  const live = served(resource, load(context, target).object)
  checkPreconditions(resource, live, options)
  const graceSeconds = resource.strategy.gracePeriodSeconds?.(live, options.gracePeriodSeconds) ?? 0
  const marked = mark(context, resource, live, options, graceSeconds)
  if (marked === undefined) return { object: drop(context, target, live, options.isDryRun), isGone: true }
  if (marked === live) return { object: live, isGone: false }
  return { object: save(context, target, marked, options.isDryRun), isGone: false }
}

function checkPreconditions(resource: Resource, live: KubeObject, { uid, resourceVersion }: DeleteOptions): void {
  const { metadata } = live
  const fail = (what: string, wanted: string, actual: string | undefined): Error =>
    conflict(
      subjectOf(resource),
      metadata.name ?? '',
      `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${actual}`,
    )
  if (uid !== undefined && uid !== metadata.uid) throw fail('UID', uid, metadata.uid)
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion)
    throw fail('ResourceVersion', resourceVersion, metadata.resourceVersion)
}

/** The object marked for deletion; undefined when nothing delays the deletion. */
function mark(
  context: Context,
  resource: Resource,
  live: KubeObject,
  options: DeleteOptions,
  graceSeconds: number,
): KubeObject | undefined {
  const finalizers = withPropagation(live.metadata.finalizers ?? [], options.propagation)
  const isHeld = finalizers.length > 0 || isLivingNamespace(resource, live)
  if (!isHeld && graceSeconds === 0) return undefined
  const { deletionTimestamp, deletionGracePeriodSeconds } = live.metadata
  if (deletionTimestamp !== undefined && (deletionGracePeriodSeconds ?? 0) <= graceSeconds) {
    return finalizers.length === (live.metadata.finalizers ?? []).length ? live : withMeta(live, { finalizers })
  }
  const end = timestamp(new Date(context.now().getTime() + graceSeconds * 1000))
  const changed = withMeta(live, {
    deletionTimestamp: end,
    deletionGracePeriodSeconds: graceSeconds,
    finalizers: finalizers.length === 0 ? undefined : finalizers,
    generation:
      resource.countsGenerations && deletionTimestamp === undefined
        ? (live.metadata.generation ?? 0) + 1
        : live.metadata.generation,
  })
  return resource.kind === 'Namespace'
    ? { ...changed, status: { ...(isObject(live['status']) ? live['status'] : {}), phase: 'Terminating' } }
    : changed
}

function isLivingNamespace(resource: Resource, live: KubeObject): boolean {
  const finalizers = dig(live, 'spec', 'finalizers')
  return resource.kind === 'Namespace' && Array.isArray(finalizers) && finalizers.length > 0
}

const propagationFinalizers = { Foreground: 'foregroundDeletion', Orphan: 'orphan' } as const

function withPropagation(finalizers: readonly string[], propagation: DeleteOptions['propagation']): readonly string[] {
  const rest = finalizers.filter((name) => name !== 'foregroundDeletion' && name !== 'orphan')
  return propagation === 'Background' ? rest : [...rest, propagationFinalizers[propagation]]
}
