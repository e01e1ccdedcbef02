// Claims in the order of their prefixes, so that those that overlap a prefix are found without looking at the others.
import { type Family, Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'

/** The titles of a claim, the best first. */
export const claimTitles = ['assigned', 'extra', 'former'] as const
export type ClaimTitle = (typeof claimTitles)[number]

export type Claimant = Pick<NodeState, 'name' | 'podCIDRs' | 'extraCIDRs' | 'formerCIDRs' | 'addrs' | 'life'>

/** What a node says is its own: a pod CIDR, or an address (as a prefix that holds only that). */
export type Claim = {
  readonly prefix: Prefix
  readonly node: Claimant
  /**
   * `assigned`: spec.podCIDRs, or an address. `extra`: a pod CIDR of the annotation, which anybody who writes the Node object can add at any
   * time. `former`: a pod CIDR that the node has lost while some of its pods still have addresses of it.
   */
  readonly title: ClaimTitle
  readonly isAddr: boolean
}

/** More claims than these are not put in or taken out one by one: each would move half of all others. */
const fewClaims = 4

export class SortedClaims {
  /** Sorted by prefix (a containing one before those it contains), then by name. */
  readonly #claims: Claim[] = []
  /** How many claims there are of each prefix length: mostly one length per family. */
  readonly #lengths: Record<Family, Map<number, number>> = { 4: new Map(), 6: new Map() }

  add(claims: readonly Claim[]): void {
    for (const { prefix } of claims) this.#count(prefix, 1)
    const all = this.#claims
    if (claims.length <= fewClaims) {
      for (const claim of claims) all.splice(this.#indexOf(claim.prefix, claim.node.name), 0, claim)
      return
    }
    const sorted = claims.toSorted((a, b) => order(a, b.prefix, b.node.name))
    // from the end, so that each claim moves once at most
    let end = all.length
    for (let left = sorted.length; left > 0; left--) {
      const claim = sorted[left - 1]!
      const at = this.#indexOf(claim.prefix, claim.node.name, end)
      for (let from = end; from > at; from--) all[from - 1 + left] = all[from - 1]!
      all[at - 1 + left] = claim
      end = at
    }
  }

  /** The claims must have been added. */
  remove(claims: readonly Claim[]): void {
    for (const { prefix } of claims) this.#count(prefix, -1)
    const all = this.#claims
    if (claims.length <= fewClaims) {
      for (const claim of claims) all.splice(all.indexOf(claim, this.#indexOf(claim.prefix, claim.node.name)), 1)
      return
    }
    const gone = new Set(claims)
    let kept = 0
    for (const claim of all) if (!gone.has(claim)) all[kept++] = claim
    all.length = kept
  }

  /** The claim of that node to just that prefix. */
  find(prefix: Prefix, name: string): Claim | undefined {
    const claim = this.#claims[this.#indexOf(prefix, name)]
    return claim?.node.name === name && claim.prefix.equals(prefix) ? claim : undefined
  }

  /** Visits all claims that overlap the prefix: the wider ones, the equal ones, and those inside. */
  visitOverlapping(prefix: Prefix, visit: (claim: Claim) => void): void {
    for (const length of this.#lengths[prefix.family].keys())
      if (length < prefix.length) this.#visitEqual(new Prefix(prefix.addr, length), visit)
    for (let index = this.#indexOf(prefix, ''); index < this.#claims.length; index++) {
      const claim = this.#claims[index]!
      if (!prefix.contains(claim.prefix)) return
      visit(claim)
    }
  }

  #visitEqual(prefix: Prefix, visit: (claim: Claim) => void): void {
    for (let index = this.#indexOf(prefix, ''); index < this.#claims.length; index++) {
      const claim = this.#claims[index]!
      if (!claim.prefix.equals(prefix)) return
      visit(claim)
    }
  }

  /** The index of the first claim that sorts at or after (prefix, name), of those before `end`. */
  #indexOf(prefix: Prefix, name: string, end = this.#claims.length): number {
    let low = 0
    let high = end
    while (low < high) {
      const middle = (low + high) >> 1
      if (order(this.#claims[middle]!, prefix, name) < 0) low = middle + 1
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

function order(claim: Claim, prefix: Prefix, name: string): number {
  return claim.prefix.compare(prefix) || (claim.node.name < name ? -1 : claim.node.name > name ? 1 : 0)
}
