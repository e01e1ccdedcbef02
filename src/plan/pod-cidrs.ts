// Decides which node gets which pod CIDR. Pure: cluster CIDRs and the CIDRs that nodes hold go in, assignments and problems come out.
// The cluster CIDRs are cut into slots of the node mask size. A held CIDR blocks every slot it touches, whatever its size and whichever
// node holds it. kube-controller-manager's range allocator works alike (the flags have its names, as in KEP-2593), but here taken ranges
// are sorted intervals instead of a bitmap, so that an IPv6 cluster CIDR of any size costs nothing.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'

export type PodCidrConfig = {
  /** The cluster CIDRs in order of preference; the family of the first is the primary family. */
  readonly clusterCIDRs: readonly Prefix[]
  readonly nodeMaskSizes: { readonly 4: number; readonly 6: number }
}

export type HolderNode = {
  readonly name: string
  /** The CIDRs that the node already has, written on the Node or being written. Empty when the node needs some. */
  readonly held: readonly Prefix[]
  /** False when the Node's CIDRs cannot be read: then the node must get none, and blocks none either. */
  readonly mayAllocate: boolean
}

export type Assignment = { readonly node: string; readonly prefixes: readonly Prefix[] }

export type PodCidrProblem =
  | { readonly kind: 'exhausted'; readonly node: string; readonly family: Family }
  /** The node holds a CIDR that lies in no cluster CIDR. The node keeps it. */
  | { readonly kind: 'outside'; readonly node: string; readonly prefix: Prefix }
  /** The node holds a CIDR that contains a whole cluster CIDR and more. The node keeps it, which blocks the whole cluster CIDR. */
  | { readonly kind: 'crossing'; readonly node: string; readonly prefix: Prefix; readonly clusterCIDR: Prefix }
  | {
      readonly kind: 'overlap'
      readonly nodes: readonly [string, string]
      readonly prefixes: readonly [Prefix, Prefix]
    }
  /** The node has pod CIDRs, which the API lets nobody change, but none of this family. */
  | { readonly kind: 'family-missing'; readonly node: string; readonly family: Family }

export type PoolUse = {
  readonly clusterCIDR: Prefix
  readonly nodeMaskSize: number
  readonly slots: number
  readonly freeSlots: number
}

export type PodCidrPlan = {
  readonly assignments: readonly Assignment[]
  readonly problems: readonly PodCidrProblem[]
  readonly pools: readonly PoolUse[]
  /** The caller passes these to the next call, so that freed slots are reused as late as possible: others may still know them. */
  readonly cursors: Cursors
}

/** By cluster CIDR (as text), the slot at which the search for a free slot begins. */
export type Cursors = ReadonlyMap<string, number>

/** The faults of a configuration, one line each; empty when there are none. */
export function podCidrConfigProblems(config: PodCidrConfig): string[] {
  const { clusterCIDRs, nodeMaskSizes } = config
  if (clusterCIDRs.length === 0) return ['cluster CIDRs: none given; nodes cannot be given pod CIDRs without one']
  const problems: string[] = []
  for (const [index, cidr] of clusterCIDRs.entries()) {
    const mask = nodeMaskSizes[cidr.family]
    // with fewer than two host bits no address is left for a pod after the network, gateway and broadcast addresses
    const longest = cidr.addr.bits - 2
    if (!Number.isInteger(mask) || mask < 1 || mask > longest) {
      problems.push(`node mask size for IPv${cidr.family}: ${mask} is not between 1 and ${longest}`)
    } else if (mask < cidr.length) {
      problems.push(
        `cluster CIDR ${cidr}: the node mask size /${mask} is shorter, so not even one node fits; use /${cidr.length} or longer`,
      )
    }
    const clash = clusterCIDRs.slice(0, index).find((other) => other.overlaps(cidr))
    if (clash !== undefined) problems.push(`cluster CIDR ${cidr}: overlaps ${clash}; remove one`)
  }
  return [...new Set(problems)]
}

/** `config` must have no faults. Nodes come in any order, each name once; the plan does not depend on their order. */
export function planPodCidrs(
  config: PodCidrConfig,
  nodes: readonly HolderNode[],
  cursors: Cursors = new Map(),
): PodCidrPlan {
  const sorted = [...nodes].sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0))
  const claims = sorted.flatMap(({ name, held }) => held.map((prefix) => ({ node: name, prefix })))
  claims.sort((left, right) => left.prefix.compare(right.prefix))
  const pools = config.clusterCIDRs.map(
    (cidr) => new Pool(cidr, config.nodeMaskSizes[cidr.family], claims, cursors.get(cidr.toString()) ?? 0),
  )
  const families = [...new Set(config.clusterCIDRs.map(({ family }) => family))]
  const assignments: Assignment[] = []
  const problems: PodCidrProblem[] = [...claimProblems(config, claims), ...missingFamilies(families, sorted)]
  for (const { name, held, mayAllocate } of sorted) {
    if (held.length > 0 || !mayAllocate) continue
    const lacking = families.filter((family) => !pools.some((pool) => pool.family === family && pool.hasFree))
    // a node gets CIDRs of all families or none: the API lets pod CIDRs be set only once, so a missing one could never be added
    if (lacking.length === 0)
      assignments.push({ node: name, prefixes: families.map((family) => takeFrom(pools, family)) })
    for (const family of lacking) problems.push({ kind: 'exhausted', node: name, family })
  }
  return {
    assignments,
    problems,
    pools: pools.map((pool) => pool.use),
    cursors: new Map(pools.map((pool) => [pool.cidr.toString(), pool.cursor])),
  }
}

