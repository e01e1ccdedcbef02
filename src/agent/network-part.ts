// The network of this node: starts the passes that bring it up to date, gives them their input, and tells other parts the outcome.
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { type EbpfState } from '#/datapath/programs.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { watchKernel } from '#/kernel/notifications.ts'
import { type Latest, Signal } from '#/lib/signal.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type NetworkSettings } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type OnChanges } from '#/reconcile/reconciler.ts'
import { type BgpPart } from './bgp-part.ts'
import { type ClusterPart } from './cluster-part.ts'
import { type DirtySet } from './network/dirty-set.ts'
import { factsOf } from './cluster/node-facts.ts'
import { KernelWatch } from './network/kernel-watch.ts'
import { isPort, NotificationReader } from './network/notification-reader.ts'
import { notInstalledOf } from './network/not-installed.ts'
import { NeighbourRoom } from './network/neighbour-room.ts'
import { NetworkKeeper } from './network/network-keeper.ts'
import { type PodsPart } from './pods-part.ts'
import { type PolicyPart } from './policy-part.ts'
import { type Peers, Probing } from './probing/probing.ts'
import { defaultTimes, type PassReport, ReconcileLoop, type Urgency } from './network/reconcile-loop.ts'

export type NetworkPartConfig = {
  readonly nodeName: string
  readonly settings: NetworkSettings
  readonly probeIntervalMs: number
}

export type NetworkPartDeps = {
  readonly netlink: Netlink
  readonly cluster: ClusterPart
  readonly policy: Pick<PolicyPart, 'noteTableChange' | 'portIds'>
  readonly pods: PodsPart
  readonly bgp: BgpPart
  readonly ebpf?: EbpfState
  readonly dirt: DirtySet
  readonly wake: Signal<Urgency>
  /** The network that pods get. This part keeps it up to date. */
  readonly podNetwork: Latest<PodNetworkState>
  /** Why a learned route is not in the kernel or not used there, by prefix. This part keeps it up to date. */
  readonly notInstalled: Latest<ReadonlyMap<string, string>>
  readonly log: Logger
}

/** What other parts may read of the network. */
export type NetworkState = Pick<
  NetworkKeeper,
  | 'formerCIDRs'
  | 'objects'
  | 'failures'
  | 'cuts'
  | 'untoldRouting'
  | 'routingState'
  | 'verdicts'
  | 'remoteNodes'
  | 'preview'
>

export class NetworkPart implements AsyncDisposable {
  readonly #deps: NetworkPartDeps
  readonly #made = new AsyncDisposableStack()
  readonly #loop: ReconcileLoop
  readonly #keeper: NetworkKeeper
  /** Emitted after each pass, also a failed one, with its duration. */
  readonly passEnded = new Signal<{ readonly durationMs: number }>()
  /** Emitted when changes were written to the kernel. */
  readonly changed = new Signal<Parameters<OnChanges>>()
  /** Emitted when the kernel has what changed nodes require, with the time since the first of them changed. */
  readonly nodesDone = new Signal<{ readonly durationMs: number }>()
  readonly #kernelWatch: KernelWatch
  readonly #probing: Probing
  readonly #neighbourRoom: NeighbourRoom
  #passError: string | undefined

