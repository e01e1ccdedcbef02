// The description of a kind. One table (registry.ts) of these drives routing, discovery, validation and columns.
import type { Cause, Subject } from '../api-error.ts'
import type { Json } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import type { Indexes } from '../storage/bucket.ts'
import type { SchemaNode } from '../schema/schema.ts'

/** A column of `kubectl get`; with priority 0 it is always shown, with 1 only with -o wide. */
export type Column = {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format?: string
  readonly priority: 0 | 1
  readonly description: string
  readonly cell: (object: KubeObject, now: Date) => Json
}

/** The behaviour of a kind that differs from that of other kinds. */
export type Strategy = {
  /** Fills in defaults and fields that the server decides; runs on create, and on update too if it is idempotent. */
  readonly complete?: (object: KubeObject) => KubeObject
  /** Runs on create only, before `complete`. */
  readonly prepareCreate?: (object: KubeObject) => KubeObject
  readonly validate?: (object: KubeObject) => readonly Cause[]
  readonly validateUpdate?: (next: KubeObject, live: KubeObject) => readonly Cause[]
  /** What is wrong with a name; the default demands RFC 1123 subdomains. */
  readonly validateName?: (name: string) => string | undefined
  /** How many seconds an object remains after a request to delete it; 0 deletes at once. */
  readonly gracePeriodSeconds?: (object: KubeObject, requested: number | undefined) => number
}

export type Resource = {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  /** Where the objects are stored; two resources with one bucket are two views of the same objects. */
  readonly bucket: string
  readonly schema: SchemaNode
  /** The name of the schema in the published OpenAPI documents. */
  readonly definition: string
  readonly subresources: readonly ('status' | 'binding' | 'finalize')[]
  /** Whether metadata.generation counts changes of the specification. */
  readonly countsGenerations: boolean
  /** Whether only the status subresource writes the status. */
  readonly separatesStatus: boolean
  /** Set for custom resources: updates must name a resourceVersion, and status writes leave metadata alone. */
  readonly isCustom: boolean
  /** Whether PUT creates a missing object. */
  readonly createsOnUpdate: boolean
  /** Whether DELETE answers with the object rather than with a Status. */
  readonly returnsDeleted: boolean
  readonly columns: readonly Column[]
  /** Fields besides metadata.name and metadata.namespace that field selectors may use. */
  readonly selectableFields: Readonly<Record<string, (object: KubeObject) => string>>
  readonly indexes: Indexes
  readonly strategy: Strategy
  /** Converts between the stored form and the form that this resource serves; absent when they are the same. */
  readonly view?: {
    readonly fromStored: (object: KubeObject) => KubeObject
    readonly toStored: (object: KubeObject) => KubeObject
  }
}

export function apiVersionOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === '' ? version : `${group}/${version}`
}

export function subjectOf({ group, plural, kind }: Resource): Subject {
  return { group, resource: plural, kind }
}
