// The routes that the speaker has chosen, as the network keeper takes them: what changed since it last looked.
import { type LearnedRoute, type LearnedRouteChange } from '#/model/bgp.ts'

export class LearnedRouteStore {
  readonly #routes = new Map<string, LearnedRoute>()
  readonly #changed = new Map<string, LearnedRouteChange>()
  /** Prefixes of routes that an earlier speaker told of, and the present one has not told of yet. */
  #unconfirmed = new Set<string>()
  #isReady = false

  /** Whether the speaker has told all that its neighbours have. Before that, no route that BGP could have made may leave the kernel. */
  get isReady(): boolean {
    return this.#isReady
  }

  get size(): number {
    return this.#routes.size
  }

  has(prefix: string): boolean {
    return this.#routes.has(prefix)
  }

  /** Whether the network keeper has not taken the last change of the prefix yet. */
  isUntaken(prefix: string): boolean {
    return this.#changed.has(prefix)
  }

  take(changes: readonly LearnedRouteChange[]): void {
    for (const change of changes) {
      const key = String(change.prefix)
      if (change.route) this.#routes.set(key, change.route)
      else this.#routes.delete(key)
      this.#changed.set(key, change)
      this.#unconfirmed.delete(key)
    }
  }

  /** A new speaker starts, and knows no routes yet: those that are held here stay until it has told all that it learns. */
  beginAnew(): void {
    this.#unconfirmed = new Set(this.#routes.keys())
  }

  becomeReady(): void {
    this.#isReady = true
    const lost = [...this.#unconfirmed].map((key) => this.#routes.get(key)!)
    this.take(lost.map(({ prefix }) => ({ prefix, route: undefined })))
  }

  /** This node speaks no BGP any more: all routes go. */
  clear(): void {
    this.take([...this.#routes.values()].map(({ prefix }) => ({ prefix, route: undefined })))
  }

  /** The last change of each prefix since the last call. */
  takeChanges(): readonly LearnedRouteChange[] {
    const changes = [...this.#changed.values()]
    this.#changed.clear()
    return changes
  }
}
