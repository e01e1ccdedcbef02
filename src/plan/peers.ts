// The plan of all other nodes, kept up to date change by change. Pure: how a state came about makes no difference to it, which
// its test compares with tables made from scratch.
import { type Family, type Prefix } from '#/lib/addr.ts'
import {
  type DesiredNeighbour,
  type DesiredRoute,
  type NetworkDelta,
  neighbourKey,
  type NodeState,
  type Problem,
  routeKey,
  type TunnelEndChange,
} from '#/model/network.ts'
import { ClaimIndex } from './claims.ts'
import { noPeerPlan, type PeerContext, type PeerPlan, planPeer } from './overlay.ts'

/** `isWholesale`: something that belongs to no single peer depends on it too, and the whole network must be planned anew. */
export type PeerDelta = NetworkDelta & { readonly isWholesale: boolean }

export type NodeChange = readonly [name: string, node: NodeState | undefined]

export class PeerTable {
  readonly #claims = new ClaimIndex()
  readonly #plans = new Map<string, PeerPlan>()
  readonly #problems = new Map<string, readonly Problem[]>()
  readonly #routes = new Set<string>()
  /** Pod CIDRs outside of the cluster's: masquerade must know each. */
  readonly #outside = new Map<string, Prefix>()
  /** How many routes have which tunnel MTU for which family of pods: the smallest is every pod's. */
  readonly #mtus = new Map<string, { readonly family: Family; readonly mtuBytes: number; count: number }>()
  #context: PeerContext

  /** `context.self` counts as a node, whether it is among the changes or not. */
  constructor(context: PeerContext) {
    this.#context = context
    this.#claims.update(context.self.name, context.self)
  }

  /** This node, without what another node has the better claim to. */
  get self(): NodeState {
    return this.#claims.settled(this.#context.self.name)!.node
  }

  get plans(): ReadonlyMap<string, PeerPlan> {
    return this.#plans
  }

  /** In the order of the nodes' names, those about this node among them. */
  get problems(): Problem[] {
    const names = [...this.#problems.keys()].sort()
    return names.flatMap((name) => this.#problems.get(name)!)
  }

  /** Pod CIDRs of other nodes outside of the cluster CIDRs, sorted. */
  get outsideCIDRs(): Prefix[] {
    return [...this.#outside.values()].toSorted((a, b) => a.compare(b))
  }

  /** Whether there is to be a route to that prefix, by its text. */
  wantsRoute(prefix: string): boolean {
    return this.#routes.has(prefix)
  }

  /** Another node that has pods in that CIDR, if there is one. */
  ownerOf(cidr: Prefix): string | undefined {
    return this.#claims.overlapping(cidr).find((name) => name !== this.#context.self.name)
  }

  /** The smallest tunnel MTU by family of pods, as far as there are peers with pods of it. */
  get overlayMtuBytes(): { readonly [F in Family]?: number } {
    const smallest: { [F in Family]?: number } = {}
    for (const { family, mtuBytes } of this.#mtus.values()) {
      smallest[family] = Math.min(smallest[family] ?? Infinity, mtuBytes)
    }
    return smallest
  }

  /** Takes over changes of other nodes. */
  update(changes: Iterable<NodeChange>): PeerDelta {
    const affected = new Set<string>()
    for (const [name, node] of changes) {
      if (name === this.#context.self.name) continue
      for (const other of this.#claims.update(name, node)) affected.add(other)
    }
    return this.#replan(affected)
  }

  /** Another context: all peers are planned anew, a portion at each step, because there may be thousands. */
  *changeContext(context: PeerContext, portion: number): Generator<void, void> {
    const { name } = this.#context.self
    this.#claims.update(name, undefined)
    this.#context = context
    const affected = this.#claims.update(context.self.name, context.self)
    for (const other of this.#plans.keys()) affected.add(other)
    const names = [...affected]
    for (let start = 0; start < names.length; start += portion)
      yield void this.#replan(names.slice(start, start + portion))
  }

  #replan(names: Iterable<string>): PeerDelta {
    const routes = new Map<string, DesiredRoute | undefined>()
    const neighbours = new Map<string, DesiredNeighbour | undefined>()
    const tunnelEnds = new Map<string, TunnelEndChange>()
    const after: PeerPlan[] = []
    let isWholesale = false
    for (const name of names) {
      const before = this.#plans.get(name) ?? noPeerPlan
      const settled = this.#claims.settled(name)
      const isSelf = name === this.#context.self.name
      const plan = settled === undefined || isSelf ? noPeerPlan : planPeer(settled.node, this.#context)
      const problems = [...(settled?.problems ?? []), ...plan.problems]
      if (isSelf) isWholesale = true
      if (settled === undefined || isSelf) this.#plans.delete(name)
      else this.#plans.set(name, plan)
      if (problems.length > 0) this.#problems.set(name, problems)
      else this.#problems.delete(name)
      for (const route of before.routes) {
        routes.set(routeKey(route), undefined)
        this.#routes.delete(routeKey(route))
        if (this.#tally(route, -1)) isWholesale = true
      }
      for (const neighbour of before.neighbours) neighbours.set(neighbourKey(neighbour), undefined)
      for (const addr of before.tunnelEnds) tunnelEnds.set(String(addr), { addr, isWanted: false })
      after.push(plan)
    }
    // what one node lost another may have won, so what is wanted comes after all that is not
    for (const plan of after) {
      for (const route of plan.routes) {
        routes.set(routeKey(route), route)
        this.#routes.add(routeKey(route))
        if (this.#tally(route, 1)) isWholesale = true
      }
      for (const neighbour of plan.neighbours) neighbours.set(neighbourKey(neighbour), neighbour)
      for (const addr of plan.tunnelEnds) tunnelEnds.set(String(addr), { addr, isWanted: true })
    }
    return { routes, neighbours, tunnelEnds, isWholesale }
  }

  /** Counts a route in or out; true when something changed that is shared by all. */
  #tally({ dst, mtuBytes }: DesiredRoute, by: 1 | -1): boolean {
    const key = `IPv${dst.family} ${mtuBytes}`
    const use = this.#mtus.get(key) ?? { family: dst.family, mtuBytes, count: 0 }
    use.count += by
    if (use.count === 0) this.#mtus.delete(key)
    else this.#mtus.set(key, use)
    const isOutside = !this.#context.settings.clusterCIDRs.some((cidr) => cidr.contains(dst))
    if (isOutside && by === 1) this.#outside.set(String(dst), dst)
    else if (isOutside) this.#outside.delete(String(dst))
    return isOutside || use.count === 0 || (by === 1 && use.count === 1)
  }
}
