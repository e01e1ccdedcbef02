// What a peer announced with a fault for which RFC 7606 makes a withdrawal of it: such routes would otherwise be missing without a trace.
import { type Nlri } from '#/wire/bgp/values.ts'

export type FaultyRoute = {
  /** The attribute at fault, and its fault. */
  readonly because: string
  /** Wall clock. */
  readonly atMs: number
}

/** A peer can send faults without end: of each family only the latest are remembered. */
const maxRemembered = 100

export class FaultyRoutes {
  readonly #routes = new Map<Nlri, FaultyRoute>()

  get(nlri: Nlri): FaultyRoute | undefined {
    return this.#routes.get(nlri)
  }

  add(nlri: Nlri, route: FaultyRoute): void {
    this.#routes.delete(nlri)
    this.#routes.set(nlri, route)
    if (this.#routes.size <= maxRemembered) return
    for (const oldest of this.#routes.keys()) return void this.#routes.delete(oldest)
  }

  /** The peer has announced the prefix without a fault, or withdrawn it. */
  delete(nlri: Nlri): void {
    this.#routes.delete(nlri)
  }

  clear(): void {
    this.#routes.clear()
  }

  entries(): IterableIterator<[Nlri, FaultyRoute]> {
    return this.#routes.entries()
  }
}
