// Claims in the order of their prefixes, so that those that overlap a prefix are found without looking at the others.
import { type Family, Prefix } from '#/lib/addr.ts'

/** The titles of a claim, the best first. */
export const claimTitles = ['assigned', 'extra', 'former'] as const
export type ClaimTitle = (typeof claimTitles)[number]

/** What a node says is its own: a pod CIDR, or an address (as a prefix that holds only that). */
export type Claim = {
  readonly prefix: Prefix
  readonly name: string
  /**
   * `assigned`: spec.podCIDRs, or an address. `extra`: a pod CIDR of the annotation, which anybody who writes the Node object can add at any
   * time. `former`: a pod CIDR that the node has lost while some of its pods still have addresses of it.
   */
  readonly title: ClaimTitle
}

export class SortedClaims {
  /** Sorted by prefix (a containing one before those it contains), then by name. */
  readonly #claims: Claim[] = []
  /** How many claims there are of each prefix length: mostly one length per family. */
  readonly #lengths: Record<Family, Map<number, number>> = { 4: new Map(), 6: new Map() }

  add(claim: Claim): void {
    this.#claims.splice(this.#indexOf(claim.prefix, claim.name), 0, claim)
    this.#count(claim.prefix, 1)
  }

  /** The claim must have been added. */
  remove({ prefix, name }: Claim): void {
    this.#claims.splice(this.#indexOf(prefix, name), 1)
    this.#count(prefix, -1)
  }

  /** All claims that overlap the prefix: the wider ones, the equal ones, and those inside. */
  *overlapping(prefix: Prefix): Generator<Claim, void> {
    for (const length of this.#lengths[prefix.family].keys())
      if (length < prefix.length) yield* this.#equal(new Prefix(prefix.addr, length))
    for (let index = this.#indexOf(prefix, ''); index < this.#claims.length; index++) {
      const claim = this.#claims[index]!
      if (!prefix.contains(claim.prefix)) return
      yield claim
    }
  }

  *#equal(prefix: Prefix): Generator<Claim, void> {
    for (let index = this.#indexOf(prefix, ''); index < this.#claims.length; index++) {
      const claim = this.#claims[index]!
      if (!claim.prefix.equals(prefix)) return
      yield claim
    }
  }

  /** The index of the first claim that sorts at or after (prefix, name). */
  #indexOf(prefix: Prefix, name: string): number {
    let low = 0
    let high = this.#claims.length
    while (low < high) {
      const middle = (low + high) >> 1
      const claim = this.#claims[middle]!
      const order = claim.prefix.compare(prefix) || (claim.name < name ? -1 : claim.name > name ? 1 : 0)
      if (order < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #count({ family, length }: Prefix, by: 1 | -1): void {
    const lengths = this.#lengths[family]
    const count = (lengths.get(length) ?? 0) + by
    if (count > 0) lengths.set(length, count)
    else lengths.delete(length)
  }
}
