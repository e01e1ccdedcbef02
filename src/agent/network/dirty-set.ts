// What the next pass must look at again: kinds of kernel objects, the underlay, and packets' ways. Events mark something here, and the next pass
// takes all marks.
import { type ObjectKind } from '#/model/object-kinds.ts'

/** `everything` includes kinds that are not named here. */
export type Taken = {
  readonly everything: boolean
  readonly underlay: boolean
  /** Whether somebody else changed what decides about packets' ways: rules, routes, addresses. */
  readonly ways: boolean
  readonly kinds: ReadonlySet<ObjectKind>
}

export class DirtySet {
  #everything = true
  #underlay = true
  #ways = true
  #kinds = new Set<ObjectKind>()

  markEverything(): void {
    this.#everything = true
    this.#underlay = true
    this.#ways = true
  }

  markUnderlay(): void {
    this.#underlay = true
  }

  markWays(): void {
    this.#ways = true
  }

  mark(...kinds: readonly ObjectKind[]): void {
    for (const kind of kinds) this.#kinds.add(kind)
  }

  take(): Taken {
    const taken = { everything: this.#everything, underlay: this.#underlay, ways: this.#ways, kinds: this.#kinds }
    this.#everything = false
    this.#underlay = false
    this.#ways = false
    this.#kinds = new Set()
    return taken
  }
}
