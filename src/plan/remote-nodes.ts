// The plan of all other nodes and of BGP's routes, updated change by change. Pure: the result depends only on the final state, not on
// the order of changes, which the test proves by comparing it with a plan made from scratch.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type LearnedRoute, type LearnedRouteChange } from '#/model/bgp.ts'
import {
  type DesiredNeighbour,
  type KernelWay,
  type NativeRoute,
  type NetworkDelta,
  neighbourKey,
  type NodeState,
  type TunnelEndChange,
} from '#/model/network.ts'
import { type Problem } from '#/model/problems.ts'
import { nativeMetric } from '#/model/names.ts'
import { type Routing } from '#/model/routing.ts'
import { type Verdict, verdictKey } from '#/model/verdict.ts'
import { admitClaims } from './admit-claims.ts'
import { type Claimant, ClaimIndex } from './claims.ts'
import { type Admission, admitOther } from './guard.ts'
import { gatewaysOf, noRemotePlan, type RemoteContext, type RemotePlan, planRemote } from './remote-plan.ts'
import { RemoteTally, type WayCounts } from './remote-tally.ts'
import { type Lowering, objectsOf, type RemoteObjects } from './remote-objects.ts'
import { RouteChanges } from './route-changes.ts'

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
  readonly #learned = new Map<string, LearnedRoute>()
  /** The admitted BGP routes whose prefix is no node's pod CIDR, keyed by prefix. */
  readonly #others = new Map<string, NativeRoute>()
  readonly #notInstalled = new Map<string, string>()
  /** How the kernel reaches BGP's next hops, as far as it was asked. */
  readonly #kernelWays = new Map<string, KernelWay>()
  readonly #tally = new RemoteTally()
  #version = 0
  #claimsVersion = 0
  #context: RemoteContext
  #lowering: Lowering

  /** `context.self` counts as a node, whether or not it is among the changes. */
  constructor(context: RemoteContext) {
    this.#context = context
    this.#lowering = loweringFor(context)
    this.#claims.update(context.self.name, context.self)
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

  /** The devices that have addresses of this node. */
  get underlayDevices(): readonly string[] {
    const { connected } = this.#context
    return [...new Set(connected.filter(({ isNodeAddress }) => isNodeAddress).map(({ device }) => device))]
  }

  /** Pod CIDRs of other nodes outside of the cluster CIDRs, sorted. */
  get outsideCIDRs(): Prefix[] {
    return this.#tally.outsideCIDRs
  }

  /** Whether the plan has a route to a prefix, given as text. */
  wantsRoute(prefix: string): boolean {
    const verdict = this.#verdicts.get(prefix)
    return (verdict !== undefined && verdict.way !== 'none') || this.#others.has(prefix)
  }

  /** A number that is another one after each change of a verdict. */
  get version(): number {
    return this.#version
  }

  /** The verdict of each pod CIDR of another node: the way that packets take and the reason; unsorted. */
  get verdicts(): Iterable<Verdict> {
    return this.#verdicts.values()
  }

  /** The kernel objects that this node needs for all other nodes, sorted by node name; `update` returns changes to the same objects. */
  objects(hasOverlay: boolean): RemoteObjects {
    const sorted = [...this.#plans].toSorted(([a], [b]) => (a < b ? -1 : 1))
    const all = sorted.map(([, plan]) => objectsOf(plan, this.#lowering, hasOverlay))
    return {
      routes: all.flatMap(({ routes }) => routes),
      neighbours: all.flatMap(({ neighbours }) => neighbours),
      tunnelEnds: all.flatMap(({ tunnelEnds }) => tunnelEnds),
    }
  }

  /** The name of another node with a pod CIDR that overlaps `cidr`; undefined when there is none. */
  ownerOf(cidr: Prefix): string | undefined {
    return this.#claims.ownersIn(cidr).find((name) => name !== this.#context.self.name)
  }

  /** The other nodes whose claims decide which of its pod CIDRs a node keeps. */
  rivalsOf(node: Claimant): readonly NodeState[] {
    return this.#claims.rivalsOf(node)
  }

  /** The pod CIDRs of another node that are routed to it, former ones last. */
  podCIDRsOf(name: string): readonly Prefix[] {
    return this.#plans.get(name)?.podCIDRs ?? []
  }

  /** A number that is another one after each change of what nodes claim. */
  get claimsVersion(): number {
    return this.#claimsVersion
  }

  /** The smallest tunnel MTU by pod family; a family is absent when no other node has pods of it. */
  get overlayMtuBytes(): RemoteTally['overlayMtuBytes'] {
    return this.#tally.overlayMtuBytes
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

  /** How many remote pod CIDRs are reached through the tunnel, and how many natively. */
  get wayCounts(): WayCounts {
    return this.#tally.wayCounts
  }

  /** Applies changes of other nodes. `hasOverlay`: whether the tunnel exists, and the delta therefore includes its objects. */
  update(changes: Iterable<NodeChange>, hasOverlay = true): RemoteDelta {
    this.#claimsVersion++
    const affected = new Set<string>()
    for (const [name, node] of changes) {
      if (name === this.#context.self.name) continue
      if (node) this.#told.set(name, node)
      else this.#told.delete(name)
      for (const other of this.#claim(name, node)) affected.add(other)
    }
    return this.#replan(affected, [], hasOverlay)
  }

  /** Records what a node claims, as far as it is admitted; returns the names of the nodes whose claims this may decide. */
  #claim(name: string, told: NodeState | undefined): Iterable<string> {
    const admitted = told && admitClaims(told, this.#context)
    if (admitted && admitted.problems.length > 0) this.#refused.set(name, admitted.problems)
    else this.#refused.delete(name)
    return this.#claims.update(name, admitted?.node)
  }

  /** Applies changes of BGP's routes. */
  updateLearned(changes: Iterable<LearnedRouteChange>, hasOverlay = true): RemoteDelta {
    const names = new Set<string>()
    const prefixes: string[] = []
    for (const { prefix, route } of changes) {
      const key = String(prefix)
      if (route) this.#learned.set(key, route)
      else this.#learned.delete(key)
      const owner = this.#owners.get(key)
      if (owner === undefined) prefixes.push(key)
      else names.add(owner)
    }
    return this.#replan(names, prefixes, hasOverlay)
  }

  /** The addresses of all next hops that BGP has told. */
  *nextHops(): Generator<Addr, void> {
    for (const { nextHops } of this.#learned.values()) for (const { addr } of nextHops) yield addr
  }

  /** Takes how the kernel reaches next hops, by address (undefined: nobody needs that any more), and plans the routes over them again. */
  updateKernelWays(ways: ReadonlyMap<string, KernelWay | undefined>, hasOverlay = true): RemoteDelta {
    for (const [addr, way] of ways)
      if (way) this.#kernelWays.set(addr, way)
      else this.#kernelWays.delete(addr)
    const isConcerned = ({ nextHops }: LearnedRoute): boolean => nextHops.some(({ addr }) => ways.has(String(addr)))
    const concerned = [...this.#learned.values()].filter(isConcerned)
    return this.updateLearned(
      concerned.map((route) => ({ prefix: route.prefix, route })),
      hasOverlay,
    )
  }

  /** Plans everything again for a new context. Each step plans one portion, because there may be thousands of nodes and routes. */
  *changeContext(context: RemoteContext, portion: number): Generator<void, void> {
    const { name } = this.#context.self
    this.#claimsVersion++
    this.#claims.update(name, undefined)
    this.#context = context
    this.#lowering = loweringFor(context)
    const affected = this.#claims.update(context.self.name, context.self)
    // the own addresses and networks may be others now
    for (const [each, told] of this.#told) {
      const isWhole = admitClaims(told, context).node === told
      if (!isWhole || this.#claims.get(each) !== told) for (const other of this.#claim(each, told)) affected.add(other)
    }
    for (const other of this.#plans.keys()) affected.add(other)
    const names = [...affected]
    for (let start = 0; start < names.length; start += portion)
      yield void this.#replan(names.slice(start, start + portion), [], true)
    const prefixes = [...this.#learned.keys()]
    for (let start = 0; start < prefixes.length; start += portion)
      yield void this.#replan([], prefixes.slice(start, start + portion), true)
  }

  /** Plans the named nodes again, and BGP's routes to `prefixes` as far as no node owns those. */
  #replan(names: Iterable<string>, prefixes: Iterable<string>, hasOverlay: boolean): RemoteDelta {
    const routes = new RouteChanges()
    this.#version++
    const neighbours = new Map<string, DesiredNeighbour | undefined>()
    const tunnelEnds = new Map<string, TunnelEndChange>()
    const others = new Set(prefixes)
    const told = { learned: this.#learned, kernelWays: this.#kernelWays }
    const after: { name: string; node: NodeState | undefined; plan: RemotePlan; formerEnds: readonly Addr[] }[] = []
    const neededOverlay = this.needsOverlay
    this.#tally.begin()
    let isSelfAffected = false
    for (const name of names) {
      const before = this.#plans.get(name) ?? noRemotePlan
      const settled = this.#claims.settled(name)
      const isSelf = name === this.#context.self.name
      const node = isSelf ? undefined : settled?.node
      const plan = node ? planRemote(node, this.#context, told) : noRemotePlan
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
      this.#forget(name, before, others)
      this.#tally.remove(name, before)
      const gone = objectsOf(before, this.#lowering, hasOverlay)
      for (const route of gone.routes) routes.remove(route)
      for (const neighbour of gone.neighbours) neighbours.set(neighbourKey(neighbour), undefined)
      for (const addr of gone.tunnelEnds) tunnelEnds.set(String(addr), { addr, isWanted: false })
      after.push({ name, node, plan, formerEnds: gone.tunnelEnds })
    }
    // one node may win a claim that another loses, so all additions come after all removals
    for (const { name, node, plan, formerEnds } of after) {
      this.#keep(name, plan, others)
      if (node) this.#tally.add(node, plan, this.#context.settings)
      const wanted = objectsOf(plan, this.#lowering, hasOverlay)
      for (const route of wanted.routes) routes.add(route)
      for (const neighbour of wanted.neighbours) neighbours.set(neighbourKey(neighbour), neighbour)
      for (const addr of wanted.tunnelEnds) tunnelEnds.set(String(addr), { addr, isWanted: true })
      // a node's tunnel ends nearly always stay the same, and then are no change
      if (isSameList(formerEnds, wanted.tunnelEnds))
        for (const addr of wanted.tunnelEnds) tunnelEnds.delete(String(addr))
    }
    const tallied = this.#tally.end()
    if (isSelfAffected || tallied.isInsideChanged) for (const key of this.#learned.keys()) others.add(key)
    for (const key of others) this.#planOther(key, routes)
    const isSharedChanged = tallied.isOutsideChanged || tallied.isMtuChanged || neededOverlay !== this.needsOverlay
    return { routes: routes.changed, neighbours, tunnelEnds, isWholesale: isSelfAffected || isSharedChanged }
  }

  /** Removes a node's former plan, but leaves what an earlier portion of `changeContext` already gave to another node. */
  #forget(name: string, plan: RemotePlan, others: Set<string>): void {
    for (const verdict of plan.verdicts) {
      if (this.#verdicts.get(verdictKey(verdict)) === verdict) this.#verdicts.delete(verdictKey(verdict))
    }
    for (const cidr of plan.podCIDRs) {
      const key = String(cidr)
      if (this.#learned.has(key)) others.add(key)
      if (this.#owners.get(key) !== name) continue
      this.#owners.delete(key)
      this.#notInstalled.delete(key)
    }
  }

  #keep(name: string, plan: RemotePlan, others: Set<string>): void {
    for (const verdict of plan.verdicts) this.#verdicts.set(verdictKey(verdict), verdict)
    for (const cidr of plan.podCIDRs) {
      const key = String(cidr)
      const why = plan.unused.get(key)
      this.#owners.set(key, name)
      if (why === undefined) this.#notInstalled.delete(key)
      else this.#notInstalled.set(key, why)
      if (this.#learned.has(key)) others.add(key)
    }
  }

  /** Plans BGP's route to a prefix that is no node's pod CIDR. A route to a node's pod CIDR is planned with that node. */
  #planOther(key: string, routes: RouteChanges): void {
    const before = this.#others.get(key)
    const isOwned = this.#owners.has(key)
    const learned = isOwned ? undefined : this.#learned.get(key)
    const admission = learned && this.#admit(learned)
    if (before) {
      routes.removeUnlessAdded(before)
      this.#tally.removeHops(before.nextHops)
      this.#others.delete(key)
    }
    if (admission?.kind === 'refused') this.#notInstalled.set(key, admission.reason)
    else if (!isOwned) this.#notInstalled.delete(key)
    if (learned === undefined || admission?.kind !== 'admitted') return
    const { prefix: dst } = learned
    const { nextHops } = admission
    const route: NativeRoute = { kind: 'native', dst, metric: nativeMetric(dst), origin: 'bgp', nextHops }
    routes.add(route)
    this.#tally.addHops(nextHops)
    this.#others.set(key, route)
  }

  #admit(learned: LearnedRoute): Admission {
    const { connected, settings, formerCIDRs = [] } = this.#context
    return admitOther(learned, {
      ownCIDRs: [...this.self.podCIDRs, ...formerCIDRs],
      clusterCIDRs: settings.clusterCIDRs,
      connected,
      kernelWays: this.#kernelWays,
      nodeAddrs: this.#tally.insideAddrs,
    })
  }
}

function loweringFor({ self, settings }: RemoteContext): Lowering {
  return { vni: settings.vni, sources: gatewaysOf(self) }
}

function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => String(each) === String(b[index]))
}
