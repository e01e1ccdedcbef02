// Changes as watch events, one line of JSON each. The common form is encoded once and shared by all watchers.
import type { JsonObject } from '../json.ts'
import { apiVersionOf, type Resource } from '../kinds/resource.ts'
import { withMeta, type KubeObject } from '../objects.ts'
import type { Change } from '../storage/history.ts'
import type { Entry } from '../storage/store.ts'
import { served, servedJson } from '../verbs/context.ts'
import type { Form } from './negotiate.ts'
import { partialMetadata, table, type IncludeObject } from './table.ts'

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** The event that a watcher gets, with the object's state at that time. */
export type Sight = { readonly type: EventType; readonly entry: Entry }

/**
 * A change as a watcher with this predicate sees it: an object that begins to match is added, one that stops matching is deleted. A deleted
 * object shows its last matching state with the resourceVersion of the change.
 */
export function sightOf({ before, after }: Change, isMeant: (object: KubeObject) => boolean): Sight | undefined {
  const was = before !== undefined && isMeant(before.object)
  const is = after !== undefined && isMeant(after.object)
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', entry: after }
  return was ? { type: 'DELETED', entry: before } : undefined
}

export function encodeChange(resource: Resource, change: Change, { type, entry }: Sight): Buffer {
  const key = `${apiVersionOf(resource)} ${type}`
  let line = change.encoded.get(key)
  if (line === undefined) {
    const json =
      type === 'DELETED'
        ? JSON.stringify(served(resource, atRevision(entry.object, change.revision)))
        : servedJson(resource, entry)
    line = Buffer.from(`{"type":"${type}","object":${json}}\n`)
    change.encoded.set(key, line)
  }
  return line
}

export function atRevision(object: KubeObject, revision: number): KubeObject {
  return withMeta(object, { resourceVersion: String(revision) })
}

export function encodeEvent(type: string, object: JsonObject): Buffer {
  return Buffer.from(`{"type":"${type}","object":${JSON.stringify(object)}}\n`)
}

/** One object in the form a watcher asked for. */
export function shape(
  resource: Resource,
  stored: KubeObject,
  form: Form,
  options: { include: IncludeObject; now: Date; withHeaders: boolean },
): JsonObject {
  const shown = served(resource, stored)
  if (form.kind === 'object') return shown
  if (form.kind === 'metadata') return partialMetadata(shown, form.version)
  const metadata = { resourceVersion: stored.metadata.resourceVersion ?? '' }
  return table(resource, [{ stored, served: shown }], metadata, { version: form.version, ...options })
}
