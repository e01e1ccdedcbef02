// The objects of one collection as last seen, and the listeners for their changes.
// Pure bookkeeping: lists and events go in, changes come out.
import type { Logger } from '#/lib/log.ts'
import { keyOf, type KubeObject } from '#/model/kubernetes.ts'

/** `synced` says that a whole list has been taken over; all changes of that list come before it. */
export type Change<T extends KubeObject> =
  | { readonly kind: 'added'; readonly key: string; readonly object: T }
  | { readonly kind: 'modified'; readonly key: string; readonly object: T; readonly previous: T }
  | { readonly kind: 'deleted'; readonly key: string; readonly object: T }
  | { readonly kind: 'synced' }

export type Listener<T extends KubeObject> = (change: Change<T>) => void
export type Unsubscribe = () => void

/** Reduces an object to the part that is kept. It is pure, and leaves an object alone that it has already reduced. */
export type Keep<T extends KubeObject> = (object: T) => T

export class ObjectStore<T extends KubeObject> {
  readonly #log: Logger
  readonly #keep: Keep<T>
  readonly #objects = new Map<string, T>()
  readonly #listeners = new Set<Listener<T>>()
  #inSync = false

  constructor(deps: { log: Logger; keep?: Keep<T> }) {
    this.#log = deps.log
    this.#keep = deps.keep ?? lean
  }

  get objects(): ReadonlyMap<string, T> {
    return this.#objects
  }

  /** Whether a whole list has been taken over at least once. */
  get inSync(): boolean {
    return this.#inSync
  }

  subscribe(listener: Listener<T>): Unsubscribe {
    // a wrapper for each subscription, so that a function subscribed twice is called twice and each unsubscription removes one
    const own: Listener<T> = (change) => listener(change)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  /** Takes over a whole list, object by object. An object that is not in the list was deleted while there was no watch. */
  *replaceAll(items: readonly T[]): Generator<void, void> {
    const listed = new Set(items.map(keyOf))
    for (const [key, object] of this.#objects) if (!listed.has(key)) this.#delete(key, object)
    for (const item of items) yield this.put(item)
    this.#inSync = true
    this.#tell({ kind: 'synced' })
  }

  put(received: T): void {
    const object = this.#keep(received)
    const key = keyOf(object)
    const previous = this.#objects.get(key)
    if (previous?.metadata.resourceVersion !== undefined && isSameVersion(previous, object)) return
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) {
      // deleted and made anew under the same name: listeners that free resources of the old object must see its deletion
      this.#delete(key, previous)
    }
    const known = this.#objects.get(key)
    this.#objects.set(key, object)
    this.#tell(
      known === undefined ? { kind: 'added', key, object } : { kind: 'modified', key, object, previous: known },
    )
  }

  /** Removes an object; `received` is its last state. An event for an older object of the same name changes nothing. */
  remove(received: T): void {
    const key = keyOf(received)
    const known = this.#objects.get(key)
    if (known !== undefined && known.metadata.uid === received.metadata.uid) this.#delete(key, this.#keep(received))
  }

  #delete(key: string, object: T): void {
    this.#objects.delete(key)
    this.#tell({ kind: 'deleted', key, object })
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        // a bug of one listener must not keep the event from the others
        this.#log.error('a listener failed on a change', { change: change.kind, error })
      }
    }
  }
}

function isSameVersion(left: KubeObject, right: KubeObject): boolean {
  return left.metadata.resourceVersion === right.metadata.resourceVersion && left.metadata.uid === right.metadata.uid
}

/** Removes metadata.managedFields: it is often half of an object, and no code here reads it. */
export function lean<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}
