// What the server knows about a kind. One table (registry.ts) of these drives routing, discovery, validation, columns.
import type { Cause, Subject } from '../api-error.ts'
import type { Json } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import type { Indexes } from '../storage/bucket.ts'
import type { SchemaNode } from '../schema/schema.ts'

/** A column of `kubectl get`; priority 0 is always shown, 1 only with -o wide. */
export type Column = {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format?: string
  readonly priority: 0 | 1
  readonly description: string
  readonly cell: (object: KubeObject, now: Date) => Json
}

/** What distinguishes a kind's behaviour from that of any other object. */
export type Strategy = {
  /** Fills in defaults and what the server decides; runs on create, and on update too when it is idempotent. */
  readonly complete?: (object: KubeObject) => KubeObject
  /** Runs on create only, before `complete`. */
  readonly prepareCreate?: (object: KubeObject) => KubeObject
  readonly validate?: (object: KubeObject) => readonly Cause[]
  readonly validateUpdate?: (next: KubeObject, live: KubeObject) => readonly Cause[]
  /** What is wrong with a name; RFC 1123 subdomains by default. */
  readonly validateName?: (name: string) => string | undefined
  /** Seconds an object lives on after its deletion was asked for; 0 deletes at once. */
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
  /** Where objects are stored; two resources with one bucket are two views of the same objects. */
  readonly bucket: string
  readonly schema: SchemaNode
  /** The name of the schema in the published OpenAPI documents. */
  readonly definition: string
  readonly subresources: readonly ('status' | 'binding' | 'finalize')[]
  /** metadata.generation counts changes of the specification. */
  readonly countsGenerations: boolean
  /** Only the status subresource writes the status. */
  readonly separatesStatus: boolean
  /** Custom resources: updates must name a resourceVersion, status writes leave metadata alone. */
  readonly isCustom: boolean
  /** PUT makes the object when there is none. */
  readonly createsOnUpdate: boolean
  /** DELETE answers with the object rather than with a Status. */
  readonly returnsDeleted: boolean
  readonly columns: readonly Column[]
  /** Fields besides metadata.name and metadata.namespace that field selectors may use. */
  readonly selectableFields: Readonly<Record<string, (object: KubeObject) => string>>
  readonly indexes: Indexes
  readonly strategy: Strategy
  /** Between the stored form and the form this resource serves, where they differ. */
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
