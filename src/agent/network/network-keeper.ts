// Keeps this node's network as the cluster wants it: takes what became dirty, plans, and has it reconciled. docs/scale.md tells
// when a pass is a delta and when it reads the kernel.
import { setImmediate } from 'node:timers/promises'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { isLower, type PodNetwork, type PodNetworkState } from '#/datapath/datapath.ts'
import { type PodPorts } from '#/datapath/port-driver.ts'
import { type LearnedRouteChange } from '#/model/bgp.ts'
import { type NetworkDelta, type NetworkSettings, type PortState } from '#/model/network.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { type Problem } from '#/model/problems.ts'
import { type Routing, type RoutingState } from '#/model/routing.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type PlannedDatapath } from '#/plan/datapath-plan.ts'
import { type Plan, planNetwork } from '#/plan/network.ts'
import { type NodeChange, type RemoteNodes } from '#/plan/remote-nodes.ts'
import { routingProblems } from '#/plan/routing-problems.ts'
import { routingStateFor } from '#/plan/routing-state.ts'
import { type CompareOptions } from '#/reconcile/driver.ts'
import { type OnChanges, type PlannedChange, Reconciler, unreadKey } from '#/reconcile/reconciler.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { type ClusterView } from '../cluster/cluster-view.ts'
import { type DirtySet, type Taken } from './dirty-set.ts'
import { allDrivers } from './drivers.ts'
import { isolationOf } from './isolation.ts'
import { type LearnedRoutes, nothingLearned } from './learned-route-source.ts'
import { TunnelLifetime } from './tunnel-lifetime.ts'
import { NetworkContext, nodesPerTurn } from './network-context.ts'