  constructor(config: NetworkPartConfig, deps: NetworkPartDeps) {
    this.#deps = deps
    const { cluster, pods, bgp, dirt, wake, podNetwork, log } = deps
    this.#keeper = this.#made.use(
      new NetworkKeeper(config, {
        view: cluster.view,
        dirt,
        ports: () => pods.ports,
        pods: pods.portCalls,
        ebpf: deps.ebpf,
        // what was published last is all that is known of pods then
        keptCIDRs: () => (pods.isStateLost && cluster.ownNode ? factsOf(cluster.ownNode).formerCIDRs : []),
        datapaths: (ports) => pods.plansFor(ports),
        routing: () => cluster.routing,
        learned: bgp.learned,
        bgp: () => bgp.state,
        refreshPods: (network, isFull) => pods.refresh(network, isFull),
        podNetwork,
        onChanges: (...change) => this.changed.emit(change),
        onNodes: (durationMs) => this.nodesDone.emit({ durationMs }),
        log,
      }),
    )
    this.#loop = this.#made.use(
      new ReconcileLoop(defaultTimes, {
        pass: () => this.#pass(),
        onResync: () => dirt.markEverything(),
        log,
      }),
    )
    this.#kernelWatch = this.#made.use(
      new KernelWatch({
        open: (onEnd) => this.#openWatch(onEnd),
        onReopened: () => {
          dirt.markEverything()
          deps.policy.noteTableChange()
          this.#loop.trigger('soon')
        },
        log,
      }),
    )
    this.#probing = this.#made.use(
      new Probing({
        nodeName: config.nodeName,
        everyMs: config.probeIntervalMs,
        peers: () => this.#peers,
        isLive: (name) => isLive(cluster.nodes.objects.get(name)),
        isLifeKnown: () => cluster.apiStatus.lastError === undefined,
        onChange: () => wake.emit('later'),
        log,
      }),
    )
    this.#neighbourRoom = this.#made.use(new NeighbourRoom({ onChange: () => wake.emit('later'), log }))
    wake.subscribe((urgency) => this.#loop.trigger(urgency))
  }

  /** Starts to watch the kernel, whose changes cause passes from now on, and what comes from other nodes. */
  watch(): void {
    this.#kernelWatch.start()
    this.#probing.start()
    this.#neighbourRoom.start()
  }

  #openWatch(onEnd: (error: unknown) => void): Disposable {
    const { dirt, netlink, pods, policy } = this.#deps
    const reader = new NotificationReader(dirt, {
      wantsRoute: (prefix) => this.#keeper.wantsRoute(prefix),
      mayDivert: (route) => this.#keeper.mayDivert(route),
      mayLeadToNodes: (prefix) => this.#keeper.mayLeadToNodes(prefix),
      leadsOver: (device) => this.#keeper.leadsOver(device),
      notePolicyTable: () => policy.noteTableChange(),
    })
    const watch = watchKernel(
      new Set([...pods.portIds, ...policy.portIds, ...this.#keeper.portIds]),
      (notification) => {
        const urgency = reader.read(notification)
        if (urgency) this.#loop.trigger(urgency)
      },
      onEnd,
      isPort,
    )
    reader.learn(listLinks(netlink))
    return watch
  }

  /** The network as the last pass left it. */
  get state(): NetworkState {
    return this.#keeper
  }

  /** Why the last pass ended before it had looked at everything; undefined when it did not. What was found before may be old then. */
  get passError(): string | undefined {
    return this.#passError
  }

  /** What is wrong with the network of this node, and with this agent's view of it. */
  get problems(): readonly Problem[] {
    const { lost } = this.#kernelWatch
    const ofWatch = lost === undefined ? [] : [problem('CW9004', 'agent/kernel-notifications', lost)]
    return [...this.#keeper.problems, ...this.#probing.problems, ...this.#neighbourRoom.problems, ...ofWatch]
  }

  /** What probes tell of the ways to other nodes. */
  get probing(): Pick<Probing, 'report' | 'probe' | 'status' | 'ways' | 'problems' | 'lasting'> {
    return this.#probing
  }

  get #peers(): Peers | undefined {
    const { remoteNodes } = this.#keeper
    if (remoteNodes === undefined) return undefined
    const { self, plans, verdicts } = remoteNodes
    const isNear = (node: string): boolean =>
      plans.get(node)?.tunnelEnds.some((addr) => remoteNodes.wayTo(addr)?.kind === 'link') ?? false
    return { self, plans, verdicts, isNear }
  }

  /** Why this node reaches no other node, or none answers it; undefined when some may be reached, or there is no other. */
  get isolation(): string | undefined {
    return this.#keeper.isolation ?? this.#probing.isolation
  }

  /** By prefix, why a learned route is not in the kernel or not used there, as the last pass left it. */
  get notInstalled(): ReadonlyMap<string, string> {
    return this.#deps.notInstalled.value
  }

  /** Runs a pass at once; resolves when it is over, even if it failed. */
  passNow(): Promise<void> {
    return this.#loop.runNow()
  }

  /** How long the current pass has been running; 0 when none runs. */
  get passRunningMs(): number {
    return this.#loop.runningMs
  }

  async #pass(): Promise<PassReport> {
    const startedMs = performance.now()
    try {
      await this.#deps.pods.decideDatapath()
      const report = await this.#keeper.pass()
      const { bgp, notInstalled } = this.#deps
      notInstalled.set(
        notInstalledOf({
          planned: this.#keeper.remoteNodes?.notInstalled ?? new Map(),
          failures: this.#keeper.failures,
          isLearned: (prefix) => bgp.learned.has(prefix),
        }),
      )
      if (this.#keeper.remoteNodes) bgp.takeNetwork(this.#keeper.reach, this.#keeper.remoteNodes)
      this.#passError = undefined
      return report
    } catch (error) {
      this.#passError = messageOf(error)
      throw error
    } finally {
      this.passEnded.emit({ durationMs: performance.now() - startedMs })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

/** Whether an answer can be expected from a node: an agent can run on it, and its kubelet says that it is well. */
function isLive(node: KubeNode | undefined): boolean {
  if (node === undefined) return false
  const { life, lacksAgent } = factsOf(node)
  return life.sign === 'ready' && lacksAgent === undefined
}
