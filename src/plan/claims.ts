// Decides which node owns a pod CIDR or address when Node objects contradict each other. What lives and works goes on: a newcomer never
// takes anything from a node that is alive, whatever it claims. docs/ownership.md has the rules. The index covers all nodes, so that a
// change costs only as much as the nodes it concerns: nearly always just the changed node. Pure.
import { type Addr, Prefix } from '#/lib/addr.ts'
import { byText } from '#/lib/by-text.ts'
import { Heap } from '#/lib/heap.ts'
import { type NodeLife, type NodeState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Claim, type Claimant, type ClaimTitle, claimTitles, SortedClaims } from './sorted-claims.ts'

/**
 * A node without the pod CIDRs and addresses to which another node has the better claim, and a problem for each that it lost. `podCIDRs`
 * are followed by the node's former ones, as far as no other node has them.
 */
export type Settled<T> = { readonly node: T; readonly problems: readonly Problem[] }

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
    byText(other.readyChanged, one.readyChanged) ||
    byText(one.created, other.created) ||
    byText(a.name, b.name)
  )
}

export type ClaimChange<T> = readonly [name: string, node: T | undefined]

/** What changed in one update: the claims to look at, and the nodes concerned. */
type Work = {
  readonly dirty: Set<Claim>
  readonly queue: Heap<Claim>
  readonly added: ReadonlySet<Claim>
  readonly affected: Set<string>
}

/**
 * A claim stands unless a better one that stands overlaps it: a pod CIDR loses to a pod CIDR, else to the address of another node; an address
 * loses to a pod CIDR. The better claim is kept with each claim that lost to one, so that a change is followed only as far as it changes
 * something, however wide a claim is.
 */
export class ClaimIndex<T extends Claimant = NodeState> {
  readonly #nodes = new Map<string, T>()
  readonly #cidrs = new SortedClaims()
  readonly #addrs = new SortedClaims()
  /** The claims that do not stand, each with the best one that goes before it: hardly any. */
  readonly #holders = new Map<Claim, Claim>()
  /** How many claims of a node do not stand; without an entry, all do. */
  readonly #losses = new Map<string, number>()
  /** The nodes whose addresses may be another node's as well. */
  readonly #twins = new Set<string>()

