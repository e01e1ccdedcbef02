// meta.k8s.io Tables, which `kubectl get` prints.
import { type KubeObject } from '../objects.ts'
import type { JsonObject } from '../json.ts'
import type { Resource } from '../kinds/resource.ts'

/** How much of each object a row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

export type TableOptions = {
  readonly version: string
  readonly include: IncludeObject
  readonly now: Date
  /** False after the first event of a watch. */
  readonly withHeaders: boolean
}

export function readInclude(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject')
  return value === 'None' || value === 'Object' ? value : 'Metadata'
}

/** Makes a table. `objects` are in stored form, which the columns read; rows carry the served form. */
export function table(
  resource: Resource,
  rows: readonly { readonly stored: KubeObject; readonly served: KubeObject }[],
  metadata: JsonObject,
  options: TableOptions,
): JsonObject {
  const { version, include, now, withHeaders } = options
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: withHeaders
      ? resource.columns.map(({ name, type, format = '', description, priority }) => ({
          name,
          type,
          format,
          description,
          priority,
        }))
      : null,
    rows: rows.map(({ stored, served }) => ({
      cells: resource.columns.map(({ cell }) => cell(stored, now)),
      ...(include !== 'None' && { object: include === 'Object' ? served : partialMetadata(served, version) }),
    })),
  }
}

export function partialMetadata({ metadata }: KubeObject, version: string): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: metadata }
}