export type NetworkKeeperDeps = {
  readonly view: ClusterView
  readonly dirt: DirtySet
  /** The pods of this node that are wired. */
  readonly ports: () => readonly PortState[]
  readonly pods: PodPorts
  /** The datapaths that these pods of this node have, and the one that new pods get. */
  readonly datapaths: (ports: readonly PortState[]) => readonly PlannedDatapath[]
  /** The routing that is asked for, whoever asks. */
  readonly routing: () => Routing
  /** Absent when there is no BGP. */
  readonly learned?: LearnedRoutes
  /** Whether routers are told of this node's pod CIDRs. */
  readonly isAdvertised?: () => boolean
  /** Gives pods that run their MTU. It is awaited where the MTU sinks, before packets take the narrower way. */
  readonly refreshPods?: (network: PodNetwork) => Promise<void>
  /** Called with what pods get whenever that is decided, before any pod is told of it. */
  readonly onPodNetwork?: (state: PodNetworkState) => void
  readonly log: Logger
  /** Called for everything that is written to the kernel. */
  readonly onChanges: OnChanges
  /** Called when the kernel has what changed nodes ask for, with the time since the first of them changed. */
  readonly onNodes: (durationMs: number) => void
  /** Monotonic. */
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
  readonly #advertises: () => boolean
  readonly #refreshPods: (network: PodNetwork) => Promise<void>
  readonly #overlayLife: TunnelLifetime
  readonly #onPodNetwork: (state: PodNetworkState) => void
  readonly #onNodes: (durationMs: number) => void
  readonly #netlink = new Netlink()
  readonly #nftables = new NftClient()
  readonly #reconciler: Reconciler
  readonly #context: NetworkContext
  #isComplete = false
  #isLearned = false
  #isAdvertised = false
  #isOverlayDue = true
  #hasOverlay = false
  #routingState: RoutingState | undefined
  #problems: readonly Problem[] = []
  /** What pods get, once a pass has made it; until then why there is nothing. */
  #podNetwork: PodNetworkState = { kind: 'absent', why: 'the agent has just started' }

  constructor(config: NetworkKeeperConfig, deps: NetworkKeeperDeps) {
    this.#config = config
    this.#datapaths = deps.datapaths
    this.#context = new NetworkContext(this.#netlink, config.settings)
    this.#view = deps.view
    this.#dirt = deps.dirt
    this.#ports = deps.ports
    this.#routing = deps.routing
    this.#learned = deps.learned ?? nothingLearned
    this.#advertises = deps.isAdvertised ?? (() => false)
    this.#refreshPods = deps.refreshPods ?? (async () => {})
    this.#overlayLife = new TunnelLifetime({ nowMs: deps.nowMs ?? (() => performance.now()) })
    this.#onPodNetwork = deps.onPodNetwork ?? (() => {})
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

  get podNetwork(): PodNetworkState {
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
    const byText = new Map(this.#context.underlay.connected.map(({ prefix }) => [String(prefix), prefix]))
    return [...byText.values()].toSorted((a, b) => a.compare(b))
  }

  /** Why no other node is reached from here; undefined when one may be, or there is none. */
  get isolation(): string | undefined {
    const { mtuBytes, problems } = this.#context.underlay
    return isolationOf({
      plans: this.remoteNodes?.plans ?? new Map(),
      hasUnderlay: Object.keys(mtuBytes).length > 0,
      problems,
      failures: this.failures,
    })
  }

  get remoteNodes(): RemoteNodes | undefined {
    return this.#context.remoteNodes
  }

  /** Which way packets go to each pod CIDR of another node, and why; sorted by CIDR. */
  get verdicts(): readonly Verdict[] {
    return [...(this.remoteNodes?.verdicts ?? [])].toSorted((a, b) => a.dst.compare(b.dst))
  }

  /** How this node crosses to others, as it is in the kernel; undefined while that is not known well enough to be told. */
  get routingState(): RoutingState | undefined {
    // a restarted agent does not tell the others of ways that it has only until BGP has told its own
    return this.#isLearned || this.#view.published === undefined ? this.#routingState : undefined
  }

  /** Why others may take this node for another than it is; undefined when they do not. */
  get untoldRouting(): string | undefined {
    const routing = this.remoteNodes?.routing ?? 'vxlan'
    // without the API nothing can be told, and what stood there before still stands
    if (routing === 'vxlan' || this.#view.published !== undefined || !this.#isComplete) return undefined
    return `its Node object does not say yet that its routing is ${routing}`
  }

  wantsRoute(prefix: string): boolean {
    return this.remoteNodes?.wantsRoute(prefix) ?? false
  }

  /** Whether routes of ours lead over the device that the kernel drops, without a word, when it goes down. */
  leadsOver(device: string): boolean {
    return this.remoteNodes?.leadsOver(device) ?? false
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
      const why = this.#view.isComplete
        ? `node ${this.#config.nodeName} has no pod CIDR yet`
        : 'the Kubernetes API has not answered yet'
      this.#setPodNetwork({ kind: 'absent', why })
      this.#problems = this.#view.problems
      // whatever it was about, it is all to be done once there is something to do
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
    const isOtherwiseAdvertised = this.#advertises() !== this.#isAdvertised
    this.#isAdvertised = this.#advertises()
    const isAllDue = taken.everything || isNewContext || isNewlyComplete || isNewlyLearned || isOtherwiseAdvertised
    const { changes, sinceMs } = this.#view.takeChanges()
    const delta = await this.#takeChanges(remoteNodes, changes, this.#learned.takeChanges(), isAllDue)
    const isOverlayDue = this.#overlayLife.isDue({
      // a route that could not be changed still leads through it
      isNeeded: remoteNodes.needsOverlay || this.#routingState?.sends.includes('vxlan') === true,
      isComplete: this.#isComplete,
      hasDevice: this.#hasOverlay || this.#context.underlay.hasTunnel,
      published: this.#view.published,
    })
    const isWhole = isAllDue || delta.isWholesale || isOverlayDue !== this.#isOverlayDue
    this.#isOverlayDue = isOverlayDue
    const kinds = new Set([...taken.kinds, ...delta.failedKinds])
    if (!isWhole && kinds.size === 0) {
      this.#settleRouting(remoteNodes, delta.failedKinds)
      this.#problems = [...this.#ownProblems(remoteNodes), ...remoteNodes.problems]
      if (changes.length > 0) this.#onNodes(performance.now() - sinceMs)
      return { failed: 0 }
    }
    const plan = this.#plan(remoteNodes)
    const podNetwork = podNetworkOf(plan, this.#config.settings)
    this.#problems = [...this.#ownProblems(remoteNodes), ...plan.problems]
    await this.#lowerPods(podNetwork)
    const { failed, failedKinds } = await this.#reconciler.apply(plan.network, {
      ...this.#compareOptions,
      ...(!isWhole && { kinds }),
    })
    // only now: a pod that is wired needs the devices of its datapath, and expects to reach all others
    const fault = this.#faultFor(plan)
    this.#setPodNetwork(fault === undefined ? podNetwork : { kind: 'absent', why: fault })
    this.#hasOverlay = plan.hasOverlay
    this.#settleRouting(remoteNodes, failedKinds)
    this.#dirt.mark(...failedKinds)
    if (changes.length > 0 && failed === 0) this.#onNodes(performance.now() - sinceMs)
    return { failed }
  }

  /** Why pods have nothing to be wired to. */
  #faultFor({ neededByPods }: Plan): string | undefined {
    const failed = this.failures.find(({ kind, key }) =>
      neededByPods.some((needed) => needed.kind === kind && (needed.key === key || key === unreadKey)),
    )
    return failed && `${failed.kind} ${failed.key}: ${failed.message ?? ''}`
  }

  get #compareOptions(): CompareOptions {
    return { isComplete: this.#isComplete, keepsLearned: !this.#isLearned }
  }

  /** Where a narrower way is to come, pods must know before the first packet takes it; those that are wired meanwhile too. */
  async #lowerPods(podNetwork: PodNetworkState): Promise<void> {
    const before = this.#podNetwork
    if (podNetwork.kind === 'absent') return
    const { network } = podNetwork
    // what an earlier agent gave them is not known; to be wired, pods still have to wait for their datapath's devices
    if (before.kind === 'absent') return this.#refreshPods(network)
    if (!isLower(network, before.network)) return
    this.#setPodNetwork(podNetwork)
    await this.#refreshPods(network)
  }

  #settleRouting(remoteNodes: RemoteNodes, failedKinds: ReadonlySet<ObjectKind>): void {
    if (!this.#isComplete) return
    this.#routingState = routingStateFor({
      mode: remoteNodes.routing,
      counts: remoteNodes.wayCounts,
      needsOverlay: remoteNodes.needsOverlay,
      hasOverlay: this.#hasOverlay,
      failedKinds,
      before: this.#routingState ?? this.#view.published,
    })
  }

  #ownProblems(remoteNodes: RemoteNodes): Problem[] {
    const { problems, strictDevices } = this.#context.underlay
    const isSettled = this.#isComplete && this.#isLearned
    return [...this.#view.problems, ...problems, ...routingProblems(remoteNodes, { strictDevices, isSettled })]
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
      keepsOverlay: this.#isOverlayDue,
      underlay: this.#context.underlay.mtuBytes,
      raDevices: this.#context.underlay.raDevices,
      isAdvertised: this.#isAdvertised,
      ports,
      datapaths: this.#datapaths(ports),
      settings: this.#config.settings,
    })
  }

  /** Takes over changed nodes and routes, and unless all is to be looked at anyway writes what they make different at once. */
  async #takeChanges(
    remoteNodes: RemoteNodes,
    nodes: readonly NodeChange[],
    learned: readonly LearnedRouteChange[],
    isWhole: boolean,
  ): Promise<{ isWholesale: boolean; failedKinds: ReadonlySet<ObjectKind> }> {
    const failedKinds = new Set<ObjectKind>()
    const former = this.#context.formerCIDRs
    let isWholesale = false
    const deltas: NetworkDelta[] = []
    // all of them into the table first: whatever fails afterwards, a whole pass then plans from all that is known
    const portions = [
      ...batchesOf(nodes).map((portion) => () => remoteNodes.update(portion, this.#hasOverlay)),
      ...batchesOf(learned).map((portion) => () => remoteNodes.updateLearned(portion, this.#hasOverlay)),
    ]
    for (const takeOver of portions) {
      const delta = takeOver()
      deltas.push(delta)
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

  #setPodNetwork(state: PodNetworkState): void {
    this.#podNetwork = state
    this.#onPodNetwork(state)
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]()
    this.#nftables[Symbol.dispose]()
  }
}

function batchesOf<T>(changes: readonly T[]): T[][] {
  const count = Math.ceil(changes.length / nodesPerTurn)
  return Array.from({ length: count }, (_, index) => changes.slice(index * nodesPerTurn, (index + 1) * nodesPerTurn))
}

function touches({ routes }: NetworkDelta, cidrs: readonly Prefix[]): boolean {
  if (cidrs.length === 0) return false
  return [...routes.keys()].some((key) => cidrs.some((cidr) => cidr.overlaps(Prefix.parse(key))))
}

/** Pods get the underlay's MTU on their device and the tunnel's, as long as there is one, on the routes to other pods. */
function podNetworkOf(plan: Plan, settings: NetworkSettings): PodNetworkState {
  const { podCIDRs, podMtuBytes, deviceMtuBytes } = plan
  if (podCIDRs.length === 0)
    return { kind: 'absent', why: 'no pod CIDR of this node can be used: "causeway status" says why' }
  const overlay = settings.clusterCIDRs.flatMap((dst) => {
    const mtuBytes = podMtuBytes[dst.family]
    return mtuBytes === undefined ? [] : [{ dst, mtuBytes }]
  })
  return { kind: 'there', network: { podCIDRs, overlay, deviceMtuBytes } }
}
