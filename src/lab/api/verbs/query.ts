// The options of list and watch, read from a request's query.
import { badRequest } from '../api-error.ts'
import type { Resource } from '../kinds/resource.ts'
import type { KubeObject } from '../objects.ts'
import {
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
  type FieldRequirement,
  type LabelRequirement,
} from '../selectors.ts'
import type { Target } from './context.ts'

export type Selection = {
  readonly labels: readonly LabelRequirement[]
  readonly fields: readonly FieldRequirement[]
}

/** Reads labelSelector and fieldSelector; throws 400, also for fields that this kind has no selector for. */
export function readSelection(resource: Resource, query: URLSearchParams): Selection {
  try {
    const selection = {
      labels: parseLabelSelector(query.get('labelSelector') ?? ''),
      fields: parseFieldSelector(query.get('fieldSelector') ?? ''),
    }
    for (const { path } of selection.fields) {
      if (fieldReader(resource, path) === undefined) {
        throw badRequest(
          `Unable to find "${resource.group === '' ? '' : `${resource.group}/`}${resource.version}, Resource=${resource.plural}" that match label selector "${query.get('labelSelector') ?? ''}", field selector "${query.get('fieldSelector') ?? ''}": field label not supported: ${path}`,
        )
      }
    }
    return selection
  } catch (error) {
    throw error instanceof SelectorError ? badRequest(error.message) : error
  }
}

function fieldReader(resource: Resource, path: string): ((object: KubeObject) => string) | undefined {
  if (path === 'metadata.name') return (object) => object.metadata.name ?? ''
  if (path === 'metadata.namespace' && resource.namespaced) return (object) => object.metadata.namespace ?? ''
  return Object.hasOwn(resource.selectableFields, path) ? resource.selectableFields[path] : undefined
}

/** A predicate: whether an object (in stored form) matches a target and a selection. */
export function matcher({ resource, namespace, name }: Target, selection: Selection): (object: KubeObject) => boolean {
  const fields = selection.fields.map((requirement) => ({
    ...requirement,
    read: fieldReader(resource, requirement.path)!,
  }))
  return (object) =>
    (namespace === undefined || !resource.namespaced || object.metadata.namespace === namespace) &&
    (name === '' || object.metadata.name === name) &&
    fields.every(({ read, isEqual, value }) => (read(object) === value) === isEqual) &&
    (selection.labels.length === 0 || matchesLabels(selection.labels, object.metadata.labels))
}

/** Reads a resourceVersion as a number; throws 400. Empty and "0" mean "any". */
export function readRevision(query: URLSearchParams): number {
  const value = query.get('resourceVersion') ?? ''
  if (value === '') return 0
  if (!/^\d{1,15}$/.test(value)) throw badRequest(`resourceVersion: Invalid value: "${value}": must be a number`)
  return Number(value)
}
