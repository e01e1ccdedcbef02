// The plan of all other nodes and of BGP's routes, updated change by change. Pure: the result depends only on the final state, not on
// the order of changes, which the test proves by comparing it with a plan made from scratch.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { PrefixUnion } from '#/lib/prefix-union.ts'
import { type LearnedRoute, type LearnedRouteChange } from '#/model/bgp.ts'
import {
  type DesiredNeighbour,
  type KernelWay,
  type NativeRoute,
  type NetworkDelta,
  neighbourKey,
  type NodeState,
  type NodeWay,
  type TunnelEndChange,
} from '#/model/network.ts'
import { type Problem } from '#/model/problems.ts'
import { nativeMetric } from '#/model/names.ts'
import { type Routing } from '#/model/routing.ts'
import { type Verdict, verdictKey } from '#/model/verdict.ts'
import { admitClaims } from './admit-claims.ts'
import { type PlanChange, withBpf } from './bpf-nodes.ts'
import { ClaimIndex } from './claims.ts'
import { type Admission, admitOther } from './guard.ts'
import {
  gatewaysOf,
  noRemotePlan,
  type RemoteContext,
  type RemotePlan,
  planRemote,
  withKeptVerdicts,
} from './remote-plan.ts'
import { RemoteTally, type WayCounts } from './remote-tally.ts'
import { type Lowering, objectsOf, type RemoteObjects } from './remote-objects.ts'
import { type Claimant } from './sorted-claims.ts'
import { ToldRoutes } from './told-routes.ts'
import { isSameList, RouteChanges } from './route-changes.ts'

/** `isWholesale`: the change also affects objects that belong to no single node, so the whole network must be planned again. */
export type RemoteDelta = NetworkDelta & { readonly isWholesale: boolean }

export type NodeChange = readonly [name: string, node: NodeState | undefined]

export class RemoteNodes {
  /** All other nodes as their Node objects describe them. */
  readonly #told = new Map<string, NodeState>()
  readonly #refused = new Map<string, readonly Problem[]>()
  readonly #claims = new ClaimIndex()
  readonly #plans = new Map<string, RemotePlan>()
  readonly #problems = new Map<string, readonly Problem[]>()
  /** The verdicts, keyed by the pod CIDR as text. */
  readonly #verdicts = new Map<string, Verdict>()
  /** The name of the node that owns each pod CIDR, keyed by the CIDR as text. */
  readonly #owners = new Map<string, string>()
  readonly #bgp = new ToldRoutes()
  /** The admitted BGP routes whose prefix is no node's pod CIDR, keyed by prefix. */
  readonly #others = new Map<string, NativeRoute>()
  readonly #notInstalled = new Map<string, string>()
  readonly #tally = new RemoteTally()
  readonly #covered = new PrefixUnion()
  /** By pod CIDR as text, what `takeVerdictChanges` gives next. */
  #changedVerdicts = new Map<string, Verdict | undefined>()
  #claimsVersion = 0
  #context: RemoteContext

  /** `context.self` counts as a node, whether or not it is among the changes. */
  constructor(context: RemoteContext) {
    this.#context = context
    this.#claims.update([[context.self.name, context.self]])
  }

  /** This node, without the pod CIDRs and addresses to which another node has the better claim. */
  get self(): NodeState {
    return this.#claims.settled(this.#context.self.name)!.node
  }

  /** This node as its Node object describes it. */
  get toldSelf(): NodeState {
    return this.#context.self
  }

  get routing(): Routing {
    return this.#context.routing
  }

  get plans(): ReadonlyMap<string, RemotePlan> {
    return this.#plans
  }

