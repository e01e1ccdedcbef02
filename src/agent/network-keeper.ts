// Keeps this node's network as the cluster wants it: takes what became dirty, plans, and has it reconciled. docs/scale.md tells
// when a pass is a delta and when it reads the kernel.
import { setImmediate } from 'node:timers/promises'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type NetworkDelta, type NodeState, type PortState, type Problem } from '#/model/network.ts'
import { type PeerContext } from '#/plan/overlay.ts'
import { type NodeChange, PeerTable } from '#/plan/peers.ts'
import { type Plan, planNetwork } from '#/plan/network.ts'
import { type PodPorts } from '#/reconcile/link-driver.ts'
import { type OnChanges, type PlannedChange, Reconciler } from '#/reconcile/reconciler.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { type ClusterView } from './cluster-view.ts'
import { type AgentConfig } from './config.ts'
import { type Dirt, type Taken } from './dirt.ts'
import { allDrivers } from './drivers.ts'
import { type PodNetwork } from './pod-network.ts'
import { readUnderlay, type Underlay } from './underlay.ts'

/** Nodes that are planned, and routes that are written, before others on the event loop get their turn. */
const nodesPerTurn = 50

export type NetworkKeeperDeps = {
  readonly view: ClusterView
  readonly dirt: Dirt
  /** The pods of this node that are wired. */
  readonly ports: () => readonly PortState[]
  readonly pods: PodPorts
  /** What others have to tell along with it. */
  readonly otherProblems: () => readonly Problem[]
  readonly log: Logger
  /** Told of everything that is written to the kernel. */
  readonly onChanges: OnChanges
  /** Told when the kernel has what changed nodes ask for, with the time since the first of them changed. */
  readonly onNodes: (durationMs: number) => void
}

export class NetworkKeeper implements Disposable {
  readonly #config: AgentConfig
  readonly #view: ClusterView
  readonly #dirt: Dirt
  readonly #ports: () => readonly PortState[]
  readonly #otherProblems: () => readonly Problem[]
  readonly #log: Logger
  readonly #onNodes: (durationMs: number) => void
  readonly #netlink = new Netlink()
  readonly #nftables = new NftClient()
  readonly #reconciler: Reconciler
  #underlay: Underlay = { mtuBytes: {}, problems: [] }
  #self: NodeState | undefined
  #peers: PeerTable | undefined
  #isComplete = false
  #problems: readonly Problem[] = []
  /** What pods get, once a pass has made it; until then why there is nothing. */
  #podNetwork: PodNetwork | string = 'the agent has just started'

