// The parts that all verbs share: the store, the clock, and the conversion of stored objects for clients.
import type { Logger } from '#/lib/log.ts'
import { notFound } from '../api-error.ts'
import type { Registry } from '../kinds/registry.ts'
import { subjectOf, type Resource } from '../kinds/resource.ts'
import { keyOf, timestamp, type KubeObject } from '../objects.ts'
import type { Entry, Store } from '../storage/store.ts'

export type Context = {
  readonly store: Store
  readonly registry: Registry
  readonly now: () => Date
  readonly log: Logger
}

/** The target of a request: an object, or all objects of a kind in a namespace (undefined: in all). */
export type Target = { readonly resource: Resource; readonly namespace: string | undefined; readonly name: string }

export function keyFor({ resource, namespace, name }: Target): string {
  return keyOf(resource.namespaced ? namespace : undefined, name)
}

export function lookUp(context: Context, target: Target): Entry | undefined {
  return context.store.bucket(target.resource.bucket).get(keyFor(target))
}

/** The stored object; throws 404. */
export function load(context: Context, target: Target): Entry {
  const entry = lookUp(context, target)
  if (entry === undefined) throw notFound(subjectOf(target.resource), target.name)
  return entry
}

export function served(resource: Resource, object: KubeObject): KubeObject {
  return resource.view === undefined ? object : resource.view.fromStored(object)
}

/** A stored entry as JSON text for clients of `resource`. */
export function servedJson(resource: Resource, entry: Entry): string {
  return resource.view === undefined ? entry.json : JSON.stringify(resource.view.fromStored(entry.object))
}

export function stored(resource: Resource, object: KubeObject): KubeObject {
  return resource.view === undefined ? object : resource.view.toStored(object)
}

export function nowStamp(context: Context): string {
  return timestamp(context.now())
}
