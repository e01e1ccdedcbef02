// The connections of one peer by number; those that are being closed are still among them.
import { type Connection } from '../contract.ts'
import { Link } from './link.ts'

export type LinkSetDeps = ConstructorParameters<typeof Link>[1]

export class LinkSet {
  readonly #deps: LinkSetDeps
  readonly #links = new Map<number, Link>()
  readonly #whenEmpty: (() => void)[] = []
  #nextId = 1

  constructor(deps: LinkSetDeps) {
    this.#deps = deps
  }

  get(id: number): Link | undefined {
    return this.#links.get(id)
  }

  add(connection: Connection): Link {
    const link = new Link({ id: this.#nextId++, connection }, this.#deps)
    this.#links.set(link.id, link)
    return link
  }

  remove(link: Link): void {
    this.#links.delete(link.id)
    if (this.#links.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.#links.values()
  }

  /** Resolves when no connection is left. */
  async empty(): Promise<void> {
    if (this.#links.size > 0) await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
  }
}
