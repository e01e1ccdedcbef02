// Garbage collection: deletes objects whose owners are all gone, and finishes foreground and orphaning deletions (the garbage collector
// controller).
import { withMeta, type KubeObject } from '../objects.ts'
import type { Resource } from '../kinds/resource.ts'
import type { Change } from '../storage/history.ts'
import type { Context } from '../verbs/context.ts'
import { remove } from '../verbs/remove.ts'
import { update } from '../verbs/write.ts'
import { defaultDelete } from './namespaces.ts'

type Place = { readonly bucket: string; readonly key: string }

/** The graph of owners and dependents, updated with every change. */
export class GarbageCollector {
  readonly #context: Context
  readonly #uids = new Map<string, Place>()
  readonly #dependents = new Map<string, Map<string, Place>>()
  /** The uids of owners and dependents to check again. */
  readonly #pending = new Set<string>()

  constructor(context: Context) {
    this.#context = context
    for (const bucket of context.store.bucketNames()) {
      for (const entry of context.store.bucket(bucket).all())
        this.note(bucket, { revision: entry.revision, before: undefined, after: entry, encoded: new Map() })
    }
  }

  /** Records one change. It is cheap, because it runs with every write. */
  note(bucket: string, { before, after }: Change): void {
    if (before !== undefined) this.#forget(before.object, before.key, bucket)
    if (after !== undefined) this.#remember(after.object, after.key, bucket)
    if (before !== undefined && after === undefined && this.#dependents.has(before.object.metadata.uid ?? ''))
      this.#pending.add(before.object.metadata.uid!)
  }

  #remember({ metadata }: KubeObject, key: string, bucket: string): void {
    const uid = metadata.uid ?? ''
    this.#uids.set(uid, { bucket, key })
    for (const owner of metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(owner.uid) ?? new Map<string, Place>()
      this.#dependents.set(owner.uid, dependents.set(uid, { bucket, key }))
      this.#pending.add(owner.uid)
    }
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).some(isPropagation))
      this.#pending.add(uid)
  }

  #forget({ metadata }: KubeObject, key: string, bucket: string): void {
    const uid = metadata.uid ?? ''
    if (this.#uids.get(uid)?.key === key && this.#uids.get(uid)?.bucket === bucket) this.#uids.delete(uid)
    for (const owner of metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(owner.uid)
      dependents?.delete(uid)
      if (dependents?.size === 0) this.#dependents.delete(owner.uid)
      // a foreground deletion of the owner may have waited for this object
      if (this.#uids.has(owner.uid)) this.#pending.add(owner.uid)
    }
  }

  /** Checks everything that changed since the last call; its own changes may need another call. */
  collect(): void {
    const owners = [...this.#pending]
    this.#pending.clear()
    for (const uid of owners) {
      const owner = this.#find(this.#uids.get(uid))
      if (owner === undefined) this.#ownerGone(uid)
      else this.#finishOwner(owner.resource, owner.object)
    }
  }

  #ownerGone(ownerUid: string): void {
    for (const place of this.#dependents.get(ownerUid)?.values() ?? []) {
      const found = this.#find(place)
      if (found === undefined || found.object.metadata.deletionTimestamp !== undefined) continue
      const owners = found.object.metadata.ownerReferences ?? []
      const living = owners.filter(({ uid }) => this.#uids.has(uid))
      if (living.length > 0) this.#write(found.resource, withMeta(found.object, { ownerReferences: living }))
      else remove(this.#context, targetOf(found.resource, found.object), defaultDelete)
    }
  }

  #finishOwner(resource: Resource, owner: KubeObject): void {
    const { deletionTimestamp, finalizers = [], uid = '' } = owner.metadata
    if (deletionTimestamp === undefined || !finalizers.some(isPropagation)) return
    const dependents = [...(this.#dependents.get(uid)?.values() ?? [])]
      .map((place) => this.#find(place))
      .filter((found) => found !== undefined)
    if (finalizers.includes('orphan')) {
      for (const { resource: kind, object } of dependents)
        this.#write(
          kind,
          withMeta(object, {
            ownerReferences: (object.metadata.ownerReferences ?? []).filter((one) => one.uid !== uid),
          }),
        )
    } else {
      for (const found of dependents) {
        if (found.object.metadata.deletionTimestamp === undefined)
          remove(this.#context, targetOf(found.resource, found.object), defaultDelete)
      }
      if (this.#dependents.has(uid)) return
    }
    this.#write(resource, withMeta(owner, { finalizers: finalizers.filter((name) => !isPropagation(name)) }))
  }

  #write(resource: Resource, object: KubeObject): void {
    update(this.#context, targetOf(resource, object), withMeta(object, { managedFields: undefined }), {
      isDryRun: false,
      manager: 'kube-controller-manager',
      subresource: undefined,
    })
  }

  #find(place: Place | undefined): { resource: Resource; object: KubeObject } | undefined {
    if (place === undefined) return undefined
    const entry = this.#context.store.bucket(place.bucket).get(place.key)
    const resource = this.#context.registry.stored().find(({ bucket }) => bucket === place.bucket)
    return entry === undefined || resource === undefined ? undefined : { resource, object: entry.object }
  }

  get isIdle(): boolean {
    return this.#pending.size === 0
  }
}

function isPropagation(finalizer: string): boolean {
  return finalizer === 'foregroundDeletion' || finalizer === 'orphan'
}

function targetOf(
  resource: Resource,
  { metadata }: KubeObject,
): { resource: Resource; namespace: string | undefined; name: string } {
  return { resource, namespace: metadata.namespace, name: metadata.name ?? '' }
}