  /** Records what nodes claim now (undefined: the node is gone). Returns the names of the nodes for which this may decide otherwise. */
  update(changes: Iterable<ClaimChange<T>>): Set<string> {
    const latest = new Map(changes)
    const gone: Claim[] = []
    const added: Claim[] = []
    for (const [name, node] of latest) {
      const before = this.#nodes.get(name)
      if (node && before && sameClaims(node, before)) {
        this.#nodes.set(name, node)
        continue
      }
      if (before) gone.push(...this.#recorded(before))
      if (node) {
        added.push(...claimsOf(node))
        this.#nodes.set(name, node)
      } else this.#nodes.delete(name)
      this.#twins.delete(name)
    }
    const work: Work = {
      dirty: new Set(),
      queue: new Heap(compareClaims),
      added: new Set(added),
      affected: new Set(latest.keys()),
    }
    this.#cidrs.remove(gone.filter(({ isAddr }) => !isAddr))
    this.#addrs.remove(gone.filter(({ isAddr }) => isAddr))
    this.#cidrs.add(added.filter(({ isAddr }) => !isAddr))
    this.#addrs.add(added.filter(({ isAddr }) => isAddr))
    for (const claim of gone) {
      if (!this.#setHolder(claim, undefined)) this.#reopenLosersTo(claim, work)
      // a twin's tunnel end goes with this one's, and comes back only when the twin is planned anew
      if (claim.isAddr) this.#eachTwin(claim, ({ node }) => work.affected.add(node.name))
    }
    for (const claim of added) {
      // nearly every claim meets none, and stands
      if (this.#meetsAnother(claim)) open(claim, work)
      if (claim.isAddr)
        this.#eachTwin(claim, ({ node }) => {
          work.affected.add(node.name)
          this.#twins.add(node.name).add(claim.node.name)
        })
    }
    // the best first: each claim depends only on better ones, which are decided by then
    for (let claim = work.queue.pop(); claim; claim = work.queue.pop()) this.#decide(claim, work)
    return work.affected
  }

  get(name: string): T | undefined {
    return this.#nodes.get(name)
  }

  /** The node with the claims that it keeps; undefined when there is no such node. */
  settled(name: string): Settled<T> | undefined {
    const node = this.#nodes.get(name)
    if (node === undefined) return undefined
    if (!this.#losses.has(name) && !this.#twins.has(name))
      return { node: withFormer(node, node.podCIDRs, node.formerCIDRs ?? []), problems: [] }
    const problems: Problem[] = []
    const object = `node/${name}`
    const podCIDRs = node.podCIDRs.filter((prefix) => {
      const holder = this.#holderOf(this.#cidrs, prefix, name)
      if (holder?.isAddr === false)
        problems.push(
          problem(
            'CW1103',
            object,
            `pod CIDR ${prefix} overlaps ${holder.prefix} of node ${holder.node.name}, which has the better claim; it is not routed`,
          ),
        )
      if (holder?.isAddr === true)
        problems.push(
          problem(
            'CW1112',
            object,
            `pod CIDR ${prefix} covers ${holder.prefix.addr}, the address of node ${holder.node.name}; it is not routed`,
          ),
        )
      return !holder
    })
    const former = (node.formerCIDRs ?? []).filter((prefix) => !this.#holderOf(this.#cidrs, prefix, name))
    const addrs = node.addrs.filter((addr) => {
      const holder = this.#holderOf(this.#addrs, Prefix.host(addr), name)
      if (holder)
        problems.push(
          problem(
            'CW1113',
            object,
            `address ${addr} is of pod CIDR ${holder.prefix} of node ${holder.node.name}; it is not used for ${name}`,
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
    const names: string[] = []
    this.#cidrs.visitOverlapping(cidr, (claim) => {
      if (claim.title !== 'former' && !this.#holders.has(claim)) names.push(claim.node.name)
    })
    return names
  }

  /** The other nodes whose claims decide what a node keeps, directly or through others; nearly always there are none. */
  rivalsOf(node: Claimant): T[] {
    const rivals = new Map<string, Claimant>([[node.name, node]])
    // the loop also visits those that are added while it runs
    for (const each of rivals.values())
      for (const claim of claimsOf(each))
        this.#eachMeeting(claim, ({ node: { name } }) => {
          if (!rivals.has(name)) rivals.set(name, this.#nodes.get(name)!)
        })
    return [...rivals.keys()].flatMap((name) => (name === node.name ? [] : this.#nodes.get(name)!))
  }

  /** Finds the best claim before this one, and tells the others when it stands and did not, or the other way round. */
  #decide(claim: Claim, work: Work): void {
    work.dirty.delete(claim)
    let best: Claim | undefined
    this.#eachMeeting(claim, (other) => {
      if (!this.#holders.has(other) && isBetter(other, claim) && isPreferred(other, best)) best = other
    })
    const before = this.#holders.get(claim)
    const isNew = work.added.has(claim)
    if (best !== before) {
      this.#setHolder(claim, best)
      work.affected.add(claim.node.name)
    }
    if (best === undefined && (isNew || before)) this.#offer(claim, work)
    else if (best && !before && !isNew) this.#reopenLosersTo(claim, work)
  }

  /** A claim that stands from now on goes before worse ones that overlap it, as far as nothing better does. */
  #offer(claim: Claim, work: Work): void {
    this.#eachMeeting(claim, (other) => {
      // what is open is decided later
      if (work.dirty.has(other) || !isBetter(claim, other)) return
      const before = this.#holders.get(other)
      if (!isPreferred(claim, before)) return
      this.#setHolder(other, claim)
      work.affected.add(other.node.name)
      if (before === undefined) this.#reopenLosersTo(other, work)
    })
  }

  /** A claim that is gone or stands no longer goes before no other. */
  #reopenLosersTo(claim: Claim, work: Work): void {
    if (this.#holders.size === 0) return
    this.#eachMeeting(claim, (other) => {
      if (this.#holders.get(other) === claim) open(other, work)
    })
  }

  /** Visits the other nodes' claims that overlap this one; two equal addresses do not decide anything about each other. */
  #eachMeeting(claim: Claim, visit: (other: Claim) => void): void {
    const visitOther = (other: Claim): void => {
      if (other.node.name !== claim.node.name) visit(other)
    }
    this.#cidrs.visitOverlapping(claim.prefix, visitOther)
    if (!claim.isAddr) this.#addrs.visitOverlapping(claim.prefix, visitOther)
  }

