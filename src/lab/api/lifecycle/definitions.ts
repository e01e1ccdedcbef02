// Keeps the registry in step with the CustomResourceDefinitions: they are served from the moment they are stored.
import { deepEqual, dig, isObject, text } from '../json.ts'
import { establishedStatus, resourcesOf } from '../kinds/definition.ts'
import type { KubeObject } from '../objects.ts'
import { nowStamp, type Context } from '../verbs/context.ts'

export const definitionsBucket = 'customresourcedefinitions.apiextensions.k8s.io'

/** Replaces the registry's resources of `definition` with those that it declares now. */
export function serve(context: Context, definition: KubeObject): void {
  const { group, plural } = place(definition)
  context.registry.replace(group, plural, resourcesOf(definition, context.registry.definitions))
}

/** Stops serving a definition's resources, and removes their objects. */
export function withdraw(context: Context, definition: KubeObject): void {
  const { group, plural } = place(definition)
  context.registry.replace(group, plural, [])
  const bucket = `${plural}.${group}`
  for (const { key } of context.store.bucket(bucket).all()) context.store.remove(bucket, key)
}

/** Sets each definition's status to served. */
export function establish(context: Context): void {
  for (const { key, object } of context.store.bucket(definitionsBucket).all()) {
    const conditions = dig(object, 'status', 'conditions')
    const wanted = establishedStatus(object, nowStamp(context))
    const isCurrent =
      Array.isArray(conditions) &&
      conditions.length > 0 &&
      deepEqual(dig(object, 'status', 'acceptedNames'), wanted['acceptedNames'])
    if (isCurrent && isObject(object['status'])) continue
    context.store.put(definitionsBucket, key, { ...object, status: wanted })
  }
}

function place(definition: KubeObject): { group: string; plural: string } {
  return { group: text(dig(definition, 'spec', 'group')), plural: text(dig(definition, 'spec', 'names', 'plural')) }
}
