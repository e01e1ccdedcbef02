// The state of every object we want in the kernel. CLI, web page and metrics read only this.

import { type Failure } from '#/model/failure.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'

export type ObjectState = 'done' | 'error'

export { type Failure }

export type ObjectStatus = {
  readonly kind: ObjectKind
  readonly key: string
  readonly state: ObjectState
  /** Why the object failed, when its state is 'error'. */
  readonly message?: string
  /** What to do about the failure, where more is known than the message says. */
  readonly remedy?: string
  readonly isTold?: boolean
  /** When the object entered this state, by the wall clock. */
  readonly sinceMs: number
  /** How often the object failed in a row. */
  readonly attempts: number
}

export class StatusTable {
  readonly #objects = new Map<string, ObjectStatus>()
  /** Those in error: they are asked for several times a pass, and are hardly any of thousands. */
  readonly #failures = new Map<string, ObjectStatus>()

  set(kind: ObjectKind, key: string, state: ObjectState, nowMs: number, failure?: Failure): void {
    const id = `${kind} ${key}`
    const before = this.#objects.get(id)
    if (state === 'done' && before?.state === 'done') return
    const attempts = state === 'error' ? (before?.attempts ?? 0) + 1 : 0
    const sinceMs = before?.state === state ? before.sinceMs : nowMs
    const object: ObjectStatus = { kind, key, state, sinceMs, attempts, ...failure }
    this.#objects.set(id, object)
    if (state === 'error') this.#failures.set(id, object)
    else this.#failures.delete(id)
  }

  /** Forgets all objects of a kind except the given ones: the others are no longer wanted. */
  retain(kind: ObjectKind, keys: ReadonlySet<string>): void {
    for (const [id, object] of this.#objects) if (object.kind === kind && !keys.has(object.key)) this.#forget(id)
  }

  forget(kind: ObjectKind, key: string): void {
    this.#forget(`${kind} ${key}`)
  }

  #forget(id: string): void {
    this.#objects.delete(id)
    this.#failures.delete(id)
  }

  failures(): ObjectStatus[] {
    return [...this.#failures.values()]
  }

  list(): ObjectStatus[] {
    return [...this.#objects.values()]
  }
}
