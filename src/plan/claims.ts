// Decides which node owns a pod CIDR or address when Node objects contradict each other. The index covers all nodes, so that a
// change costs only as much as the nodes it concerns: nearly always just the changed node.
import { type Family, Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'

/** A node without the pod CIDRs and addresses to which another node has the better claim, and a problem for each that it lost. */
export type Settled = { readonly node: NodeState; readonly problems: readonly Problem[] }

const nobody: readonly string[] = []

/** The names of the nodes that claim each key; a key that no node claims is removed. Nearly every key has one name. */
class Holders {
  readonly #names = new Map<string, readonly string[]>()

  add(key: string, name: string): void {
    const names = this.of(key)
    if (!names.includes(name)) this.#names.set(key, names.length === 0 ? [name] : [...names, name].sort())
  }

  remove(key: string, name: string): void {
    const left = this.of(key).filter((each) => each !== name)
    if (left.length > 0) this.#names.set(key, left)
    else this.#names.delete(key)
  }

  /** The names that claim a key, sorted. */
  of(key: string): readonly string[] {
    return this.#names.get(key) ?? nobody
  }
}

/**
 * Chance must not decide which of two nodes gets packets. Of overlapping pod CIDRs the larger wins; of equal pod CIDRs, and of equal
 * addresses, that of the node whose name sorts first. So all nodes decide alike, in whatever order they learned of the claims.
 */
export class ClaimIndex {
  readonly #nodes = new Map<string, NodeState>()
  readonly #claims = new Holders()
  readonly #addrs = new Holders()
  /** How many claims there are of each prefix length. Overlaps are looked up only at these lengths, mostly one per family. */
  readonly #lengths: Record<Family, Map<number, number>> = { 4: new Map(), 6: new Map() }

  /** Records what a node claims now (undefined: the node is gone). Returns the names of the nodes whose claims this may decide. */
  update(name: string, node: NodeState | undefined): Set<string> {
    const before = this.#nodes.get(name)
    const affected = new Set([name, ...this.#touching(before)])
    if (before) this.#count(before, -1)
    if (node) {
      this.#nodes.set(name, node)
      this.#count(node, 1)
    } else this.#nodes.delete(name)
    for (const other of this.#touching(node)) affected.add(other)
    return this.#withTheirs(affected)
  }

  /** The node with the claims that it keeps; undefined when there is no such node. */
  settled(name: string): Settled | undefined {
    const node = this.#nodes.get(name)
    if (node === undefined) return undefined
    const problems: Problem[] = []
    const refuse = (code: 'CW1103' | 'CW1104', message: string): false => {
      problems.push(problem(code, `node/${name}`, message))
      return false
    }
    const podCIDRs = node.podCIDRs.filter((cidr) => {
      const holder = this.#betterClaim(cidr, name)
      return (
        holder === undefined ||
        refuse('CW1103', `pod CIDR ${cidr} overlaps ${holder.cidr} of node ${holder.name}; it is not routed`)
      )
    })
    const addrs = node.addrs.filter((addr) => {
      const [owner] = this.#addrs.of(String(addr))
      return (
        owner === name || refuse('CW1104', `address ${addr} is also that of node ${owner}; it is not used for ${name}`)
      )
    })
    return { node: problems.length === 0 ? node : { ...node, podCIDRs, addrs }, problems }
  }

  #count({ name, podCIDRs, addrs }: NodeState, by: 1 | -1): void {
    const change = by === 1 ? 'add' : 'remove'
    for (const addr of addrs) this.#addrs[change](String(addr), name)
    for (const cidr of podCIDRs) {
      this.#claims[change](String(cidr), name)
      const lengths = this.#lengths[cidr.family]
      const count = (lengths.get(cidr.length) ?? 0) + by
      if (count > 0) lengths.set(cidr.length, count)
      else lengths.delete(cidr.length)
    }
  }

  /** Another node's claim that goes before this one. Only a claim that itself wins against all others counts. */
  #betterClaim(cidr: Prefix, name: string): { readonly cidr: Prefix; readonly name: string } | undefined {
    const shorter = [...this.#lengths[cidr.family].keys()].filter((length) => length <= cidr.length)
    for (const length of shorter.toSorted((a, b) => a - b)) {
      const around = length === cidr.length ? cidr : new Prefix(cidr.addr, length)
      for (const other of this.#claims.of(String(around))) {
        if (other === name && length === cidr.length) break
        if (other !== name && this.#betterClaim(around, other) === undefined) return { cidr: around, name: other }
      }
    }
    return undefined
  }

  /** The other nodes whose claims overlap those of `node`, or that have one of its addresses. */
  #touching(node: NodeState | undefined): string[] {
    if (node === undefined) return []
    const names = [
      ...node.addrs.flatMap((addr) => this.#addrs.of(String(addr))),
      ...node.podCIDRs.flatMap((cidr) => this.overlapping(cidr)),
    ]
    return names.filter((name) => name !== node.name)
  }

  /** The nodes whose claims overlap a CIDR, including claims that lost to another node's. */
  overlapping(cidr: Prefix): string[] {
    const lengths = [...this.#lengths[cidr.family].keys()]
    const around = lengths
      .filter((length) => length <= cidr.length)
      .flatMap((length) => this.#claims.of(String(length === cidr.length ? cidr : new Prefix(cidr.addr, length))))
    if (!lengths.some((length) => length > cidr.length)) return around
    const inside = [...this.#nodes.values()].filter(({ podCIDRs }) => podCIDRs.some((other) => cidr.contains(other)))
    return [...around, ...inside.map(({ name }) => name)]
  }

  /** Adds the nodes that the change reaches indirectly: when a node loses a claim, another node that lost to it may win, and so on. */
  #withTheirs(names: Set<string>): Set<string> {
    // the loop also visits the names added to the set while it runs
    if (names.size > 1)
      for (const name of names) for (const other of this.#touching(this.#nodes.get(name))) names.add(other)
    return names
  }
}

type Claimant = Pick<NodeState, 'name' | 'podCIDRs' | 'addrs'>

/** The pod CIDRs of each node by its name, without those to which another node has the better claim. */
export function allStandingCIDRs(nodes: readonly Claimant[]): ReadonlyMap<string, readonly Prefix[]> {
  const standing = new Map(nodes.map(({ name, podCIDRs }) => [name, podCIDRs]))
  const contested = contestedIn(nodes)
  if (contested.size === 0) return standing
  const claims = new ClaimIndex()
  for (const node of nodes) if (contested.has(node.name)) claims.update(node.name, node)
  for (const name of contested) standing.set(name, claims.settled(name)!.node.podCIDRs)
  return standing
}

/** The nodes whose pod CIDRs overlap another node's. When two CIDRs overlap, one contains the other, and the containing one sorts first. */
function contestedIn(nodes: readonly Claimant[]): Set<string> {
  const claims = nodes.flatMap(({ name, podCIDRs }) => podCIDRs.map((cidr) => ({ name, cidr })))
  const contested = new Set<string>()
  let outer: (typeof claims)[number] | undefined
  for (const claim of claims.toSorted((a, b) => a.cidr.compare(b.cidr))) {
    if (outer?.cidr.contains(claim.cidr) !== true) outer = claim
    else if (outer.name !== claim.name) for (const { name } of [outer, claim]) contested.add(name)
  }
  return contested
}

/** The pod CIDRs of `self` without those to which another node has the better claim. Nearly always no other node claims any. */
export function standingCIDRs(self: Claimant, others: readonly Claimant[]): readonly Prefix[] {
  const isContested = others.some(
    ({ name, podCIDRs }) =>
      name !== self.name && podCIDRs.some((cidr) => self.podCIDRs.some((own) => own.overlaps(cidr))),
  )
  if (!isContested) return self.podCIDRs
  const claims = new ClaimIndex()
  for (const each of [...others, self]) claims.update(each.name, each)
  return claims.settled(self.name)!.node.podCIDRs
}
