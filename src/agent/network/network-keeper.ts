// Keeps this node's network as the cluster wants it: each pass takes what became dirty, plans, and has the reconciler apply the plan.
// docs/scale.md tells when a pass is a delta and when it reads the kernel.
import { setImmediate } from 'node:timers/promises'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type Latest } from '#/lib/signal.ts'
import { isLower, type PodNetwork, type PodNetworkState } from '#/datapath/datapath.ts'
import { type EbpfState } from '#/datapath/programs.ts'
import { type PodPorts } from '#/datapath/port-driver.ts'
import { type Reach } from '#/model/bgp.ts'
import { type NetworkDelta, type NetworkSettings, type PortState } from '#/model/network.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { type Problem } from '#/model/problems.ts'
import { type Routing, type RoutingState } from '#/model/routing.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type PlannedDatapath } from '#/plan/datapath-plan.ts'
import { CoverChanges } from '#/plan/cover.ts'
import { type Plan, planNetwork } from '#/plan/network.ts'
import { type RemoteNodes } from '#/plan/remote-nodes.ts'
import { type SessionGuard } from '#/plan/session-guards.ts'
import { type CompareOptions } from '#/reconcile/driver.ts'
import { type OnChanges, type PlannedChange, Reconciler, unreadKey } from '#/reconcile/reconciler.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type ClusterView } from '../cluster/cluster-view.ts'
import { type DirtySet, type Taken } from './dirty-set.ts'
import { allDrivers } from './drivers.ts'
import { Isolation } from './isolation.ts'
import { type BgpFacts, type LearnedRoutes, noBgp, nothingLearned } from './learned-route-source.ts'
import { type PassReport } from './reconcile-loop.ts'
import { WayCheck } from './way-check.ts'
import { NextHops } from './next-hops.ts'
import { type News, portionsOf, touches } from './news.ts'
import { podNetworkOf } from './pod-network.ts'
import { RoutingProgress } from './routing-progress.ts'
import { NetworkContext } from './network-context.ts'

export type NetworkKeeperDeps = {
  readonly view: ClusterView
  readonly dirt: DirtySet
  /** The pods of this node that are wired. */
  readonly ports: () => readonly PortState[]
  readonly pods: PodPorts
  readonly ebpf?: EbpfState | undefined
  /** Pod CIDRs of which pods may have addresses though `ports` does not say so. */
  readonly keptCIDRs?: () => readonly Prefix[]
  /** The datapaths of the given pods, and the one that new pods get. */
  readonly datapaths: (ports: readonly PortState[]) => readonly PlannedDatapath[]
  /** The routing that is requested now, by settings or objects of the cluster. */
  readonly routing: () => Routing
  /** Routes learned by BGP; absent when this node runs no BGP. */
  readonly learned?: LearnedRoutes
  /** Absent when this node runs no BGP. */
  readonly bgp?: () => BgpFacts
  /**
   * Sets the MTU of running pods, after each pass, and after one that looks at everything their limits too. Where the MTU sinks, also before
   * packets take the way with the lower MTU.
   */
  readonly refreshPods?: (network: PodNetwork, isFull: boolean) => Promise<void>
  /** The network that pods get, or the reason why there is none. The keeper sets it whenever it is decided, before running pods get it. */
  readonly podNetwork: Latest<PodNetworkState>
  readonly log: Logger
  /** Called for all changes that are written to the kernel. */
  readonly onChanges: OnChanges
  /** Called when the kernel is up to date with changed nodes, with the time since the first of them changed. */
  readonly onNodes: (durationMs: number) => void
  /** A monotonic clock. */
  readonly nowMs?: () => number
}

export type NetworkKeeperConfig = { readonly nodeName: string; readonly settings: NetworkSettings }

export class NetworkKeeper implements Disposable {
  readonly #config: NetworkKeeperConfig
  readonly #datapaths: NetworkKeeperDeps['datapaths']
  readonly #view: ClusterView
  readonly #dirt: DirtySet
  readonly #ports: () => readonly PortState[]
  readonly #routing: () => Routing
  readonly #learned: LearnedRoutes
  readonly #bgp: () => BgpFacts
  readonly #refreshPods: (network: PodNetwork, isFull: boolean) => Promise<void>
  readonly #progress: RoutingProgress
  readonly #podNetwork: Latest<PodNetworkState>
  readonly #onNodes: (durationMs: number) => void
  readonly #netlink = new Netlink()
  readonly #nftables = new NftClient()
  readonly #reconciler: Reconciler
  readonly #context: NetworkContext
  readonly #ways: WayCheck
  readonly #nextHops: NextHops
  readonly #cover = new CoverChanges()
  #isComplete = false
  #isLearned = false
  #isAdvertised = false
  readonly #isolation: Isolation
  #guards: readonly SessionGuard[] = []
  #problems: readonly Problem[] = []
  #formerCIDRs: readonly Prefix[] | undefined

