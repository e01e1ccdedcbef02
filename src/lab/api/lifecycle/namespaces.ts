// Namespaces: those that every cluster has, and the deletion of namespaces (the namespace controller).
import { dig, isObject, list, type Json } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import type { Context } from '../verbs/context.ts'
import { remove, type DeleteOptions } from '../verbs/remove.ts'
import { create } from '../verbs/write.ts'

const initial = ['default', 'kube-node-lease', 'kube-public', 'kube-system']

export const defaultDelete: DeleteOptions = {
  isDryRun: false,
  gracePeriodSeconds: undefined,
  propagation: 'Background',
  uid: undefined,
  resourceVersion: undefined,
}

/** Makes the namespaces that every cluster has from the start. */
export function ensureNamespaces(context: Context): void {
  const resource = context.registry.find('', 'v1', 'namespaces')!
  for (const name of initial) {
    if (context.store.bucket('namespaces').get(name) !== undefined) continue
    const namespace: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    create(context, { resource, namespace: undefined, name }, namespace, {
      isDryRun: false,
      manager: 'kube-apiserver',
      subresource: undefined,
    })
  }
}

/** Empties the namespaces that are being deleted, and removes the empty ones. */
export function finishNamespaces(context: Context): void {
  for (const { key, object } of context.store.bucket('namespaces').all()) {
    if (object.metadata.deletionTimestamp === undefined) continue
    if (removeContent(context, key) > 0) continue
    const finalizers = list(dig(object, 'spec', 'finalizers')).filter((name) => name !== 'kubernetes')
    if (finalizers.length === 0 && (object.metadata.finalizers ?? []).length === 0)
      context.store.remove('namespaces', key)
    else if (finalizers.length < list(dig(object, 'spec', 'finalizers')).length) {
      context.store.put('namespaces', key, { ...object, spec: { ...spec(object), finalizers } })
    }
  }
}

function spec(object: KubeObject): { readonly [key: string]: Json | undefined } {
  return isObject(object['spec']) ? object['spec'] : {}
}

/** Deletes a namespace's objects; returns how many remain, such as those with a grace period. */
function removeContent(context: Context, namespace: string): number {
  let left = 0
  for (const resource of context.registry.stored()) {
    if (!resource.namespaced) continue
    for (const { object } of context.store.bucket(resource.bucket).indexed('namespace', namespace)!) {
      const target = { resource, namespace, name: object.metadata.name ?? '' }
      if (object.metadata.deletionTimestamp !== undefined || !remove(context, target, defaultDelete).isGone) left++
    }
  }
  return left
}
