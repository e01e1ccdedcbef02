// Kubernetes objects as the server holds them: plain immutable JSON with the metadata that every kind shares.
import { isObject, type Json, type JsonObject } from './json.ts'

export type OwnerReference = {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export type ManagedFields = {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly time?: string
  readonly fieldsType: 'FieldsV1'
  readonly fieldsV1: JsonObject
  readonly subresource?: string
}

export type ObjectMeta = {
  readonly name?: string
  readonly generateName?: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
  readonly managedFields?: readonly ManagedFields[]
}

export type KubeObject = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [key: string]: Json | undefined
}

/** `object` with some of its metadata replaced; members given as undefined are taken out. */
export function withMeta(
  object: KubeObject,
  changes: { readonly [K in keyof ObjectMeta]?: ObjectMeta[K] | undefined },
): KubeObject {
  const metadata = Object.entries({ ...object.metadata, ...changes }).filter(([, value]) => value !== undefined)
  return { ...object, metadata: Object.fromEntries(metadata) }
}

/** `object` without members that are given as undefined: what is stored has only what its JSON has. */
export function compact(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata } = object
  return {
    ...Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)),
    apiVersion,
    kind,
    metadata,
  }
}

/** The key an object is stored under: "namespace/name", or "name" for kinds without namespace. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`
}

/** RFC 3339 in UTC with whole seconds, as metav1.Time is written. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

/** Whether a JSON value has the outline of an object: the rest is up to its schema. */
export function isKubeObject(value: Json | undefined): value is JsonObject & KubeObject {
  return (
    isObject(value) &&
    typeof value['apiVersion'] === 'string' &&
    typeof value['kind'] === 'string' &&
    isObject(value['metadata'])
  )
}

/** `value` as an object; throws TypeError where something else got this far: a bug, or a damaged store. */
export function kubeObject(value: Json | undefined): KubeObject {
  if (isKubeObject(value)) return value
  throw new TypeError('a Kubernetes object needs apiVersion, kind and metadata')
}
