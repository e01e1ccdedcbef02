// Decides which node owns a pod CIDR or address when Node objects contradict each other. What lives and works goes on: a newcomer never
// takes anything from a node that is alive, whatever it claims. docs/ownership.md has the rules. The index covers all nodes, so that a
// change costs only as much as the nodes it concerns: nearly always just the changed node. Pure.
import { type Addr, Prefix } from '#/lib/addr.ts'
import { type NodeLife, type NodeState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Claim, type ClaimTitle, claimTitles, SortedClaims } from './sorted-claims.ts'

/**
 * A node without the pod CIDRs and addresses to which another node has the better claim, and a problem for each that it lost. `podCIDRs`
 * are followed by the node's former ones, as far as no other node has them.
 */
export type Settled<T> = { readonly node: T; readonly problems: readonly Problem[] }

export type Claimant = Pick<NodeState, 'name' | 'podCIDRs' | 'extraCIDRs' | 'formerCIDRs' | 'addrs' | 'life'>

const signs: readonly NodeLife['sign'][] = ['ready', 'agent', 'none']
const unknownLife: NodeLife = { sign: 'none', readyChanged: '', created: '' }

/**
 * Sorts the node with the better claims first: a node whose kubelet is Ready; then one on which an agent has run; of two that are not
 * Ready the one that was so more recently (a renamed machine leaves an object that has not been Ready for long); then the older object;
 * then by name, so that chance never decides and all nodes decide alike.
 */
