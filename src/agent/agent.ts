// The node agent: where the parts meet. Data flows one way:
//   Node objects, endpoints ─► plan ─► reconciler ─► kernel, and kernel notifications only cause another pass.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { EventRecorder } from '#/cluster/event-recorder.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { listLinks } from '#/kernel/links.ts'
import { listRoutes } from '#/kernel/routes.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { watchKernel } from '#/kernel/notifications.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { routeProtocol } from '#/model/names.ts'
import { type PodAddress, type PortState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { problemOfObject } from '#/reconcile/object-problem.ts'
import { type Routing } from '#/model/routing.ts'
import { bootClock } from '#/sys/boot-clock.ts'
import { ClusterView, keepOfNodes } from './cluster-view.ts'
import { CniHandler } from './cni-handler.ts'
import { CniInstaller } from './cni-install/installer.ts'
import { CniServer } from './cni/server.ts'
import { type AgentConfig } from './config.ts'
import { Dirt, NotificationReader } from './dirt.ts'
import { defaultGcTimes, EndpointGc } from './endpoint-gc.ts'
import { type Endpoint, EndpointStore } from './endpoints.ts'
import { flannelPublisher } from './flannel-publisher.ts'
import { Health } from './health.ts'
import { AgentApi, type Endpoints } from './http-api.ts'
import { Ipam } from './ipam.ts'
import { BgpKeeper } from './bgp/bgp-keeper.ts'
import { registerBgpMetrics } from './bgp-metrics.ts'
import { AgentMetrics } from './metrics.ts'
import { isAnother, namespaceAt, ownNamespaceId } from './namespaces.ts'
import { NetworkKeeper } from './network-keeper.ts'
import { nodeCondition } from './node-condition.ts'
import { NodeEvents } from './node-events.ts'
import { type NodePatcher } from './node-patcher.ts'
import { routingPublisher } from './routing-publisher.ts'
import { type PodNetwork, PodNetworkError, wirePod } from './pod-network.ts'
import { PodRefresher } from './pod-refresh.ts'
import { defaultTimes, ReconcileLoop } from './reconcile-loop.ts'
import { type AgentPlan, type AgentStatus } from './status.ts'
import { VethRemoval } from './veth-removal.ts'

export const agentSocketName = 'agent.sock'
export const cniSocketName = 'cni.sock'
export const spoolFolderName = 'cni-spool'
export const stateFileName = 'endpoints.sqlite'

/** Real Node objects have some 10 KiB: reading a page of them holds up the event loop for milliseconds. */
const nodesPerPage = 100
const httpRetryMs = 10_000

export class Agent {
  readonly #config: AgentConfig
  readonly #log: Logger
  readonly #store: EndpointStore
  /** For CNI calls alone: they are synchronous, and the keeper reads large tables in turns. */
  readonly #netlink = new Netlink()
  readonly #client: ApiClient
  readonly #nodes: Reflector<KubeNode>
  readonly #view: ClusterView
  readonly #dirt = new Dirt()
  readonly #keeper: NetworkKeeper
  readonly #bgp: BgpKeeper
  readonly #loop: ReconcileLoop
  readonly #gc: EndpointGc
  readonly #health: Health
  readonly #removal: VethRemoval
  readonly #refresher: PodRefresher
  readonly #cniServer: CniServer
  readonly #cniInstaller: CniInstaller | undefined
  readonly #nodePatchers: readonly NodePatcher[]
  readonly #recorder: EventRecorder
  readonly #nodeEvents: NodeEvents
  readonly #metrics: AgentMetrics
  /** For the metrics' reading of counters alone, which takes several turns of the event loop. */
  readonly #counters = new NftClient()
  readonly #api: AgentApi
  readonly #httpApi: AgentApi | undefined
  #httpProblem: Problem | undefined
  #httpRetry: NodeJS.Timeout | undefined
  #kernelWatch: Disposable | undefined

  private constructor(config: AgentConfig, client: ApiClient, store: EndpointStore, log: Logger) {
    this.#config = config
    this.#log = log
    this.#store = store
    this.#client = client
    this.#nodes = new Reflector<KubeNode>(
      { path: nodesPath(), pageSize: nodesPerPage },
      { client, log: log.with({ watch: 'nodes' }), keep: keepOfNodes(config.nodeName) },
    )
    this.#view = new ClusterView(
      { nodeName: config.nodeName },
      { reflector: this.#nodes, store, onChange: () => this.#loop.trigger('soon') },
    )
    this.#bgp = new BgpKeeper(config, {
      client,
      self: () => this.#view.self,
      nodes: () => this.#nodes.objects,
      routing: () => this.#routing,
      isComplete: () => this.#view.isComplete,
      keptForwarding: () => listRoutes(this.#netlink).some(({ protocol }) => protocol === routeProtocol),
      notInstalled: () => this.#keeper.peers?.notInstalled ?? new Map(),
      onLearned: () => this.#loop.trigger('soon'),
      onChange: () => this.#loop.trigger('later'),
      log,
    })
    this.#nodes.subscribe((change) => this.#bgp.takeNode(change))
    this.#keeper = new NetworkKeeper(config, {
      view: this.#view,
      dirt: this.#dirt,
      ports: () =>
        store
          .list()
          .filter(({ isReady }) => isReady)
          .map(toPort),
      pods: {
        isInUse: (port) => store.hasDevice(port) || this.#removal.has(port),
        rewire: (port) => this.#rewire(port),
      },
      routing: () => this.#clusterRouting,
      learned: this.#bgp.learned,
      isAdvertised: () => this.#bgp.isAdvertising,
      refreshPods: async (network) => this.#refresher.refresh(network),
      otherProblems: () => [
        ...this.#bgp.problems,
        ...(this.#cniInstaller?.problems ?? []),
        ...(this.#httpProblem ? [this.#httpProblem] : []),
      ],
      onChanges: (...change) => this.#metrics.changesMade(...change),
      onNodes: (durationMs) => this.#metrics.nodesChanged(durationMs),
      log,
    })
    this.#loop = new ReconcileLoop(defaultTimes, {
      pass: () => this.#pass(),
      onResync: () => this.#dirt.markEverything(),
      log,
    })
    this.#health = new Health({
      failures: () => this.#keeper.failures,
      isolation: () => this.#keeper.isolation,
      podNetwork: () => this.#podNetwork,
      passRunningMs: () => this.#loop.runningMs,
    })
    this.#removal = new VethRemoval({ netlink: this.#netlink, aside: new Netlink(), log })
    const handler = new CniHandler({
      netlink: this.#netlink,
      store,
      removal: this.#removal,
      podNetwork: () => this.#podNetwork,
      trouble: () => this.#health.trouble,
      onChange: () => this.#podsChanged(),
      log,
    })
    this.#gc = new EndpointGc(defaultGcTimes, {
      netlink: this.#netlink,
      store,
      clock: bootClock(),
      onChange: () => this.#podsChanged(),
      log,
    })
    this.#refresher = new PodRefresher({ netlink: this.#netlink, store, log })
    const ipam = new Ipam({
      store,
      netlink: this.#netlink,
      podCIDRs: () => (typeof this.#podNetwork === 'string' ? [] : this.#podNetwork.podCIDRs),
      leaksReleased: () => this.#gc.released,
      isLeaving: (hostDevice) => this.#removal.has(hostDevice),
      onChange: () => this.#podsChanged(),
      log,
    })
    this.#cniServer = new CniServer(
      { socketPath: join(config.runDir, cniSocketName), spoolDir: join(config.stateDir, spoolFolderName) },
      {
        handle: async (request) => handler.handle(request),
        onAnswer: (...answer) => this.#metrics.answered(...answer),
        log,
      },
    )
    const node = (): KubeNode | undefined => this.#nodes.objects.get(config.nodeName)
    this.#nodePatchers = [
      routingPublisher({ client, node, state: () => this.#keeper.routingState, log }),
      // a node that is ready and tells nothing of its routing counts as one with plain VXLAN, for which all others make a tunnel
      nodeCondition({ client, node, trouble: () => this.#health.unreadiness ?? this.#keeper.untoldRouting, log }),
      ...(config.flannelInterop ? [flannelPublisher(config.settings.vni, { client, node, log })] : []),
    ]
    this.#recorder = new EventRecorder({ component: 'causeway-agent', instance: config.nodeName }, { client, log })
    this.#nodeEvents = new NodeEvents(config.nodeName, { node, recorder: this.#recorder })
    this.#cniInstaller =
      config.cniInstall &&
      new CniInstaller(config.cniInstall, {
        canServe: () => typeof this.#podNetwork !== 'string',
        onChange: () => this.#loop.trigger('later'),
        log,
      })
    this.#metrics = new AgentMetrics({
      objects: () => this.#keeper.objects,
      problems: () => this.#keeper.problems,
      pools: () => ipam.show().cidrs,
      endpoints: () => store.list().length,
      leaksReleased: () => this.#gc.released,
      nodes: () => this.#nodes.objects.size,
      api: () => ({ ...this.#nodes.status, inSync: this.#nodes.inSync }),
      peers: () => this.#keeper.peers?.plans ?? new Map(),
      nftables: this.#counters,
    })
    registerBgpMetrics(this.#metrics.registry, {
      sessions: async () => this.#bgp.sessions(),
      learned: () => this.#bgp.learned.size,
      notInstalled: () => this.#keeper.peers?.notInstalled.size ?? 0,
    })
    const health: Endpoints = {
      ...this.#health.endpoints,
      '/metrics': async () => ({ status: 200, body: await this.#metrics.registry.render() }),
    }
    this.#httpApi =
      config.httpPort === undefined ? undefined : new AgentApi({ port: config.httpPort }, { endpoints: health, log })
    this.#api = new AgentApi(
      { socketPath: join(config.runDir, agentSocketName) },
      {
        endpoints: {
          '/status': () => ({ status: 200, body: this.status() }),
          '/plan': async () => ({ status: 200, body: await this.plan() }),
          '/ipam': () => ({ status: 200, body: ipam.show() }),
          '/ipam/check': async () => ({ status: 200, body: await ipam.check() }),
          ...this.#bgp.endpoints,
          ...health,
        },
        actions: { ...this.#bgp.actions, '/ipam/release': (body) => ipam.release(body) },
        log,
      },
    )
  }

  /** Opens the state and connects; throws one clear error when something it cannot do without is missing. */
  static async create(config: AgentConfig, log: Logger): Promise<Agent> {
    try {
      mkdirSync(config.stateDir, { recursive: true, mode: 0o700 })
    } catch (error) {
      log.error('the state directory cannot be made', { dir: config.stateDir, error: messageOf(error) })
    }
    mkdirSync(config.runDir, { recursive: true })
    const client = await connect(config.kubeconfig ? { kubeconfig: config.kubeconfig } : {})
    // forwarding must go on, whatever became of the state of pods
    const store = new EndpointStore(join(config.stateDir, stateFileName), {
      coolDownMs: config.coolDownMs,
      mayLack: true,
    })
    if (store.lacks !== undefined) log.error('no pod can be wired', { error: store.lacks })
    releaseEarlierBoots(store, log)
    return new Agent(config, client, store, log)
  }

  async start(): Promise<void> {
    // the own API first: it refuses when another agent serves this node, before anything is touched
    await this.#api.start()
    await this.#listenForHttp()
    const reader = new NotificationReader(this.#dirt, {
      wantsRoute: (prefix) => this.#keeper.wantsRoute(prefix),
      leadsOver: (device) => this.#keeper.leadsOver(device),
    })
    this.#kernelWatch = watchKernel(
      new Set([this.#netlink.portId, this.#removal.portId, ...this.#keeper.portIds]),
      (notification) => {
        const urgency = reader.read(notification)
        if (urgency) this.#loop.trigger(urgency)
      },
      (error) => this.#log.error('kernel notifications ended; the resync timer goes on', { error: messageOf(error) }),
    )
    reader.learn(listLinks(this.#netlink))
    this.#nodes.start()
    this.#bgp.start()
    // with what is on disk pods can be wired at once, whether the API answers or not
    await this.#loop.runNow()
    await this.#cniServer.start()
    this.#cniInstaller?.start()
    this.#gc.start()
    this.#log.info('agent started', { node: this.#config.nodeName, pid: process.pid })
  }

  /** How this node is to cross to others: its own Node object says, else the cluster's, else the settings. */
  get #routing(): Routing {
    return this.#view.self?.routing ?? this.#clusterRouting
  }

  /** A start changes nothing of what the last agent did before it is known that something is to be changed. */
  get #clusterRouting(): Routing {
    const fallback = this.#config.settings.routing
    return this.#bgp.clusterRouting ?? (this.#bgp.knowsObjects ? fallback : (this.#view.toldRouting ?? fallback))
  }

  /** What pods get now, or why they get nothing. */
  get #podNetwork(): PodNetwork | string {
    return this.#store.lacks ?? this.#keeper.podNetwork
  }

  /** Forwarding and pods do not wait for a port that somebody else has; whoever probes it learns that nobody is there. */
  async #listenForHttp(): Promise<void> {
    try {
      await this.#httpApi?.start()
      this.#httpProblem = undefined
    } catch (error) {
      if (this.#httpProblem === undefined)
        this.#log.error('no health and metrics over TCP', { error: messageOf(error) })
      this.#httpProblem = problem('CW9001', `port/${this.#config.httpPort}`, messageOf(error))
      this.#httpRetry = setTimeout(() => void this.#listenForHttp(), httpRetryMs)
    }
  }

  #podsChanged(): void {
    this.#dirt.mark('port')
    this.#loop.trigger('later')
  }

  async #pass(): Promise<{ failed: number }> {
    const startedMs = performance.now()
    try {
      const report = await this.#keeper.pass()
      this.#bgp.takeSubnets(this.#keeper.subnets)
      const podNetwork = this.#podNetwork
      if (typeof podNetwork !== 'string') await this.#refresher.refresh(podNetwork)
      return report
    } finally {
      this.#metrics.passEnded(performance.now() - startedMs)
      this.#tellNode()
    }
  }

  /** What a pass found is told to those who use this node. */
  #tellNode(): void {
    this.#cniInstaller?.notice()
    for (const patcher of this.#nodePatchers) patcher.notice()
    this.#nodeEvents.update([
      ...this.#keeper.problems,
      ...this.#health.failures.flatMap((each) => problemOfObject(each) ?? []),
    ])
  }

  #rewire(port: string): void {
    const endpoint = this.#store.list().find(({ hostDevice }) => hostDevice === port)
    if (endpoint === undefined) return
    const podNetwork = this.#podNetwork
    if (typeof podNetwork === 'string') throw new PodNetworkError(podNetwork)
    const namespace = namespaceAt(endpoint.netns)
    // the path may be another's by now, or the node's own
    const isItsOwn =
      namespace.kind === 'there' && namespace.id !== ownNamespaceId() && !isAnother(namespace.id, endpoint.netnsId)
    if (!isItsOwn) throw new PodNetworkError(`the namespace of pod ${endpoint.pod} is no longer at ${endpoint.netns}`)
    wirePod(this.#netlink, endpoint, podNetwork)
  }

  status(): AgentStatus {
    const podNetwork = this.#podNetwork
    return {
      node: this.#config.nodeName,
      pid: process.pid,
      podCIDRs: (this.#view.self?.podCIDRs ?? []).map(String),
      isReady: typeof podNetwork !== 'string',
      ...(typeof podNetwork === 'string' && { reason: podNetwork }),
      api: { ...this.#nodes.status, inSync: this.#nodes.inSync, nodes: this.#nodes.objects.size },
      objects: this.#keeper.objects,
      endpoints: this.#store.list().map((endpoint) => ({ ...endpoint, addrs: endpoint.addrs.map(addrText) })),
      problems: [...this.#keeper.problems, ...this.#keeper.failures.flatMap((each) => problemOfObject(each) ?? [])],
    }
  }

  async plan(): Promise<AgentPlan> {
    const { changes, problems } = await this.#keeper.preview()
    return {
      node: this.#config.nodeName,
      changes: changes.map(({ kind, verb, key, commands }) => ({ kind, verb, key, commands })),
      problems,
    }
  }

  /** Ends the agent and leaves the kernel as it is: pods keep talking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cniInstaller?.[Symbol.dispose]()
    await this.#cniServer[Symbol.asyncDispose]()
    await this.#removal[Symbol.asyncDispose]()
    this.#gc[Symbol.dispose]()
    this.#kernelWatch?.[Symbol.dispose]()
    await this.#loop[Symbol.asyncDispose]()
    await this.#bgp[Symbol.asyncDispose]()
    await this.#nodes[Symbol.asyncDispose]()
    for (const patcher of this.#nodePatchers) await patcher[Symbol.asyncDispose]()
    await this.#recorder[Symbol.asyncDispose]()
    await this.#client[Symbol.asyncDispose]()
    await this.#api[Symbol.asyncDispose]()
    clearTimeout(this.#httpRetry)
    await this.#httpApi?.[Symbol.asyncDispose]()
    this.#metrics[Symbol.dispose]()
    this.#counters[Symbol.dispose]()
    this.#store[Symbol.dispose]()
    this.#netlink[Symbol.dispose]()
    this.#keeper[Symbol.dispose]()
  }
}

/** A disk that takes no writes is no reason not to forward: then they are found to be leaked once it does. */
function releaseEarlierBoots(store: EndpointStore, log: Logger): void {
  try {
    for (const { pod, addrs } of store.releaseEarlierBoots())
      log.warn('pod of an earlier boot released: its namespace ended with it', { pod, addrs: addrs.map(addrText) })
  } catch (error) {
    log.error('pods of an earlier boot stay for now', { error: messageOf(error) })
  }
}

function addrText({ addr }: PodAddress): string {
  return String(addr)
}

function toPort({ hostDevice, pod, addrs }: Endpoint): PortState {
  return { name: hostDevice, pod, podCIDRs: addrs.map(({ cidr }) => cidr) }
}