function takeFrom(pools: readonly Pool[], family: Family): Prefix {
  const pool = pools.find((each) => each.family === family && each.hasFree)
  if (pool === undefined) throw new Error(`no free IPv${family} slot; ask hasFree before`)
  return pool.take()
}

type Claim = { readonly node: string; readonly prefix: Prefix }

/** Problems of the held CIDRs. `claims` must be sorted, so that a prefix comes after every prefix that contains it. */
function claimProblems(config: PodCidrConfig, claims: readonly Claim[]): PodCidrProblem[] {
  const problems: PodCidrProblem[] = []
  let widest: Claim | undefined
  for (const claim of claims) {
    const { node, prefix } = claim
    if (widest?.prefix.contains(prefix) === true) {
      problems.push({ kind: 'overlap', nodes: [widest.node, node], prefixes: [widest.prefix, prefix] })
    } else widest = claim
    if (config.clusterCIDRs.some((cidr) => cidr.contains(prefix))) continue
    const crossed = config.clusterCIDRs.filter((cidr) => prefix.contains(cidr))
    if (crossed.length === 0) problems.push({ kind: 'outside', node, prefix })
    for (const clusterCIDR of crossed) problems.push({ kind: 'crossing', node, prefix, clusterCIDR })
  }
  return problems
}

function missingFamilies(families: readonly Family[], nodes: readonly HolderNode[]): PodCidrProblem[] {
  return nodes.flatMap(({ name, held }) =>
    held.length === 0
      ? []
      : families
          .filter((family) => !held.some((prefix) => prefix.family === family))
          .map((family): PodCidrProblem => ({ kind: 'family-missing', node: name, family })),
  )
}

/** Slots of one cluster CIDR are counted only up to 2^40, so that slot numbers stay exact; later slots are never reached. */
const maxSlotBits = 40

/** A range of slots; `first` and `last` both belong to it. */
type Interval = { readonly first: number; readonly last: number }

class Pool {
  readonly cidr: Prefix
  readonly #mask: number
  readonly #slots: number
  /** The intervals of slots that were blocked at the start of this plan: sorted, disjoint. */
  readonly #blocked: readonly Interval[]
  #free: number
  /** The next slot to look at; beside it, the index of the first blocked interval that does not end before that slot. */
  #cursor: number
  #nextBlocked = 0

  constructor(cidr: Prefix, mask: number, claims: readonly Claim[], cursor: number) {
    this.cidr = cidr
    this.#mask = mask
    this.#slots = 2 ** Math.min(mask - cidr.length, maxSlotBits)
    this.#blocked = merged(claims.flatMap(({ prefix }) => this.#intervalOf(prefix)))
    this.#free = this.#blocked.reduce((free, { first, last }) => free - (last - first + 1), this.#slots)
    this.#cursor = cursor < this.#slots ? cursor : 0
    this.#skipBlockedBefore(this.#cursor)
  }

  get family(): Family {
    return this.cidr.family
  }

  get hasFree(): boolean {
    return this.#free > 0
  }

  get cursor(): number {
    return this.#cursor
  }

  get use(): PoolUse {
    return { clusterCIDR: this.cidr, nodeMaskSize: this.#mask, slots: this.#slots, freeSlots: this.#free }
  }

  /**
   * Takes the next free slot after the last one taken, going round once. Every slot that the cursor passes is blocked or was taken by
   * this plan, so the cursor returns to its start only when no slot is free. All calls together pass each interval at most twice.
   */
  take(): Prefix {
    for (;;) {
      const blocked = this.#blocked[this.#nextBlocked]
      if (this.#cursor >= this.#slots) {
        this.#cursor = 0
        this.#nextBlocked = 0
      } else if (blocked !== undefined && blocked.first <= this.#cursor) {
        this.#cursor = Math.max(this.#cursor, blocked.last + 1)
        this.#nextBlocked++
      } else break
    }
    this.#free--
    return this.#prefixAt(this.#cursor++)
  }

  #skipBlockedBefore(slot: number): void {
    const index = this.#blocked.findIndex(({ last }) => last >= slot)
    this.#nextBlocked = index < 0 ? this.#blocked.length : index
  }

  #prefixAt(slot: number): Prefix {
    const shift = BigInt(this.cidr.addr.bits - this.#mask)
    return new Prefix(new Addr(this.family, this.cidr.addr.value + (BigInt(slot) << shift)), this.#mask)
  }

  /** The slots that a prefix touches, as one interval; empty when the prefix touches none. */
  #intervalOf(prefix: Prefix): Interval[] {
    if (prefix.contains(this.cidr)) return [{ first: 0, last: this.#slots - 1 }]
    if (!this.cidr.contains(prefix)) return []
    const shift = BigInt(this.cidr.addr.bits - this.#mask)
    const first = Number((prefix.addr.value - this.cidr.addr.value) >> shift)
    const last = Number((prefix.last.value - this.cidr.addr.value) >> shift)
    return first >= this.#slots ? [] : [{ first, last: Math.min(last, this.#slots - 1) }]
  }
}

/** Joins overlapping intervals. `intervals` must be sorted by `first`, as they are when made from sorted claims. */
function merged(intervals: readonly Interval[]): Interval[] {
  const result: Interval[] = []
  for (const interval of intervals) {
    const previous = result.at(-1)
    if (previous === undefined || interval.first > previous.last) result.push(interval)
    else if (interval.last > previous.last) result[result.length - 1] = { first: previous.first, last: interval.last }
  }
  return result
}
