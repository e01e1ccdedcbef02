// Everything that this agent reports: its API, its Node object, Events, metrics, and the container runtime's configuration. It reads
// the other parts and changes nothing in them.
import { type ApiClient } from '#/cluster/client.ts'
import { EventRecorder } from '#/cluster/event-recorder.ts'
import { type DeniedPacket, type EbpfState, readDenied } from '#/datapath/programs.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Signal } from '#/lib/signal.ts'
import { hasHadAgent } from '#/model/node-life.ts'
import { oneOfEach, type Problem, problem, problemId } from '#/model/problems.ts'
import { objectKinds } from '#/model/object-kinds.ts'
import { problemsOfObjects } from '#/reconcile/object-problem.ts'
import { agentPlan, agentStatus, allProblems, type Told } from './report/agent-status.ts'
import { datapathHandlers } from './report/datapath-api.ts'
import { registerDatapathMetrics } from './report/datapath-metrics.ts'
import { DatapathView } from './report/datapath-view.ts'
import { registerBgpMetrics } from './report/bgp-metrics.ts'
import { type BgpPart } from './bgp-part.ts'
import { type ClusterPart } from './cluster-part.ts'
import { CniInstaller } from './cni-install/installer.ts'
import { type AgentConfig, settingProblems } from './config.ts'
import { datapathPublisher } from './report/datapath-publisher.ts'
import { formerCIDRsPublisher } from './report/former-cidrs-publisher.ts'
import { factsHandlers } from './report/facts/api.ts'
import { type FactsSources } from './report/facts/node.ts'
import { flannelPublisher } from './report/flannel-publisher.ts'
import { AgentApi, type Handlers } from './report/http-api.ts'
import { AgentMetrics } from './report/metrics.ts'
import { type NetworkPart } from './network-part.ts'
import { nodeCondition } from './report/node-condition.ts'
import { NodeEvents } from './report/node-events.ts'
import { nodeSummary } from './report/node-summary.ts'
import { PathEvents } from './report/path-events.ts'
import { pathsCondition } from './report/paths-condition.ts'
import { type NodePatcher } from './report/node-patcher.ts'
import { type PodsPart } from './pods-part.ts'
import { type PolicyPart } from './policy-part.ts'
import { peersHandlers } from './report/peers-api.ts'
import { registerProbeMetrics } from './report/probe-metrics.ts'
import { probeHandlers } from './report/probes.ts'
import { ProblemLog } from './report/problem-log.ts'
import { ProblemTimes } from './report/problem-metrics.ts'
import { type Readiness } from '#/model/readiness.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { podsHandlers } from './report/pods-search.ts'
import { nodeCIDRs } from '#/predict/cidr-node.ts'
import { policyHandlers } from './report/policy-api.ts'
import { registerPolicyMetrics } from './report/policy-metrics.ts'
import { PolicyReport } from './report/policy-report.ts'
import { registerPolicyStateMetrics } from './report/policy-state-metrics.ts'
import { cidrDepsOf, predictDepsOf } from './report/predict/deps.ts'
import { readinessOf, unreadiness } from './report/readiness.ts'
import { type DirtySet } from './network/dirty-set.ts'
import { type Urgency } from './network/reconcile-loop.ts'
import { routingPublisher } from './report/routing-publisher.ts'
import { tracePredictHandlers } from './report/trace-predict.ts'
import { TraceSend, type TraceSources } from './report/trace-send.ts'
import { TraceWatch } from './report/trace-watch.ts'

const httpRetryMs = 10_000

export type ReportingPartDeps = {
  /** For synchronous requests only. */
  readonly netlink: Netlink
  readonly ebpf: EbpfState
  readonly client: ApiClient
  readonly cluster: ClusterPart
  readonly policy: PolicyPart
  /** Packets that policies deny and programs tell. */
  readonly deniedEarly: Signal<DeniedPacket>
  readonly pods: PodsPart
  readonly network: NetworkPart
  readonly bgp: BgpPart
  readonly dirt: DirtySet
  readonly wake: Signal<Urgency>
  readonly log: Logger
}

