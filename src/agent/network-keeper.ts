// Keeps this node's network as the cluster wants it: takes what became dirty, plans, and has it reconciled. docs/scale.md tells
// when a pass is a delta and when it reads the kernel.
import { setImmediate } from 'node:timers/promises'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type LearnedRouteChange } from '#/model/bgp.ts'
import { bridgeName, vxlanName } from '#/model/names.ts'
import { type NetworkDelta, type NodeState, type PortState } from '#/model/network.ts'
import { oneOfEach, type Problem, problemNews } from '#/model/problems.ts'
import { type Routing, type RoutingState } from '#/model/routing.ts'
import { type Plan, planNetwork } from '#/plan/network.ts'
import { type PeerContext } from '#/plan/peer-plan.ts'
import { type NodeChange, type PeerDelta, PeerTable } from '#/plan/peers.ts'
import { routingProblems } from '#/plan/routing-problems.ts'
import { routingStateFor } from '#/plan/routing-state.ts'
import { type CompareOptions } from '#/reconcile/driver.ts'
import { type PodPorts } from '#/reconcile/link-driver.ts'
import { type OnChanges, type PlannedChange, Reconciler } from '#/reconcile/reconciler.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { type ClusterView } from './cluster-view.ts'
import { type AgentConfig } from './config.ts'
import { type Dirt, type Taken } from './dirt.ts'
import { allDrivers } from './drivers.ts'
import { isolationOf } from './isolation.ts'
import { type LearnedRoutes, nothingLearned } from './learned-routes.ts'
import { OverlayLife } from './overlay-life.ts'
import { isLower, type PodNetwork } from './pod-network.ts'
import { readUnderlay, type Underlay, unknownUnderlay } from './underlay.ts'

/** Nodes that are planned, and routes that are written, before others on the event loop get their turn. */
const nodesPerTurn = 50

export type NetworkKeeperDeps = {
  readonly view: ClusterView
  readonly dirt: Dirt
  /** The pods of this node that are wired. */
  readonly ports: () => readonly PortState[]
  readonly pods: PodPorts
  /** The cluster's routing; absent: that of the settings. The own Node object's annotation goes before either. */
  readonly routing?: () => Routing
  /** Absent: there is no BGP. */
  readonly learned?: LearnedRoutes
  /** Whether routers are told of this node's pod CIDRs. */
  readonly isAdvertised?: () => boolean
  /** Gives pods that run their MTU. It is awaited where the MTU sinks, before packets take the narrower way. */
  readonly refreshPods?: (network: PodNetwork) => Promise<void>
  /** What others have to tell along with it. */
  readonly otherProblems: () => readonly Problem[]
  readonly log: Logger
  /** Told of everything that is written to the kernel. */
  readonly onChanges: OnChanges
  /** Told when the kernel has what changed nodes ask for, with the time since the first of them changed. */
  readonly onNodes: (durationMs: number) => void
  /** Monotonic. */
  readonly nowMs?: () => number
}

export class NetworkKeeper implements Disposable {
  readonly #config: AgentConfig
  readonly #view: ClusterView
  readonly #dirt: Dirt
  readonly #ports: () => readonly PortState[]
  readonly #routing: () => Routing
  readonly #learned: LearnedRoutes
  readonly #advertises: () => boolean
  readonly #refreshPods: (network: PodNetwork) => Promise<void>
  readonly #overlayLife: OverlayLife
  readonly #otherProblems: () => readonly Problem[]
  readonly #log: Logger
  readonly #onNodes: (durationMs: number) => void
  readonly #netlink = new Netlink()
  readonly #nftables = new NftClient()
  readonly #reconciler: Reconciler
  #underlay: Underlay = unknownUnderlay
  #self: NodeState | undefined
  #former: readonly Prefix[] = []
  #peers: PeerTable | undefined
  #isComplete = false
  #isLearned = false
  #isAdvertised = false
  #isOverlayDue = true
  #hasOverlay = false
  #routingState: RoutingState | undefined
  #problems: readonly Problem[] = []
  /** What pods get, once a pass has made it; until then why there is nothing. */
  #podNetwork: PodNetwork | string = 'the agent has just started'