  constructor(config: NetworkKeeperConfig, deps: NetworkKeeperDeps) {
    this.#config = config
    this.#datapaths = deps.datapaths
    this.#context = new NetworkContext(this.#netlink, config.settings, deps.keptCIDRs ?? (() => []))
    this.#ways = new WayCheck(this.#netlink)
    this.#nextHops = new NextHops(this.#netlink)
    this.#view = deps.view
    this.#dirt = deps.dirt
    this.#ports = deps.ports
    this.#routing = deps.routing
    this.#learned = deps.learned ?? nothingLearned
    this.#bgp = deps.bgp ?? (() => noBgp)
    this.#refreshPods = deps.refreshPods ?? (async () => {})
    const nowMs = deps.nowMs ?? (() => performance.now())
    this.#progress = new RoutingProgress({ nowMs })
    this.#isolation = new Isolation({ nowMs })
    this.#podNetwork = deps.podNetwork
    this.#onNodes = deps.onNodes
    this.#reconciler = new Reconciler({
      netlink: this.#netlink,
      drivers: allDrivers(this.#netlink, this.#nftables, deps.pods, deps.ebpf),
      log: deps.log,
      nowMs: Date.now,
      onChanges: deps.onChanges,
    })
  }

  /** The port ids of this keeper's netlink sockets: notifications with one of them report changes that the agent made itself. */
  get portIds(): readonly number[] {
    return [this.#netlink.portId, this.#nftables.portId]
  }

  get problems(): readonly Problem[] {
    return [...this.#problems, ...this.#ways.problems, ...this.#reconciler.blockades.map(({ problem }) => problem)]
  }

  /** What of others keeps pods of this node from reaching other pods. */
  get cuts(): readonly Problem[] {
    return this.#reconciler.blockades.filter(({ cutsPodsOff }) => cutsPodsOff).map(({ problem }) => problem)
  }

  /** Former pod CIDRs of this node that other nodes should route to it; undefined until all nodes are known. */
  get formerCIDRs(): readonly Prefix[] | undefined {
    return this.#formerCIDRs
  }

  get objects(): ObjectStatus[] {
    return this.#reconciler.status
  }

  get failures(): ObjectStatus[] {
    return this.#reconciler.failures
  }

  /** Where next hops of BGP's are reached, by routes of others. */
  get reach(): Reach {
    return this.#nextHops.reach
  }

  /** Why this node reaches no other node, or hardly any; undefined when it may reach them, or there is no other node. */
  get isolation(): string | undefined {
    const { mtuBytes, problems } = this.#context.underlay
    const isolation = this.#isolation.of({
      plans: this.remoteNodes?.plans ?? new Map(),
      hasUnderlay: Object.keys(mtuBytes).length > 0,
      problems,
      failures: this.failures,
      isSettled: this.#isComplete && this.#isLearned,
      hasSession: this.#bgp().hasSession,
    })
    return isolation ?? this.#ways.obstruction
  }

  get remoteNodes(): RemoteNodes | undefined {
    return this.#context.remoteNodes
  }

  /** The way that packets take to each pod CIDR of another node, and why; sorted by CIDR. */
  get verdicts(): readonly Verdict[] {
    return [...(this.remoteNodes?.verdicts ?? [])].toSorted((a, b) => a.dst.compare(b.dst))
  }

  /** How packets between this node and others travel, as the kernel is set up; undefined while too little is known to publish it. */
  get routingState(): RoutingState | undefined {
    // a restarted agent waits for BGP's routes: ways that it uses only until then are not worth publishing
    return this.#isLearned || this.#view.published === undefined ? this.#progress.state : undefined
  }

  /** Why other nodes may have a wrong idea of this node's routing; undefined when they have not. */
  get untoldRouting(): string | undefined {
    const routing = this.remoteNodes?.routing ?? 'vxlan'
    // without the API nothing can be published, and what was published before still stands
    if (routing === 'vxlan' || this.#view.published !== undefined || !this.#isComplete) return undefined
    return `its Node object does not say yet that its routing is ${routing}`
  }

  wantsRoute(prefix: string): boolean {
    return this.remoteNodes?.wantsRoute(prefix) ?? false
  }

  /** Whether another's route may change the way of packets to pods, or to next hops of BGP's. In `main` ours win over shorter ones. */
  mayDivert({ dst, table }: Pick<Route, 'dst' | 'table'>): boolean {
    if (this.#nextHops.concerns(dst)) return true
    const cidrs = [...this.#config.settings.clusterCIDRs, ...(this.remoteNodes?.outsideCIDRs ?? [])]
    return cidrs.some((cidr) => (table === RT_TABLE_MAIN ? cidr.contains(dst) : cidr.overlaps(dst)))
  }

  /** Whether another's route to the prefix may be the way to a node. */
  mayLeadToNodes(prefix: Prefix): boolean {
    return this.remoteNodes?.mayHoldNodes(prefix) ?? false
  }

  /** Whether our routes lead over the device: the kernel drops them without a notification when the device goes down. */
  leadsOver(device: string): boolean {
    return this.remoteNodes?.leadsOver(device) ?? false
  }

  /** Brings the kernel up to date once. Kinds with a failure are dirty again. */
  async pass(): Promise<PassReport> {
    this.#view.save()
    const taken = this.#dirt.take()
    try {
      const report = await this.#passOver(taken)
      const podNetwork = this.#podNetwork.value
      if (podNetwork.kind === 'there') await this.#refreshPods(podNetwork.network, taken.everything)
      return { ...report, againMs: this.#ways.fullInMs }
    } catch (error) {
      this.#dirt.markEverything()
      throw error
    }
  }

  async #passOver(taken: Taken): Promise<{ failed: number }> {
    const self = this.#view.self
    if (self === undefined) {
      const why = this.#view.isComplete
        ? `node ${this.#config.nodeName} has no pod CIDR yet`
        : 'the Kubernetes API has not answered yet'
      this.#podNetwork.set({ kind: 'absent', why })
      this.#problems = this.#view.problems
      // without a node of our own nothing can be planned: the first pass that has one must do everything
      this.#dirt.markEverything()
      return { failed: 0 }
    }
    const routing = this.#routing()
    const { remoteNodes, isNew: isNewContext } = await this.#context.update({
      self,
      routing,
      ports: this.#ports(),
      isUnderlayDirty: taken.underlay,
    })
    const isNewlyComplete = this.#view.isComplete && !this.#isComplete
    this.#isComplete = this.#view.isComplete
    const isNewlyLearned = this.#learned.isReady && !this.#isLearned
    this.#isLearned = this.#learned.isReady
    const { isAdvertising, sessionGuards } = this.#bgp()
    const isOtherwiseAdvertised = isAdvertising !== this.#isAdvertised
    this.#isAdvertised = isAdvertising
    const isAllDue = taken.everything || isNewContext || isNewlyComplete || isOtherwiseAdvertised
    const { changes, sinceMs } = this.#view.takeChanges()
    const learned = this.#learned.takeChanges()
    const { connected } = this.#context.underlay
    const inUse = isAllDue || taken.underlay || taken.ways ? remoteNodes.nextHops() : undefined
    const { ways: hops, error } = await this.#nextHops.update({ learned, connected, inUse })
    const delta = await this.#takeChanges(remoteNodes, { nodes: changes, hops, learned }, isAllDue)
    if (error !== undefined) throw error
    const routingFacts = { remoteNodes, isComplete: this.#isComplete, published: this.#view.published }
    const isTunnelDecided = this.#progress.decideTunnel(routingFacts, this.#context.underlay.hasTunnel)
    const isWhole = isAllDue || delta.isWholesale || isTunnelDecided
    const kinds = new Set([...taken.kinds, ...delta.failedKinds])
    if (JSON.stringify(sessionGuards) !== JSON.stringify(this.#guards)) kinds.add('table')
    this.#guards = sessionGuards
    // routes that an earlier agent learned stayed until now
    if (isNewlyLearned) kinds.add('route')
    const isSettled = this.#isComplete && this.#isLearned
    this.#problems = [...this.#view.problems, ...this.#context.problems(remoteNodes, this.#ports(), isSettled)]
    if (!isWhole && kinds.size === 0) {
      this.#progress.settle(routingFacts, delta.failedKinds)
      if (changes.length > 0) this.#onNodes(performance.now() - sinceMs)
      return { failed: await this.#checkWays(remoteNodes, taken.ways) }
    }
    const plan = this.#plan(remoteNodes)
    const podNetwork = podNetworkOf(plan, this.#config.settings)
    await this.#lowerPods(podNetwork)
    const { failed, failedKinds } = await this.#reconciler.apply(plan.network, {
      ...this.#compareOptions,
      ...(!isWhole && { kinds }),
    })
    // only after the reconciler: a pod that is wired needs its datapath's devices, and expects to reach all other pods
    const fault = this.#faultFor(plan)
    this.#podNetwork.set(fault === undefined ? podNetwork : { kind: 'absent', why: fault })
    this.#progress.tunnelApplied(plan.hasOverlay)
    if (this.#isComplete) this.#formerCIDRs = plan.formerCIDRs
    this.#progress.settle(routingFacts, failedKinds)
    this.#dirt.mark(...failedKinds)
    if (changes.length > 0 && failed === 0) this.#onNodes(performance.now() - sinceMs)
    return { failed: failed + (await this.#checkWays(remoteNodes, isWhole || taken.ways)) }
  }

  /** Asks the kernel whether packets take the ways of the plan. Returns 1 when routes seem to be gone, which the next pass then compares. */
  async #checkWays(remoteNodes: RemoteNodes, isFull: boolean): Promise<number> {
    const podDevice = this.#datapaths(this.#ports()).at(-1)?.podDevice
    if (podDevice === undefined) return 0
    const { isDoubtful } = await this.#ways.check({
      remoteNodes,
      podDevice,
      clusterCIDRs: this.#config.settings.clusterCIDRs,
      isFull,
      failedRoutes: new Set(this.failures.flatMap(({ kind, key }) => (kind === 'route' ? [key] : []))),
    })
    if (isDoubtful) this.#dirt.mark('sysctl', 'address', 'route')
    return isDoubtful ? 1 : 0
  }

  /** Why pods cannot be wired: the failed object that they need; undefined when none failed. */
  #faultFor({ neededByPods }: Plan): string | undefined {
    const failed = this.failures.find(({ kind, key }) =>
      neededByPods.some((needed) => needed.kind === kind && (needed.key === key || key === unreadKey)),
    )
    return failed && `${failed.kind} ${failed.key}: ${failed.message ?? ''}`
  }

  get #compareOptions(): CompareOptions {
    return { isComplete: this.#isComplete, keepsLearned: !this.#isLearned }
  }

  /** Before packets take a way with a lower MTU, gives that MTU to running pods and to those that are wired meanwhile. */
  async #lowerPods(podNetwork: PodNetworkState): Promise<void> {
    const before = this.#podNetwork.value
    if (podNetwork.kind === 'absent') return
    const { network } = podNetwork
    // the MTU that an earlier agent gave running pods is not known; new pods still wait for their datapath's devices
    if (before.kind === 'absent') return this.#refreshPods(network, false)
    if (!isLower(network, before.network)) return
    this.#podNetwork.set(podNetwork)
    await this.#refreshPods(network, false)
  }

  /** The changes that a whole pass would make now. */
  async preview(): Promise<PlannedChange[]> {
    if (this.remoteNodes === undefined) return []
    return this.#reconciler.preview(this.#plan(this.remoteNodes).network, this.#compareOptions)
  }

  #plan(remoteNodes: RemoteNodes): Plan {
    const ports = this.#ports()
    return planNetwork({
      remoteNodes,
      isComplete: this.#isComplete,
      keepsOverlay: this.#progress.isTunnelDue,
      underlay: this.#context.underlay.mtuBytes,
      raDevices: this.#context.underlay.raDevices,
      isAdvertised: this.#isAdvertised,
      formerCIDRs: this.#context.formerCIDRs,
      guards: this.#guards,
      ports,
      datapaths: this.#datapaths(ports),
      settings: this.#config.settings,
    })
  }

  /** Takes changed nodes and routes into the table, and writes the difference to the kernel unless a whole pass follows anyway. */
  async #takeChanges(
    remoteNodes: RemoteNodes,
    news: News,
    isWhole: boolean,
  ): Promise<{ isWholesale: boolean; failedKinds: ReadonlySet<ObjectKind> }> {
    const failedKinds = new Set<ObjectKind>()
    const former = this.#context.formerCIDRs
    const { hasTunnel } = this.#progress
    let isWholesale = false
    const deltas: NetworkDelta[] = []
    // all changes go into the table first: whatever fails afterwards, the next whole pass plans from all that is known
    for (const takeOver of portionsOf(news, remoteNodes, hasTunnel)) {
      const delta = takeOver()
      deltas.push(delta)
      isWholesale ||= delta.isWholesale || touches(delta, former)
      await setImmediate()
    }
    const cover = this.#cover.take(remoteNodes)
    if (isWhole || isWholesale) return { isWholesale, failedKinds }
    for (const delta of cover ? [...deltas, cover] : deltas) {
      const report = await this.#reconciler.applyDelta(delta, this.#compareOptions)
      for (const kind of report.failedKinds) failedKinds.add(kind)
      await setImmediate()
    }
    return { isWholesale, failedKinds }
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]()
    this.#nftables[Symbol.dispose]()
  }
}