  #meetsAnother(claim: Claim): boolean {
    let meets = false
    this.#eachMeeting(claim, () => {
      meets = true
    })
    return meets
  }

  /** Returns whether the claim did not stand before. */
  #setHolder(claim: Claim, holder: Claim | undefined): boolean {
    const { name } = claim.node
    const wasLost = this.#holders.has(claim)
    if (holder) this.#holders.set(claim, holder)
    else this.#holders.delete(claim)
    const losses = (this.#losses.get(name) ?? 0) + (holder ? 1 : 0) - (wasLost ? 1 : 0)
    if (losses > 0) this.#losses.set(name, losses)
    else this.#losses.delete(name)
    return wasLost
  }

  #holderOf(among: SortedClaims, prefix: Prefix, name: string): Claim | undefined {
    const claim = among.find(prefix, name)
    return claim && this.#holders.get(claim)
  }

  /** The claims of a node as they were recorded. */
  #recorded(node: Claimant): Claim[] {
    return claimsOf(node).map(({ prefix, isAddr }) => (isAddr ? this.#addrs : this.#cidrs).find(prefix, node.name)!)
  }

  /** The other nodes' claims to the same address. */
  #eachTwin(claim: Claim, visit: (twin: Claim) => void): void {
    this.#addrs.visitOverlapping(claim.prefix, (other) => {
      if (other.node.name !== claim.node.name) visit(other)
    })
  }

  #betterTwin(addr: Addr, name: string): string | undefined {
    const claim = this.#addrs.find(Prefix.host(addr), name)
    let better: string | undefined
    if (claim)
      this.#eachTwin(claim, (twin) => {
        if (isBetter(twin, claim)) better ??= twin.node.name
      })
    return better
  }
}

function open(claim: Claim, { dirty, queue }: Work): void {
  if (dirty.has(claim)) return
  dirty.add(claim)
  queue.push(claim)
}

function compareClaims(one: Claim, other: Claim): number {
  return claimTitles.indexOf(one.title) - claimTitles.indexOf(other.title) || compareClaimants(one.node, other.node)
}

function isBetter(one: Claim, other: Claim): boolean {
  return compareClaims(one, other) < 0
}

/** Which of two claims that both go before a third is told as the one that does. */
function isPreferred(one: Claim, other: Claim | undefined): boolean {
  if (other === undefined || one.isAddr !== other.isAddr) return other === undefined || other.isAddr
  return (compareClaims(one, other) || one.prefix.compare(other.prefix)) < 0
}

/** The node with `former` behind its pod CIDRs. */
function withFormer<T extends Claimant>(node: T, podCIDRs: readonly Prefix[], former: readonly Prefix[]): T {
  return former.length === 0 && podCIDRs === node.podCIDRs ? node : { ...node, podCIDRs: [...podCIDRs, ...former] }
}

function titleOf({ extraCIDRs = [] }: Claimant, podCIDR: Prefix): ClaimTitle {
  return extraCIDRs.some((each) => each.equals(podCIDR)) ? 'extra' : 'assigned'
}

/** Whatever a node claims twice counts once. */
function claimsOf(node: Claimant): Claim[] {
  const { podCIDRs, formerCIDRs = [], addrs } = node
  const claims: Claim[] = []
  const claim = (prefix: Prefix, title: ClaimTitle, isAddr: boolean): void => {
    if (!claims.some((each) => each.isAddr === isAddr && each.prefix.equals(prefix)))
      claims.push({ prefix, node, title, isAddr })
  }
  for (const prefix of podCIDRs) claim(prefix, titleOf(node, prefix), false)
  for (const prefix of formerCIDRs) claim(prefix, 'former', false)
  for (const addr of addrs) claim(Prefix.host(addr), 'assigned', true)
  return claims
}

type Values = readonly { toString(): string }[]

/** Whether two states of one node claim the same with the same right. Most news of a node are about something else. */
function sameClaims(a: Claimant, b: Claimant): boolean {
  const same = (some: Values = [], others: Values = []): boolean =>
    some.length === others.length && some.every((each, index) => String(each) === String(others[index]))
  return (
    same(a.podCIDRs, b.podCIDRs) &&
    same(a.addrs, b.addrs) &&
    same(a.extraCIDRs, b.extraCIDRs) &&
    same(a.formerCIDRs, b.formerCIDRs) &&
    compareClaimants(a, b) === 0
  )
}