  constructor(config: AgentConfig, deps: NetworkKeeperDeps) {
    this.#config = config
    this.#view = deps.view
    this.#dirt = deps.dirt
    this.#ports = deps.ports
    this.#routing = deps.routing ?? (() => config.settings.routing)
    this.#learned = deps.learned ?? nothingLearned
    this.#advertises = deps.isAdvertised ?? (() => false)
    this.#refreshPods = deps.refreshPods ?? (async () => {})
    this.#overlayLife = new OverlayLife({ nowMs: deps.nowMs ?? (() => performance.now()) })
    this.#otherProblems = deps.otherProblems
    this.#log = deps.log
    this.#onNodes = deps.onNodes
    this.#reconciler = new Reconciler({
      netlink: this.#netlink,
      drivers: allDrivers(this.#netlink, this.#nftables, deps.pods),
      log: deps.log,
      nowMs: Date.now,
      onChanges: deps.onChanges,
    })
  }

  /** Changes made through these are our own. */
  get portIds(): readonly number[] {
    return [this.#netlink.portId, this.#nftables.portId]
  }

  get podNetwork(): PodNetwork | string {
    return this.#podNetwork
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  get objects(): ObjectStatus[] {
    return this.#reconciler.status
  }

  get failures(): ObjectStatus[] {
    return this.#reconciler.failures
  }

  /** Networks of this node's devices, without pods'; sorted, each once. */
  get subnets(): readonly Prefix[] {
    const byText = new Map(this.#underlay.connected.map(({ prefix }) => [String(prefix), prefix]))
    return [...byText.values()].toSorted((a, b) => a.compare(b))
  }

  /** Why no other node is reached from here; undefined when one may be, or there is none. */
  get isolation(): string | undefined {
    return isolationOf({
      plans: this.#peers?.plans ?? new Map(),
      hasUnderlay: Object.keys(this.#underlay.mtuBytes).length > 0,
      problems: this.#underlay.problems,
      failures: this.failures,
    })
  }

  get peers(): PeerTable | undefined {
    return this.#peers
  }

  /** How this node crosses to others, as it is in the kernel; undefined while that is not known well enough to be told. */
  get routingState(): RoutingState | undefined {
    // a restarted agent does not tell the others of ways that it has only until BGP has told its own
    return this.#isLearned || this.#view.published === undefined ? this.#routingState : undefined
  }

  /** Why others may take this node for another than it is; undefined when they do not. */
  get untoldRouting(): string | undefined {
    const routing = this.#peers?.routing ?? 'vxlan'
    if (routing === 'vxlan' || this.#view.published !== undefined) return undefined
    return `its Node object does not say yet that its routing is ${routing}`
  }

  wantsRoute(prefix: string): boolean {
    return this.#peers?.wantsRoute(prefix) ?? false
  }

  /** Whether routes of ours lead over the device that the kernel drops, without a word, when it goes down. */
  leadsOver(device: string): boolean {
    return this.#peers?.leadsOver(device) ?? false
  }

  /** Brings the kernel up to date once; says how many objects failed, which then are dirty again. */
  async pass(): Promise<{ failed: number }> {
    this.#view.save()
    const taken = this.#dirt.take()
    try {
      return await this.#passOver(taken)
    } catch (error) {
      this.#dirt.markEverything()
      throw error
    }
  }

  async #passOver(taken: Taken): Promise<{ failed: number }> {
    const self = this.#view.self
    if (self === undefined) {
      this.#podNetwork = this.#view.isComplete
        ? `node ${this.#config.nodeName} has no pod CIDR yet`
        : 'the Kubernetes API has not answered yet'
      this.#tell(this.#view.problems)
      // whatever it was about, it is all to be done once there is something to do
      this.#dirt.markEverything()
      return { failed: 0 }
    }
    const { peers, isNewContext } = await this.#contextFor(self, taken.underlay)
    const isNewlyComplete = this.#view.isComplete && !this.#isComplete
    this.#isComplete = this.#view.isComplete
    const isNewlyLearned = this.#learned.isReady && !this.#isLearned
    this.#isLearned = this.#learned.isReady
    const isOtherwiseAdvertised = this.#advertises() !== this.#isAdvertised
    this.#isAdvertised = this.#advertises()
    const first = taken.everything || isNewContext || isNewlyComplete || isNewlyLearned || isOtherwiseAdvertised
    const { changes, sinceMs } = this.#view.takeChanges()
    const delta = await this.#takeChanges(peers, changes, this.#learned.takeChanges(), first)
    const isOverlayDue = this.#overlayLife.isDue({
      // a route that could not be changed still leads through it
      isNeeded: peers.needsOverlay || this.#routingState?.sends.includes('vxlan') === true,
      isComplete: this.#isComplete,
      hasDevice: this.#hasOverlay || this.#underlay.hasTunnel,
      published: this.#view.published,
    })
    const isWhole = first || delta.isWholesale || isOverlayDue !== this.#isOverlayDue
    this.#isOverlayDue = isOverlayDue
    const kinds = new Set([...taken.kinds, ...delta.failedKinds])
    if (!isWhole && kinds.size === 0) {
      this.#settleRouting(peers, delta.failedKinds)
      this.#tell([...this.#ownProblems(peers), ...peers.problems])
      if (changes.length > 0) this.#onNodes(performance.now() - sinceMs)
      return { failed: 0 }
    }
    const plan = this.#plan(peers)
    const podNetwork = podNetworkOf(plan, this.#config)
    this.#tell([...this.#ownProblems(peers), ...plan.problems])
    await this.#lowerPods(podNetwork)
    const { failed, failedKinds } = await this.#reconciler.apply(plan.network, {
      ...this.#compareOptions,
      ...(!isWhole && { kinds }),
    })
    // only now: a pod that is wired needs the bridge, and expects to reach all others
    this.#podNetwork = this.#bridgeFault ?? podNetwork
    this.#hasOverlay = plan.hasOverlay
    this.#settleRouting(peers, failedKinds)
    this.#dirt.mark(...failedKinds)
    if (changes.length > 0 && failed === 0) this.#onNodes(performance.now() - sinceMs)
    return { failed }
  }

  /** Why pods have nothing to be wired to. */
  get #bridgeFault(): string | undefined {
    const isNeeded = ({ kind, key }: ObjectStatus): boolean =>
      (kind === 'link' && key === bridgeName) || (kind === 'address' && !key.endsWith(` dev ${vxlanName}`))
    const failed = this.failures.find(isNeeded)
    return failed && `${failed.kind} ${failed.key}: ${failed.message ?? ''}`
  }

  get #compareOptions(): CompareOptions {
    return { isComplete: this.#isComplete, keepsLearned: !this.#isLearned }
  }

  /** Where a narrower way is to come, pods must know before the first packet takes it; those that are wired meanwhile too. */
  async #lowerPods(podNetwork: PodNetwork | string): Promise<void> {
    const before = this.#podNetwork
    if (typeof podNetwork === 'string') return
    // what an earlier agent gave them is not known; to be wired, pods still have to wait for the bridge
    if (typeof before === 'string') return this.#refreshPods(podNetwork)
    if (!isLower(podNetwork, before)) return
    this.#podNetwork = podNetwork
    await this.#refreshPods(podNetwork)
  }

  #settleRouting(peers: PeerTable, failedKinds: ReadonlySet<string>): void {
    if (!this.#isComplete) return
    this.#routingState = routingStateFor({
      mode: peers.routing,
      counts: peers.wayCounts,
      needsOverlay: peers.needsOverlay,
      hasOverlay: this.#hasOverlay,
      failedKinds,
      before: this.#routingState ?? this.#view.published,
    })
  }

  #ownProblems(peers: PeerTable): Problem[] {
    const { problems, strictDevices } = this.#underlay
    const isSettled = this.#isComplete && this.#isLearned
    return [...this.#view.problems, ...problems, ...routingProblems(peers, { strictDevices, isSettled })]
  }

  /** What a whole pass would change now. */
  async preview(): Promise<{ changes: PlannedChange[]; problems: readonly Problem[] }> {
    if (this.#peers === undefined) return { changes: [], problems: this.#problems }
    const plan = this.#plan(this.#peers)
    const changes = await this.#reconciler.preview(plan.network, this.#compareOptions)
    return { changes, problems: this.#problems }
  }

  #plan(peers: PeerTable): Plan {
    return planNetwork({
      peers,
      isComplete: this.#isComplete,
      keepsOverlay: this.#isOverlayDue,
      underlay: this.#underlay.mtuBytes,
      raDevices: this.#underlay.raDevices,
      isAdvertised: this.#isAdvertised,
      ports: this.#ports(),
      settings: this.#config.settings,
    })
  }

  /** The peers as seen from this node as it is now. */
  async #contextFor(self: NodeState, isUnderlayDirty: boolean): Promise<{ peers: PeerTable; isNewContext: boolean }> {
    const before = this.#underlay
    if (isUnderlayDirty || self !== this.#self) {
      this.#underlay = readUnderlay(this.#netlink, self.name, self.addrs, this.#config.settings)
    }
    const { mtuBytes, connected } = this.#underlay
    const routing = self.routing ?? this.#routing()
    const former = formerCIDRs(this.#ports(), self)
    const { settings } = this.#config
    const context: PeerContext = { self, underlay: mtuBytes, connected, routing, settings, formerCIDRs: former }
    const isSame =
      self === this.#self &&
      routing === this.#peers?.routing &&
      isSameText(former, this.#former) &&
      isSameUnderlay(before, this.#underlay)
    this.#self = self
    this.#former = former
    if (this.#peers && isSame) return { peers: this.#peers, isNewContext: false }
    if (this.#peers === undefined) this.#peers = new PeerTable(context)
    else for (const _ of this.#peers.changeContext(context, nodesPerTurn)) await setImmediate()
    return { peers: this.#peers, isNewContext: true }
  }

  /** Takes over changed nodes and routes, and unless all is to be looked at anyway writes what they make different at once. */
  async #takeChanges(
    peers: PeerTable,
    nodes: readonly NodeChange[],
    learned: readonly LearnedRouteChange[],
    isWhole: boolean,
  ): Promise<{ isWholesale: boolean; failedKinds: ReadonlySet<string> }> {
    const failedKinds = new Set<string>()
    const former = formerCIDRs(this.#ports(), peers.self)
    let isWholesale = false
    const deltas: NetworkDelta[] = []
    // all of them into the table first: whatever fails afterwards, a whole pass then plans from all that is known
    const portions = [
      ...portionsOf(nodes).map((portion) => () => peers.update(portion)),
      ...portionsOf(learned).map((portion) => () => peers.updateLearned(portion)),
    ]
    for (const takeOver of portions) {
      const delta = takeOver()
      deltas.push(this.#hasOverlay ? delta : withoutTunnel(delta))
      isWholesale ||= delta.isWholesale || touches(delta, former)
      await setImmediate()
    }
    if (isWhole || isWholesale) return { isWholesale, failedKinds }
    for (const delta of deltas) {
      const report = await this.#reconciler.applyDelta(delta, this.#compareOptions)
      for (const kind of report.failedKinds) failedKinds.add(kind)
      await setImmediate()
    }
    return { isWholesale, failedKinds }
  }

  /** Logs each problem when it appears and when it goes. */
  #tell(ofNetwork: readonly Problem[]): void {
    const problems = oneOfEach([...ofNetwork, ...this.#otherProblems()])
    const { appeared, gone } = problemNews(this.#problems, problems)
    for (const { code, object, message, how, remedy } of appeared)
      this.#log.warn('problem', { code, object, problem: message, how, remedy })
    for (const { code, object, message } of gone) this.#log.info('problem gone', { code, object, problem: message })
    this.#problems = problems
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]()
    this.#nftables[Symbol.dispose]()
  }
}

/** CIDRs of pods that this node has no more: whether they are served depends on who has them now. */
function formerCIDRs(ports: readonly PortState[], self: NodeState): Prefix[] {
  const held = ports.flatMap(({ podCIDRs }) => podCIDRs)
  const former = held.filter((cidr) => !self.podCIDRs.some((each) => each.equals(cidr)))
  return [...new Map(former.map((cidr) => [String(cidr), cidr])).values()].toSorted((a, b) => a.compare(b))
}

function portionsOf<T>(changes: readonly T[]): T[][] {
  const count = Math.ceil(changes.length / nodesPerTurn)
  return Array.from({ length: count }, (_, index) => changes.slice(index * nodesPerTurn, (index + 1) * nodesPerTurn))
}

/** Where there is no tunnel, nothing is to be changed about it. */
function withoutTunnel(delta: PeerDelta): NetworkDelta {
  return { routes: delta.routes, neighbours: new Map(), tunnelEnds: new Map() }
}

function touches({ routes }: NetworkDelta, cidrs: readonly Prefix[]): boolean {
  if (cidrs.length === 0) return false
  return [...routes.keys()].some((key) => cidrs.some((cidr) => cidr.overlaps(Prefix.parse(key))))
}

function isSameUnderlay(a: Underlay, b: Underlay): boolean {
  return a.mtuBytes[4] === b.mtuBytes[4] && a.mtuBytes[6] === b.mtuBytes[6] && isSameText(a.connected, b.connected)
}

function isSameText(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}

/** Pods get the underlay's MTU on their device and the tunnel's, as long as there is one, on the routes to other pods. */
function podNetworkOf(plan: Plan, { settings }: AgentConfig): PodNetwork | string {
  if (plan.podCIDRs.length === 0) return 'no pod CIDR of this node can be used: "causeway status" says why'
  return {
    podCIDRs: plan.podCIDRs,
    overlay: settings.clusterCIDRs.flatMap((dst) => {
      const mtuBytes = plan.podMtuBytes[dst.family]
      return mtuBytes === undefined ? [] : [{ dst, mtuBytes }]
    }),
    deviceMtuBytes: plan.deviceMtuBytes,
  }
}