export function compareClaimants(a: Claimant, b: Claimant): number {
  const [one, other] = [a.life ?? unknownLife, b.life ?? unknownLife]
  return (
    signs.indexOf(one.sign) - signs.indexOf(other.sign) ||
    compareTexts(other.readyChanged, one.readyChanged) ||
    compareTexts(one.created, other.created) ||
    compareTexts(a.name, b.name)
  )
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export class ClaimIndex<T extends Claimant = NodeState> {
  readonly #nodes = new Map<string, T>()
  readonly #cidrs = new SortedClaims()
  readonly #addrs = new SortedClaims()
  /** The nodes whose claims may overlap another node's: hardly any. */
  readonly #contested = new Set<string>()
  /** Whether claims stand, as far as that was asked since the last change: without it, many equal claims would ask each other for ever. */
  readonly #standing = new Map<Claim, boolean>()

  /** Records what a node claims now (undefined: the node is gone). Returns the names of the nodes whose claims this may decide. */
  update(name: string, node: T | undefined): Set<string> {
    const before = this.#nodes.get(name)
    this.#standing.clear()
    const affected = new Set([name, ...(this.#contested.has(name) ? this.#touching(before) : [])])
    if (before) {
      for (const claim of cidrClaims(before)) this.#cidrs.remove(claim)
      for (const claim of addrClaims(before)) this.#addrs.remove(claim)
    }
    if (node) {
      this.#nodes.set(name, node)
      for (const claim of cidrClaims(node)) this.#cidrs.add(claim)
      for (const claim of addrClaims(node)) this.#addrs.add(claim)
    } else this.#nodes.delete(name)
    const touched = this.#touching(node)
    if (touched.length === 0) this.#contested.delete(name)
    else for (const each of [name, ...touched]) this.#contested.add(each)
    for (const other of touched) affected.add(other)
    return this.#withTheirs(affected)
  }

  get(name: string): T | undefined {
    return this.#nodes.get(name)
  }

  /** The node with the claims that it keeps; undefined when there is no such node. */
  settled(name: string): Settled<T> | undefined {
    const node = this.#nodes.get(name)
    if (node === undefined) return undefined
    if (!this.#contested.has(name))
      return { node: withFormer(node, node.podCIDRs, node.formerCIDRs ?? []), problems: [] }
    const problems: Problem[] = []
    const object = `node/${name}`
    const podCIDRs = node.podCIDRs.filter((prefix) => {
      const claim: Claim = { prefix, name, title: titleOf(node, prefix) }
      const holder = this.#betterCIDR(claim)
      const holderOfAddr = holder ? undefined : this.#betterAddr(claim)
      if (holder)
        problems.push(
          problem(
            'CW1103',
            object,
            `pod CIDR ${prefix} overlaps ${holder.prefix} of node ${holder.name}, which has the better claim; it is not routed`,
          ),
        )
      if (holderOfAddr)
        problems.push(
          problem(
            'CW1112',
            object,
            `pod CIDR ${prefix} covers ${holderOfAddr.prefix.addr}, the address of node ${holderOfAddr.name}; it is not routed`,
          ),
        )
      return !holder && !holderOfAddr
    })
    const former = (node.formerCIDRs ?? []).filter((prefix) => this.#stands({ prefix, name, title: 'former' }))
    const addrs = node.addrs.filter((addr) => {
      const holder = this.#betterCIDR({ prefix: Prefix.host(addr), name, title: 'assigned' })
      if (holder)
        problems.push(
          problem(
            'CW1113',
            object,
            `address ${addr} is of pod CIDR ${holder.prefix} of node ${holder.name}; it is not used for ${name}`,
          ),
        )
      return !holder
    })
    for (const addr of node.addrs) {
      const twin = this.#betterTwin(addr, name)
      if (twin !== undefined) problems.push(problem('CW1104', object, `address ${addr} is also that of node ${twin}`))
    }
    const isWhole = podCIDRs.length === node.podCIDRs.length && addrs.length === node.addrs.length
    const kept = isWhole ? node : { ...node, podCIDRs, addrs }
    return { node: withFormer(kept, kept.podCIDRs, former), problems }
  }

  /** The nodes that have a pod CIDR which overlaps `cidr`; former pod CIDRs, and claims that another node has the better of, do not count. */
  ownersIn(cidr: Prefix): string[] {
    const claims = [...this.#cidrs.overlapping(cidr)].filter(({ title }) => title !== 'former')
    return claims.filter((claim) => this.#stands(claim)).map(({ name }) => name)
  }

  /** The other nodes whose claims decide what a node keeps, directly or through others; nearly always there are none. */
  rivalsOf(node: Claimant): T[] {
    const touching = this.#touching(node)
    const names = touching.length === 0 ? [] : this.#withTheirs(new Set([node.name, ...touching]))
    return [...names].flatMap((name) => (name === node.name ? [] : (this.#nodes.get(name) ?? [])))
  }

  /** Only a claim that itself stands goes before another. This ends, because each claim asks only about better ones. */
  #stands(claim: Claim): boolean {
    const known = this.#standing.get(claim)
    if (known !== undefined) return known
    const stands = this.#betterCIDR(claim) === undefined && this.#betterAddr(claim) === undefined
    this.#standing.set(claim, stands)
    return stands
  }

  /** The claims of `others` that go before this one if they stand, the best first: nearly always that one stands, and no other is asked. */
  #betterFirst(others: Iterable<Claim>, claim: Claim): Claim[] {
    return [...others].filter((other) => this.#isBetter(other, claim)).sort((a, b) => this.#compare(a, b))
  }

  /** Another node's pod CIDR that goes before this claim. */
  #betterCIDR(claim: Claim): Claim | undefined {
    return this.#betterFirst(this.#cidrs.overlapping(claim.prefix), claim).find((other) => this.#stands(other))
  }

  /** Another node's address that goes before this claim to a pod CIDR. */
  #betterAddr(claim: Claim): Claim | undefined {
    const better = this.#betterFirst(this.#addrs.overlapping(claim.prefix), claim)
    return better.find((other) => this.#isNodes(other))
  }

  /** Whether an address is that of its node, and of no pod. */
  #isNodes(addr: Claim): boolean {
    const known = this.#standing.get(addr) ?? this.#betterCIDR(addr) === undefined
    this.#standing.set(addr, known)
    return known
  }

  #betterTwin(addr: Addr, name: string): string | undefined {
    const claim: Claim = { prefix: Prefix.host(addr), name, title: 'assigned' }
    for (const other of this.#addrs.overlapping(claim.prefix)) if (this.#isBetter(other, claim)) return other.name
    return undefined
  }

  #isBetter(one: Claim, other: Claim): boolean {
    return one.name !== other.name && this.#compare(one, other) < 0
  }

  #compare(one: Claim, other: Claim): number {
    return (
      claimTitles.indexOf(one.title) - claimTitles.indexOf(other.title) ||
      compareClaimants(this.#nodes.get(one.name)!, this.#nodes.get(other.name)!)
    )
  }

  /** The other nodes whose claims overlap those of `node`. */
  #touching(node: Claimant | undefined): string[] {
    if (node === undefined) return []
    const names: string[] = []
    for (const { prefix } of cidrClaims(node)) {
      for (const { name } of this.#cidrs.overlapping(prefix)) names.push(name)
      for (const { name } of this.#addrs.overlapping(prefix)) names.push(name)
    }
    for (const { prefix } of addrClaims(node)) {
      for (const { name } of this.#cidrs.overlapping(prefix)) names.push(name)
      for (const { name } of this.#addrs.overlapping(prefix)) names.push(name)
    }
    return names.filter((name) => name !== node.name)
  }

  /** Adds the nodes that the change reaches indirectly: when a node loses a claim, another node that lost to it may win, and so on. */
  #withTheirs(names: Set<string>): Set<string> {
    // the loop also visits the names added to the set while it runs
    if (names.size > 1)
      for (const name of names) for (const other of this.#touching(this.#nodes.get(name))) names.add(other)
    return names
  }
}

/** The node with `former` behind its pod CIDRs. */
function withFormer<T extends Claimant>(node: T, podCIDRs: readonly Prefix[], former: readonly Prefix[]): T {
  return former.length === 0 && podCIDRs === node.podCIDRs ? node : { ...node, podCIDRs: [...podCIDRs, ...former] }
}

function titleOf({ extraCIDRs = [] }: Claimant, podCIDR: Prefix): ClaimTitle {
  return extraCIDRs.some((each) => each.equals(podCIDR)) ? 'extra' : 'assigned'
}

function cidrClaims(node: Claimant): Claim[] {
  const { name, podCIDRs, formerCIDRs = [] } = node
  return [
    ...podCIDRs.map((prefix): Claim => ({ prefix, name, title: titleOf(node, prefix) })),
    ...formerCIDRs.map((prefix): Claim => ({ prefix, name, title: 'former' })),
  ]
}

function addrClaims({ name, addrs }: Claimant): Claim[] {
  return addrs.map((addr) => ({ prefix: Prefix.host(addr), name, title: 'assigned' }))
}