export class ReportingPart implements AsyncDisposable {
  readonly #config: AgentConfig
  readonly #deps: ReportingPartDeps
  readonly #stack = new AsyncDisposableStack()
  readonly #metrics: AgentMetrics
  readonly #datapath: DatapathView
  readonly #policy: PolicyReport
  readonly #traceSend: TraceSend
  readonly #traceWatch: TraceWatch
  readonly #patchers: readonly NodePatcher[]
  readonly #nodeEvents: NodeEvents
  readonly #pathEvents: PathEvents
  readonly #problemLog: ProblemLog
  readonly #problemTimes = new ProblemTimes()
  readonly #cniInstaller: CniInstaller | undefined
  readonly #httpApi: AgentApi | undefined
  #httpProblem: Problem | undefined
  #httpRetry: NodeJS.Timeout | undefined

  constructor(config: AgentConfig, deps: ReportingPartDeps) {
    this.#config = config
    this.#deps = deps
    const { client, cluster, network, pods, wake, log } = deps
    this.#problemLog = new ProblemLog(log)
    this.#datapath = this.#stack.use(this.#makeDatapathView())
    this.#policy = this.#stack.use(
      new PolicyReport({
        nodeName: config.nodeName,
        policy: deps.policy,
        deniedEarly: deps.deniedEarly,
        readDeniedEarly: () => {
          const { generation } = this.#datapath
          return generation === undefined ? [] : readDenied(generation)
        },
        hasConnection: (ends) => deps.pods.hasConnection(ends),
        log,
      }),
    )
    const traced = this.#traceSources()
    this.#traceSend = this.#stack.use(new TraceSend(traced))
    this.#traceWatch = new TraceWatch({ sources: traced, vxlanPort: () => config.settings.vxlanPort, log })
    this.#metrics = this.#stack.use(this.#makeMetrics())
    this.#httpApi =
      config.httpPort === undefined ? undefined : this.#stack.use(new AgentApi({ port: config.httpPort }, { log }))
    this.#stack.defer(() => clearTimeout(this.#httpRetry))
    const recorder = this.#stack.use(
      new EventRecorder({ component: 'causeway-agent', instance: config.nodeName }, { client, log }),
    )
    const node = () => cluster.ownNode
    this.#nodeEvents = this.#stack.use(new NodeEvents(config.nodeName, { node, recorder }))
    this.#pathEvents = this.#stack.use(new PathEvents({ node, recorder }))
    const ofNode = { client, node, outage: client.outage, log }
    this.#patchers = [
      routingPublisher({ ...ofNode, state: () => network.state.routingState }),
      datapathPublisher({ ...ofNode, state: () => pods.datapathState }),
      formerCIDRsPublisher({ ...ofNode, formerCIDRs: () => network.state.formerCIDRs }),
      nodeCondition({ ...ofNode, trouble: () => unreadiness(this.readiness) }),
      pathsCondition({ ...ofNode, problems: () => network.probing.lasting }),
      ...(config.flannelInterop ? [flannelPublisher(config.settings.vni, ofNode)] : []),
    ]
    for (const patcher of this.#patchers) this.#stack.use(patcher)
    this.#cniInstaller =
      config.cniInstall &&
      this.#stack.use(
        new CniInstaller(config.cniInstall, {
          canServe: () => pods.network.kind === 'there',
          onChange: () => wake.emit('later'),
          log,
        }),
      )
    network.passEnded.subscribe(({ durationMs }) => {
      this.#metrics.passEnded(durationMs)
      this.#tell()
    })
    network.changed.subscribe((change) => this.#metrics.changesMade(...change))
    network.nodesDone.subscribe(({ durationMs }) => this.#metrics.nodesChanged(durationMs))
  }

  /** Counts a CNI call. */
  countAnswer(command: string, code: number, durationMs: number): void {
    this.#metrics.answered(command, code, durationMs)
  }

  /** Whether this node is ready for pods. Everything that reports readiness reads this. */
  get readiness(): Readiness {
    const { policy, pods, network } = this.#deps
    const { cuts, untoldRouting } = network.state
    return readinessOf({
      nodeName: this.#config.nodeName,
      podNetwork: pods.network,
      shortage: pods.shortage,
      policyRefusal: policy.refusal,
      failures: this.#failures,
      isolation: network.isolation,
      cuts,
      untoldRouting,
      passError: network.passError,
      problems: this.problems,
    })
  }

  /** Kernel objects in error. */
  get #failures(): readonly ObjectStatus[] {
    const { policy, network } = this.#deps
    return [...network.state.failures, ...policy.objects.filter(({ state }) => state === 'error')]
  }

  /** The problems of all parts. */
  get problems(): readonly Problem[] {
    const { cluster, policy, pods, network, bgp } = this.#deps
    return oneOfEach([
      ...settingProblems(this.#config),
      ...network.problems,
      ...policy.problems,
      ...this.#policy.problems,
      ...pods.problems,
      ...cluster.problems,
      ...bgp.state.problems,
      ...this.#datapath.problems,
      ...(this.#cniInstaller?.problems ?? []),
      ...(this.#httpProblem ? [this.#httpProblem] : []),
    ])
  }

  get #told(): Told {
    return { readiness: this.readiness, problems: this.problems, failures: this.#failures }
  }

  /** All that status tells, each once. */
  get #problemsAndReasons(): readonly Problem[] {
    const told = this.#told
    return oneOfEach([...allProblems(told), ...told.readiness.reasons])
  }

  /** The operations that the agent serves on its socket. */
  get handlers(): Handlers {
    const { pods, bgp } = this.#deps
    return {
      status: () => ({ status: 200, body: agentStatus(this.#config, this.#deps, this.#told) }),
      summary: async () => ({ status: 200, body: await nodeSummary(this.#config, this.#deps, this.#told) }),
      plan: async () => ({ status: 200, body: await agentPlan(this.#config, this.#deps, this.problems) }),
      ipam: () => ({ status: 200, body: pods.ipam.show() }),
      ipamCheck: async () => ({ status: 200, body: await pods.ipam.check() }),
      ipamRelease: (wish) => pods.ipam.release(wish),
      ...bgp.state.handlers,
      ...datapathHandlers(this.#datapath),
      ...policyHandlers(this.#policy.sources, this.#policy.listener),
      ...tracePredictHandlers(
        predictDepsOf(this.#config, this.#deps, {
          generation: () => this.#datapath.generation,
          policy: this.#policy.sources,
        }),
      ),
      ...factsHandlers(this.#factsSources()),
      ...peersHandlers(this.#deps.network.probing),
      ...podsHandlers(this.#traceSources()),
      ...this.#traceSend.handlers,
      ...this.#traceWatch.handlers,
      ...this.#publicHandlers,
    }
  }

  /** The operations that the agent also serves over TCP. */
  get #publicHandlers(): Handlers {
    return {
      ...probeHandlers({ readiness: () => this.readiness, passRunningMs: () => this.#deps.network.passRunningMs }),
      metrics: async () => ({ status: 200, body: await this.#metrics.registry.render() }),
    }
  }

  /**
   * Listens on the TCP port for health and metrics. When another process has the port, the agent starts all the same and tries again
   * later; until then probes of the port get no answer.
   */
  async listenForHttp(): Promise<void> {
    try {
      await this.#httpApi?.start(this.#publicHandlers)
      this.#httpProblem = undefined
    } catch (error) {
      if (this.#httpProblem === undefined)
        this.#deps.log.error('no health and metrics over TCP', { error: messageOf(error) })
      this.#httpProblem = problem('CW9001', `port/${this.#config.httpPort}`, messageOf(error))
      this.#httpRetry = setTimeout(() => void this.listenForHttp(), httpRetryMs)
    }
  }

  /** Starts to look at what the programs count, and to install the CNI plugin and its configuration for the node's container runtime. */
  start(): void {
    this.#datapath.start()
    this.#cniInstaller?.start()
  }

  /** Reports the result of a pass: to the log, the container runtime's configuration, the Node object, and Events. */
  #tell(): void {
    const { problems } = this
    this.#problemLog.update(problems)
    this.#problemTimes.notice(this.#problemsAndReasons)
    this.#cniInstaller?.notice()
    for (const patcher of this.#patchers) patcher.notice()
    const ofNode = this.#failures.filter(({ kind }) => objectKinds[kind].node !== 'pod')
    const { lasting, problems: ofPaths } = this.#deps.network.probing
    this.#pathEvents.update(lasting)
    const ids = new Set(ofPaths.map(problemId))
    const others = problems.filter((each) => !ids.has(problemId(each)))
    this.#nodeEvents.update([...others, ...problemsOfObjects(ofNode)])
  }

  #makeMetrics(): AgentMetrics {
    const { cluster, policy, pods, network, bgp } = this.#deps
    const metrics = new AgentMetrics({
      objects: () => [...network.state.objects, ...policy.objects],
      problems: {
        problems: () => this.#problemsAndReasons,
        reasons: () => this.readiness.reasons,
        times: this.#problemTimes,
      },
      pools: () => pods.ipam.cidrs,
      endpoints: () => pods.endpoints.length,
      leaksReleased: () => pods.leaksReleased,
      nodes: () => cluster.nodes.objects.size,
      nodesWithAgent: () => [...cluster.nodes.objects.values()].filter(hasHadAgent).length,
      api: () => cluster.apiStatus,
      remotePlans: () => network.state.remoteNodes?.plans ?? new Map(),
      // a client used only for reading counters, which takes several turns of the event loop
      nftables: this.#stack.use(new NftClient()),
    })
    registerBgpMetrics(metrics.registry, {
      sessions: () => bgp.state.sessions(),
      learned: () => bgp.learned.size,
      notInstalled: () => network.notInstalled.size,
    })
    registerProbeMetrics(metrics.registry, () => network.probing.ways)
    registerPolicyStateMetrics(metrics.registry, policy)
    registerPolicyMetrics(metrics.registry, this.#policy.sources, this.#policy.listener)
    registerDatapathMetrics(metrics.registry, {
      generation: () => this.#datapath.generation,
      pods: () => this.#datapath.podsByDevice(),
    })
    return metrics
  }

  #traceSources(): TraceSources {
    const { pods, cluster } = this.#deps
    const { view, state } = this.#policy.sources
    return {
      nodeName: this.#config.nodeName,
      view,
      unknown: () => {
        const { kind, why } = state()
        return kind === 'waiting'
          ? `the agent does not know the cluster yet${why === undefined ? '' : `: ${why}`}`
          : undefined
      },
      isCutOff: () => cluster.apiStatus.phase === 'backoff',
      cidrs: () => nodeCIDRs(cidrDepsOf(this.#config.nodeName, this.#deps)),
      endpoints: () => pods.endpoints,
      netnsOf: (endpoint) => pods.netnsOf(endpoint),
    }
  }

  #factsSources(): FactsSources {
    const { nodeName, told, cniInstall } = this.#config
    const { netlink, pods } = this.#deps
    return {
      nodeName,
      netlink,
      pods: () => pods.endpoints,
      netnsOf: (pod) => pods.netnsOf(pod),
      generation: () => this.#datapath.generation,
      settings: told,
      confDir: cniInstall?.confDir,
    }
  }

  #makeDatapathView(): DatapathView {
    const { netlink, ebpf, cluster, pods, dirt, wake, log } = this.#deps
    return new DatapathView({
      nodeName: this.#config.nodeName,
      netlink,
      ebpf,
      state: () => pods.datapathState,
      wanted: () => cluster.datapath,
      endpoints: () => pods.endpoints,
      nodeNames: () => cluster.nodes.objects.keys(),
      onChange: () => wake.emit('later'),
      // somebody may have removed an entry, and nothing notifies of that
      onDoubt: () => {
        dirt.mark('pod-map', 'node-map')
        wake.emit('soon')
      },
      log,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