  constructor(config: AgentConfig, deps: NetworkKeeperDeps) {
    this.#config = config
    this.#view = deps.view
    this.#dirt = deps.dirt
    this.#ports = deps.ports
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

  get peers(): PeerTable | undefined {
    return this.#peers
  }

  wantsRoute(prefix: string): boolean {
    return this.#peers?.wantsRoute(prefix) ?? false
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
    const first = taken.everything || isNewContext || isNewlyComplete
    const { changes, sinceMs } = this.#view.takeChanges()
    const delta = await this.#takeNodes(peers, changes, first)
    const isWhole = first || delta.isWholesale
    const kinds = new Set([...taken.kinds, ...delta.failedKinds])
    if (!isWhole && kinds.size === 0) {
      this.#tell([...this.#view.problems, ...this.#underlay.problems, ...peers.problems])
      if (changes.length > 0) this.#onNodes(performance.now() - sinceMs)
      return { failed: 0 }
    }
    const plan = this.#plan(peers)
    this.#tell([...this.#view.problems, ...this.#underlay.problems, ...plan.problems])
    const { failed, failedKinds } = await this.#reconciler.apply(plan.network, {
      isComplete: this.#isComplete,
      ...(!isWhole && { kinds }),
    })
    // only now: a pod that is wired needs the bridge, and expects to reach all others
    this.#podNetwork = podNetworkOf(plan, this.#config)
    this.#dirt.mark(...failedKinds)
    if (changes.length > 0 && failed === 0) this.#onNodes(performance.now() - sinceMs)
    return { failed }
  }

  /** What a whole pass would change now. */
  async preview(): Promise<{ changes: PlannedChange[]; problems: readonly Problem[] }> {
    if (this.#peers === undefined) return { changes: [], problems: this.#problems }
    const plan = this.#plan(this.#peers)
    const changes = await this.#reconciler.preview(plan.network, { isComplete: this.#isComplete })
    return { changes, problems: this.#problems }
  }

  #plan(peers: PeerTable): Plan {
    return planNetwork({
      peers,
      isComplete: this.#isComplete,
      underlay: this.#underlay.mtuBytes,
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
    const context: PeerContext = { self, underlay: this.#underlay.mtuBytes, settings: this.#config.settings }
    const isSame = self === this.#self && sameMtu(before, this.#underlay)
    this.#self = self
    if (this.#peers && isSame) return { peers: this.#peers, isNewContext: false }
    if (this.#peers === undefined) this.#peers = new PeerTable(context)
    else for (const _ of this.#peers.changeContext(context, nodesPerTurn)) await setImmediate()
    return { peers: this.#peers, isNewContext: true }
  }

  /** Takes over changed nodes, and unless all is to be looked at anyway writes what they make different at once. */
  async #takeNodes(
    peers: PeerTable,
    changes: readonly NodeChange[],
    isWhole: boolean,
  ): Promise<{ isWholesale: boolean; failedKinds: ReadonlySet<string> }> {
    const failedKinds = new Set<string>()
    const former = formerCIDRs(this.#ports(), peers.self)
    let isWholesale = false
    const deltas: NetworkDelta[] = []
    // all of them into the table first: whatever fails afterwards, a whole pass then plans from all that is known
    for (let start = 0; start < changes.length; start += nodesPerTurn) {
      const delta = peers.update(changes.slice(start, start + nodesPerTurn))
      deltas.push(delta)
      isWholesale ||= delta.isWholesale || touches(delta, former)
      await setImmediate()
    }
    if (isWhole || isWholesale) return { isWholesale, failedKinds }
    for (const delta of deltas) {
      const report = await this.#reconciler.applyDelta(delta, { isComplete: this.#isComplete })
      for (const kind of report.failedKinds) failedKinds.add(kind)
      await setImmediate()
    }
    return { isWholesale, failedKinds }
  }

  /** Logs each problem when it appears and when it goes. */
  #tell(ofNetwork: readonly Problem[]): void {
    const problems = [...ofNetwork, ...this.#otherProblems()]
    const text = ({ object, message }: Problem): string => `${object}: ${message}`
    const before = new Set(this.#problems.map(text))
    const now = new Set(problems.map(text))
    for (const problem of problems)
      if (!before.has(text(problem))) this.#log.warn(problem.message, { object: problem.object })
    for (const problem of this.#problems) if (!now.has(text(problem))) this.#log.info('problem gone', { ...problem })
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
  return held.filter((cidr) => !self.podCIDRs.some((each) => each.equals(cidr)))
}

function touches({ routes }: NetworkDelta, cidrs: readonly Prefix[]): boolean {
  if (cidrs.length === 0) return false
  return [...routes.keys()].some((key) => cidrs.some((cidr) => cidr.overlaps(Prefix.parse(key))))
}

function sameMtu(a: Underlay, b: Underlay): boolean {
  return a.mtuBytes[4] === b.mtuBytes[4] && a.mtuBytes[6] === b.mtuBytes[6]
}

/** Pods get the underlay's MTU on their device and the tunnel's on the routes that lead through it. */
function podNetworkOf(plan: Plan, { settings }: AgentConfig): PodNetwork | string {
  if (plan.podCIDRs.length === 0) return 'no pod CIDR of this node can be used: "causeway status" says why'
  return {
    podCIDRs: plan.podCIDRs,
    overlay: settings.clusterCIDRs.flatMap((dst) => {
      const mtuBytes = plan.overlayMtuBytes[dst.family]
      return mtuBytes === undefined ? [] : [{ dst, mtuBytes }]
    }),
    deviceMtuBytes: plan.deviceMtuBytes,
  }
}
