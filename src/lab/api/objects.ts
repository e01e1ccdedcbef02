// Kubernetes objects as the server stores them: immutable JSON with the metadata that every kind shares.
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

/** `object` with some of its metadata replaced; members given as undefined are removed. */
export function withMeta(
  object: KubeObject,
  changes: { readonly [K in keyof ObjectMeta]?: ObjectMeta[K] | undefined },
): KubeObject {
  const metadata = Object.entries({ ...object.metadata, ...changes }).filter(([, value]) => value !== undefined)
  return { ...object, metadata: Object.fromEntries(metadata) }
}

/** `object` without undefined members, so that the stored object equals its JSON. */
export function compact(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata } = object
  return {
    ...Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)),
    apiVersion,
    kind,
    metadata,
  }
}

/** The key of a stored object: "namespace/name", or "name" for kinds without namespace. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`
}

/** A time as metav1.Time writes it: RFC 3339 in UTC with whole seconds. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

/** Whether a JSON value has the outline of an object: its schema checks the rest. */
export function isKubeObject(value: Json | undefined): value is JsonObject & KubeObject {
  return (
    isObject(value) &&
    typeof value['apiVersion'] === 'string' &&
    typeof value['kind'] === 'string' &&
    isObject(value['metadata'])
  )
}

/** `value` as an object; throws TypeError when it is none, which means a bug or a damaged store. */
export function kubeObject(value: Json | undefined): KubeObject {
  if (isKubeObject(value)) return value
  throw new TypeError('a Kubernetes object needs apiVersion, kind and metadata')
}
