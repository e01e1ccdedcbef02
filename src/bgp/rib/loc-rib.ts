// Loc-RIB (RFC 4271 section 3.2): for each prefix its candidates, the best one first. What changed waits in line until it is decided.
import { type Family } from '#/lib/addr.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type DecisionOptions, select } from './decision.ts'
import { forwardingOf, sameForwarding } from './forwarding.ts'
import { NlriMap } from './nlri-map.ts'
import { type Forwarding, type Path } from './path.ts'

export class Destination {
  readonly nlri: Nlri
  readonly family: Family
  /** A new list for each change: destinations with one path share theirs. */
  paths: readonly Path[] = []
  /** What the kernel's side was told. */
  told: Forwarding | undefined
  isWaiting = false

  constructor(nlri: Nlri, family: Family) {
    this.nlri = nlri
    this.family = family
  }
}

export type Decided = {
  /** undefined: there is none any more. */
  readonly onBest: (family: Family, nlri: Nlri, best: Path | undefined) => void
  readonly onForwarding: (family: Family, nlri: Nlri, forwarding: Forwarding | undefined) => void
}

export class LocRib {
  options: DecisionOptions
  readonly #decided: Decided
  readonly #tables = { 4: new NlriMap<Destination>(), 6: new NlriMap<Destination>() }
  #waiting: Destination[] = []
  #next = 0
  #entered = 0

  constructor(options: DecisionOptions, decided: Decided) {
    this.options = options
    this.#decided = decided
  }

  /** How many have been put in line so far, ever; and how many of these were decided. */
  get entered(): number {
    return this.#entered
  }

  get decidedUpTo(): number {
    return this.#entered - (this.#waiting.length - this.#next)
  }

  get(family: Family, nlri: Nlri): Destination | undefined {
    return this.#tables[family].get(nlri)
  }

  /** See NlriMap. */
  destinations(family: Family): IterableIterator<[Nlri, Destination]> {
    return this.#tables[family].entries()
  }

  /** Puts a candidate into another's place; either may be none. */
  replace(family: Family, nlri: Nlri, old: Path | undefined, path: Path | undefined): void {
    const table = this.#tables[family]
    let destination = table.get(nlri)
    if (destination === undefined) {
      if (path === undefined) return
      destination = new Destination(nlri, family)
      table.set(nlri, destination)
    }
    const others = old === undefined ? destination.paths : destination.paths.filter((one) => one !== old)
    destination.paths = path === undefined ? others : others.length === 0 ? path.alone : [...others, path]
    this.enter(destination)
  }

  /** Something that the decision depends on has changed. */
  enter(destination: Destination): void {
    if (destination.isWaiting) return
    destination.isWaiting = true
    this.#waiting.push(destination)
    this.#entered++
  }

  /** Decides on those in line until told to stop. Returns whether there are more. */
  decide(isOver: () => boolean): boolean {
    const waiting = this.#waiting
    while (this.#next < waiting.length) {
      this.#decideOne(waiting[this.#next++]!)
      if ((this.#next & 63) === 0 && isOver()) break
    }
    if (this.#next < waiting.length) {
      if (this.#next >= 65_536) {
        this.#waiting = waiting.slice(this.#next)
        this.#next = 0
      }
      return true
    }
    this.#waiting = []
    this.#next = 0
    return false
  }

  #decideOne(destination: Destination): void {
    const { family, nlri, paths } = destination
    destination.isWaiting = false
    let forwarding: Forwarding | undefined
    if (paths.length === 0) this.#tables[family].delete(nlri)
    else {
      const { best, multipath } = select(paths, this.options)
      if (paths[0] !== best) destination.paths = [best, ...paths.filter((path) => path !== best)]
      forwarding = forwardingOf(multipath)
    }
    this.#decided.onBest(family, nlri, destination.paths[0])
    const isSame = sameForwarding(destination.told, forwarding)
    destination.told = forwarding
    if (!isSame) this.#decided.onForwarding(family, nlri, forwarding)
  }
}