  /** The problems, sorted by node name, including those about this node. */
  get problems(): Problem[] {
    const names = [...this.#problems.keys()].sort()
    return names.flatMap((name) => this.#problems.get(name)!)
  }

  /** The admitted BGP routes whose prefix is no node's pod CIDR, sorted. */
  get otherRoutes(): NativeRoute[] {
    return [...this.#others.values()].toSorted((a, b) => a.dst.compare(b.dst))
  }

  /** By prefix, the reason why a BGP route is not in the kernel; it completes "received, not installed, because". */
  get notInstalled(): ReadonlyMap<string, string> {
    return this.#notInstalled
  }

  /** The way to another node by the kernel's routes; undefined when they lead nowhere. */
  wayTo(addr: Addr): NodeWay | undefined {
    return this.#context.ways.find(addr)
  }

  /** Pod CIDRs of other nodes outside of the cluster CIDRs, sorted. */
  get outsideCIDRs(): Prefix[] {
    return this.#tally.outsideCIDRs
  }

  /** Pod CIDRs of other nodes to which nothing may be sent in the clear while the routing is vxlan. */
  get covered(): Pick<PrefixUnion, 'prefixes' | 'version'> {
    return this.#covered
  }

  /** Whether the plan has a route to a prefix, given as text. */
  wantsRoute(prefix: string): boolean {
    const verdict = this.#verdicts.get(prefix)
    return (verdict !== undefined && verdict.way !== 'none') || this.#others.has(prefix)
  }

  /** The verdicts that are others since the last call, by pod CIDR as text; undefined for one that is gone. */
  takeVerdictChanges(): ReadonlyMap<string, Verdict | undefined> {
    const changes = this.#changedVerdicts
    this.#changedVerdicts = new Map()
    return changes
  }

  /** The verdict of each pod CIDR of another node: the way that packets take and the reason; unsorted. */
  get verdicts(): Iterable<Verdict> {
    return this.#verdicts.values()
  }

  /** The kernel objects that this node needs for all other nodes, sorted by node name; `update` returns changes to the same objects. */
  objects(hasOverlay: boolean): RemoteObjects {
    const sorted = [...this.#plans].toSorted(([a], [b]) => (a < b ? -1 : 1))
    const lowering = this.#lowering
    const all = sorted.map(([, plan]) => objectsOf(plan, lowering, hasOverlay))
    return {
      routes: all.flatMap(({ routes }) => routes),
      neighbours: all.flatMap(({ neighbours }) => neighbours),
      tunnelEnds: all.flatMap(({ tunnelEnds }) => tunnelEnds),
    }
  }

  get #lowering(): Lowering {
    return { vni: this.#context.settings.vni, sources: gatewaysOf(this.self) }
  }

  /** The name of another node with a pod CIDR that overlaps `cidr`; undefined when there is none. */
  ownerOf(cidr: Prefix): string | undefined {
    return this.#claims.ownersIn(cidr).find((name) => name !== this.#context.self.name)
  }

  /** The other nodes whose claims decide which of its pod CIDRs a node keeps. */
  rivalsOf(node: Claimant): readonly NodeState[] {
    return this.#claims.rivalsOf(node)
  }

  /** A number that is another one after each change of what nodes claim. */
  get claimsVersion(): number {
    return this.#claimsVersion
  }

  /** The smallest tunnel MTU by pod family; a family is absent when no other node has pods of it. */
  get overlayMtuBytes(): RemoteTally['overlayMtuBytes'] {
    return this.#tally.overlayMtuBytes
  }

  /** The underlay's smallest MTU on the ways to other nodes, by the family of their addresses, where a way is known. */
  get underlayMtuBytes(): RemoteTally['underlayMtuBytes'] {
    return this.#tally.underlayMtuBytes
  }

  get widestTunnelBytes(): number {
    return this.#tally.widestTunnelBytes
  }

  /** Whether any node, this one included, may send VXLAN to this node or accept it from this node. */
  get needsOverlay(): boolean {
    return this.#context.routing !== 'native' || this.#tally.wayCounts.vxlan > 0 || this.#tally.mayUseOverlay
  }

  /** Whether another node announces that it sends native packets. */
  get hasNativeSenders(): boolean {
    return this.#tally.hasNativeSenders
  }

  /** Whether a native route has a next hop on the device. */
  leadsOver(device: string): boolean {
    return this.#tally.leadsOver(device)
  }

  mayHoldNodes(prefix: Prefix): boolean {
    return this.#tally.mayHoldNodes(prefix)
  }

  /** How many remote pod CIDRs are reached through the tunnel, and how many natively. */
  get wayCounts(): WayCounts {
    return this.#tally.wayCounts
  }

  /** Applies changes of other nodes. `hasOverlay`: whether the tunnel exists, and the delta therefore includes its objects. */
  update(changes: Iterable<NodeChange>, hasOverlay = true): RemoteDelta {
    this.#claimsVersion++
    const claims: NodeChange[] = []
    for (const [name, node] of changes) {
      if (name === this.#context.self.name) continue
      if (node) this.#told.set(name, node)
      else this.#told.delete(name)
      claims.push([name, this.#admit(name, node)])
    }
    return this.#replan(this.#claims.update(claims), [], hasOverlay)
  }

  /** What of a node's claims is admitted. */
  #admit(name: string, told: NodeState | undefined): NodeState | undefined {
    const admitted = told && admitClaims(told, this.#context)
    if (admitted && admitted.problems.length > 0) this.#refused.set(name, admitted.problems)
    else this.#refused.delete(name)
    return admitted?.node
  }

  /** Applies changes of BGP's routes. */
  updateLearned(changes: Iterable<LearnedRouteChange>, hasOverlay = true): RemoteDelta {
    const names = new Set<string>()
    const prefixes: string[] = []
    for (const change of changes) {
      const key = this.#bgp.take(change)
      const owner = this.#owners.get(key)
      if (owner === undefined) prefixes.push(key)
      else names.add(owner)
    }
    return this.#replan(names, prefixes, hasOverlay)
  }

  /** The addresses of all next hops that BGP has told. */
  nextHops(): Iterable<Addr> {
    return this.#bgp.nextHops()
  }

  /** Takes how the kernel reaches next hops, by address (undefined: nobody needs that any more), and plans the routes over them again. */
  updateKernelWays(ways: ReadonlyMap<string, KernelWay | undefined>, hasOverlay = true): RemoteDelta {
    return this.updateLearned(this.#bgp.takeWays(ways), hasOverlay)
  }

  /** Plans everything again for a new context. Each step plans one portion, because there may be thousands of nodes and routes. */
  *changeContext(context: RemoteContext, portion: number): Generator<void, void> {
    const { name } = this.#context.self
    this.#claimsVersion++
    this.#context = context
    const claims: NodeChange[] = [
      [name, undefined],
      [context.self.name, context.self],
    ]
    // the own addresses and networks may be others now
    for (const [each, told] of this.#told) {
      const isWhole = admitClaims(told, context).node === told
      if (!isWhole || this.#claims.get(each) !== told) claims.push([each, this.#admit(each, told)])
    }
    const affected = this.#claims.update(claims)
    for (const other of this.#plans.keys()) affected.add(other)
    const names = [...affected]
    for (let start = 0; start < names.length; start += portion)
      yield void this.#replan(names.slice(start, start + portion), [], true)
    const prefixes = [...this.#bgp.learned.keys()]
    for (let start = 0; start < prefixes.length; start += portion)
      yield void this.#replan([], prefixes.slice(start, start + portion), true)
  }

  /** Plans the named nodes again, and BGP's routes to `prefixes` as far as no node owns those. */
  #replan(names: Iterable<string>, prefixes: Iterable<string>, hasOverlay: boolean): RemoteDelta {
    const routes = new RouteChanges()
    const neighbours = new Map<string, DesiredNeighbour | undefined>()
    const tunnelEnds = new Map<string, TunnelEndChange>()
    const others = new Set(prefixes)
    const after: (PlanChange & { readonly node: NodeState | undefined })[] = []
    const neededOverlay = this.needsOverlay
    this.#tally.begin()
    let isSelfAffected = false
    const lowering = this.#lowering
    for (const name of names) {
      const before = this.#plans.get(name) ?? noRemotePlan
      const settled = this.#claims.settled(name)
      const isSelf = name === this.#context.self.name
      const node = isSelf ? undefined : settled?.node
      const plan = node ? withKeptVerdicts(planRemote(node, this.#context, this.#bgp), before) : noRemotePlan
      const ofClaims = [...(this.#refused.get(name) ?? []), ...(settled?.problems ?? [])]
      // one cause, one problem: that there is no way to a node without addresses follows from why it has none
      const isExplained =
        node?.addrs.length === 0 && ofClaims.some(({ code }) => code === 'CW1104' || code === 'CW1113')
      const problems = [...ofClaims, ...plan.problems.filter(({ code }) => !isExplained || code !== 'CW1201')]
      if (isSelf) isSelfAffected = true
      if (node) this.#plans.set(name, plan)
      else this.#plans.delete(name)
      if (problems.length > 0) this.#problems.set(name, problems)
      else this.#problems.delete(name)
      this.#forget(name, before, plan, others)
      if (!isSameList(before.covered, plan.covered)) {
        for (const cidr of plan.covered) this.#covered.add(cidr)
        for (const cidr of before.covered) this.#covered.remove(cidr)
      }
      this.#tally.remove(name, before)
      const gone = objectsOf(before, lowering, hasOverlay)
      for (const route of gone.routes) routes.remove(route)
      for (const neighbour of gone.neighbours) neighbours.set(neighbourKey(neighbour), undefined)
      for (const addr of gone.tunnelEnds) tunnelEnds.set(String(addr), { addr, isWanted: false })
      after.push({ name, node, before, plan })
    }
    // one node may win a claim that another loses, so all additions come after all removals
    for (const { name, node, before, plan } of after) {
      this.#keep(name, plan, others)
      if (node) this.#tally.add(node, plan, this.#context.settings)
      const wanted = objectsOf(plan, lowering, hasOverlay)
      for (const route of wanted.routes) routes.add(route)
      for (const neighbour of wanted.neighbours) neighbours.set(neighbourKey(neighbour), neighbour)
      for (const addr of wanted.tunnelEnds) tunnelEnds.set(String(addr), { addr, isWanted: true })
      // a node's tunnel ends nearly always stay the same, and then are no change
      if (isSameList(before.tunnelEnds, plan.tunnelEnds))
        for (const addr of wanted.tunnelEnds) tunnelEnds.delete(String(addr))
    }
    const tallied = this.#tally.end()
    if (isSelfAffected || tallied.isInsideChanged) for (const key of this.#bgp.learned.keys()) others.add(key)
    for (const key of others) this.#planOther(key, routes)
    const isSharedChanged = tallied.isOutsideChanged || tallied.isMtuChanged || neededOverlay !== this.needsOverlay
    const isWholesale = isSelfAffected || isSharedChanged
    return withBpf({ routes: routes.changed, neighbours, tunnelEnds, isWholesale }, after, hasOverlay)
  }

  /** Removes a node's former plan, but for verdicts that the new one keeps, and leaves what an earlier portion of `changeContext` already gave to another node. */
  #forget(name: string, plan: RemotePlan, kept: RemotePlan, others: Set<string>): void {
    for (const verdict of plan.verdicts) {
      const key = verdictKey(verdict)
      if (this.#verdicts.get(key) !== verdict || kept.verdicts.includes(verdict)) continue
      this.#verdicts.delete(key)
      this.#changedVerdicts.set(key, undefined)
    }
    for (const cidr of plan.podCIDRs) {
      const key = String(cidr)
      if (this.#bgp.learned.has(key)) others.add(key)
      if (this.#owners.get(key) !== name) continue
      this.#owners.delete(key)
      this.#notInstalled.delete(key)
    }
  }

  #keep(name: string, plan: RemotePlan, others: Set<string>): void {
    for (const verdict of plan.verdicts) {
      const key = verdictKey(verdict)
      if (this.#verdicts.get(key) === verdict) continue
      this.#verdicts.set(key, verdict)
      this.#changedVerdicts.set(key, verdict)
    }
    for (const cidr of plan.podCIDRs) {
      const key = String(cidr)
      const why = plan.unused.get(key)
      this.#owners.set(key, name)
      if (why === undefined) this.#notInstalled.delete(key)
      else this.#notInstalled.set(key, why)
      if (this.#bgp.learned.has(key)) others.add(key)
    }
  }

  /** Plans BGP's route to a prefix that is no node's pod CIDR. A route to a node's pod CIDR is planned with that node. */
  #planOther(key: string, routes: RouteChanges): void {
    const before = this.#others.get(key)
    const isOwned = this.#owners.has(key)
    const learned = isOwned ? undefined : this.#bgp.learned.get(key)
    const admission = learned && this.#admitLearned(learned)
    if (before) {
      routes.removeUnlessAdded(before)
      this.#tally.removeHops(before.nextHops)
      this.#others.delete(key)
    }
    if (admission?.kind === 'refused') this.#notInstalled.set(key, admission.reason)
    else if (!isOwned) this.#notInstalled.delete(key)
    if (learned === undefined || admission?.kind !== 'admitted') return
    const [dst, { nextHops }] = [learned.prefix, admission]
    const route: NativeRoute = { kind: 'native', dst, metric: nativeMetric(dst), origin: 'bgp', nextHops }
    routes.add(route)
    this.#tally.addHops(nextHops)
    this.#others.set(key, route)
  }

  #admitLearned(learned: LearnedRoute): Admission {
    const { connected, settings, formerCIDRs = [] } = this.#context
    return admitOther(learned, {
      ownCIDRs: [...this.self.podCIDRs, ...formerCIDRs],
      clusterCIDRs: settings.clusterCIDRs,
      connected,
      kernelWays: this.#bgp.kernelWays,
      nodeAddrs: this.#tally.insideAddrs,
    })
  }
}
