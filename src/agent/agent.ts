// The node agent: where the parts meet. Data flows one way:
//   Node objects, endpoints ─► plan ─► reconciler ─► kernel, and kernel notifications only cause another pass.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { watchKernel } from '#/kernel/notifications.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { routeProtocol, vtepGateways } from '#/model/names.ts'
import { type PortState, type Problem } from '#/model/network.ts'
import { type Plan, planNetwork } from '#/plan/network.ts'
import { Reconciler } from '#/reconcile/reconciler.ts'
import { CniHandler } from './cni-handler.ts'
import { CniServer } from './cni/server.ts'
import { type AgentConfig } from './config.ts'
import { allDrivers } from './drivers.ts'
import { type Endpoint, EndpointStore } from './endpoints.ts'
import { AgentApi } from './http-api.ts'
import { type NodeView, viewNodes } from './node-view.ts'
import { type PodNetwork, PodNetworkError, wirePod } from './pod-network.ts'
import { defaultTimes, ReconcileLoop } from './reconcile-loop.ts'
import { type AgentPlan, type AgentStatus } from './status.ts'
import { readUnderlay } from './underlay.ts'

export const agentSocketName = 'agent.sock'
export const cniSocketName = 'cni.sock'
export const spoolFolderName = 'cni-spool'
export const stateFileName = 'endpoints.sqlite'

type Drawn = { readonly plan: Plan; readonly inSync: boolean; readonly problems: readonly Problem[] }

export class Agent {
  readonly #config: AgentConfig
  readonly #log: Logger
  readonly #store: EndpointStore
  readonly #netlink = new Netlink()
  readonly #nftables = new NftClient()
  readonly #client: ApiClient
  readonly #nodes: Reflector<KubeNode>
  readonly #reconciler: Reconciler
  readonly #loop: ReconcileLoop
  readonly #cniServer: CniServer
  readonly #api: AgentApi
  #kernelWatch: Disposable | undefined
  #problems: readonly Problem[] = []
  /** The pod CIDRs of other nodes that have a route. */
  #prefixes: ReadonlySet<string> = new Set()
  /** What pods get, once a pass has made it; until then why there is nothing. */
  #podNetwork: PodNetwork | string = 'the agent has just started'

  private constructor(config: AgentConfig, client: ApiClient, store: EndpointStore, log: Logger) {
    this.#config = config
    this.#log = log
    this.#store = store
    this.#client = client
    this.#nodes = new Reflector<KubeNode>({ path: nodesPath() }, { client, log: log.with({ watch: 'nodes' }) })
    this.#reconciler = new Reconciler({
      netlink: this.#netlink,
      drivers: allDrivers(this.#netlink, this.#nftables, {
        isInUse: (port) => store.hasDevice(port),
        rewire: (port) => this.#rewire(port),
      }),
      log,
      nowMs: Date.now,
    })
    this.#loop = new ReconcileLoop(defaultTimes, { pass: () => this.#pass(), log })
    const handler = new CniHandler({
      netlink: this.#netlink,
      store,
      podNetwork: () => this.#podNetwork,
      onChange: () => this.#loop.trigger(),
      log,
    })
    this.#cniServer = new CniServer(
      { socketPath: join(config.runDir, cniSocketName), spoolDir: join(config.stateDir, spoolFolderName) },
      { handle: async (request) => handler.handle(request), log },
    )
    this.#api = new AgentApi(
      { socketPath: join(config.runDir, agentSocketName) },
      {
        endpoints: {
          '/status': () => ({ status: 200, body: this.status() }),
          '/plan': () => ({ status: 200, body: this.plan() }),
          '/healthz': () => ({ status: 200, body: 'ok\n' }),
          '/readyz': () => this.#readiness(),
        },
        log,
      },
    )
  }

  /** Opens the state and connects; throws one clear error when something it cannot do without is missing. */
  static async create(config: AgentConfig, log: Logger): Promise<Agent> {
    mkdirSync(config.stateDir, { recursive: true, mode: 0o700 })
    mkdirSync(config.runDir, { recursive: true })
    const client = await connect(config.kubeconfig ? { kubeconfig: config.kubeconfig } : {})
    const store = new EndpointStore(join(config.stateDir, stateFileName))
    return new Agent(config, client, store, log)
  }

  async start(): Promise<void> {
    // the own API first: it refuses when another agent serves this node, before anything is touched
    await this.#api.start()
    const gateways: readonly string[] = Object.values(vtepGateways)
    this.#kernelWatch = watchKernel(
      {
        // also another's route to one of our prefixes: it may have taken the place of ours
        route: ({ protocol, dst }) => protocol === routeProtocol || this.#prefixes.has(String(dst)),
        neighbour: ({ addr }) => gateways.includes(String(addr)),
      },
      () => this.#loop.trigger(),
      (error) => this.#log.error('kernel notifications ended; the resync timer goes on', { error: messageOf(error) }),
    )
    this.#nodes.subscribe(() => this.#loop.trigger())
    this.#nodes.start()
    // with what is on disk pods can be wired at once, whether the API answers or not
    await this.#loop.runNow()
    await this.#cniServer.start()
    this.#log.info('agent started', { node: this.#config.nodeName, pid: process.pid })
  }

  #view(): NodeView {
    return viewNodes(this.#config.nodeName, this.#nodes, this.#store)
  }

  /** The plan for what is known now; undefined as long as this node has no pod CIDR. */
  #draw(view: NodeView): Drawn | undefined {
    if (view.self === undefined) return undefined
    const underlay = readUnderlay(this.#netlink, view.self.name, view.self.addrs)
    const plan = planNetwork({
      self: view.self,
      nodes: view.nodes,
      underlay: underlay.mtuBytes,
      ports: this.#store
        .list()
        .filter(({ isReady }) => isReady)
        .map(toPort),
      settings: this.#config.settings,
    })
    return { plan, inSync: view.inSync, problems: [...view.problems, ...underlay.problems, ...plan.problems] }
  }

  async #pass(): Promise<{ failed: number }> {
    const view = this.#view()
    const drawn = this.#draw(view)
    this.#tell(drawn?.problems ?? view.problems)
    if (drawn === undefined || view.self === undefined) {
      this.#podNetwork = view.inSync
        ? `node ${this.#config.nodeName} has no pod CIDR yet`
        : `the Kubernetes API has not answered yet: ${this.#nodes.status.lastError ?? 'waiting'}`
      return { failed: 0 }
    }
    this.#prefixes = new Set(drawn.plan.network.routes.map(({ dst }) => String(dst)))
    this.#podNetwork = podNetworkOf(drawn, this.#config)
    const report = await this.#reconciler.apply(drawn.plan.network, { sweep: drawn.inSync })
    return report
  }

  #rewire(port: string): void {
    const endpoint = this.#store.list().find(({ hostDevice }) => hostDevice === port)
    if (endpoint === undefined) return
    if (typeof this.#podNetwork === 'string') throw new PodNetworkError(this.#podNetwork)
    wirePod(this.#netlink, endpoint, this.#podNetwork)
  }

  /** Logs each problem when it appears and when it goes. */
  #tell(problems: readonly Problem[]): void {
    const text = ({ object, message }: Problem): string => `${object}: ${message}`
    const before = new Set(this.#problems.map(text))
    const now = new Set(problems.map(text))
    for (const problem of problems)
      if (!before.has(text(problem))) this.#log.warn(problem.message, { object: problem.object })
    for (const problem of this.#problems) if (!now.has(text(problem))) this.#log.info('problem gone', { ...problem })
    this.#problems = problems
  }

  #readiness(): { status: number; body: unknown } {
    if (typeof this.#podNetwork === 'string') return { status: 503, body: `${this.#podNetwork}\n` }
    // a pod's own trouble (its namespace is gone) is no reason to keep other pods away
    const failed = this.#reconciler.status.filter(({ state, kind }) => state === 'error' && kind !== 'port')
    if (failed.length === 0) return { status: 200, body: 'ok\n' }
    return {
      status: 503,
      body: `${failed.map(({ kind, key, message }) => `${kind} ${key}: ${message ?? ''}`).join('\n')}\n`,
    }
  }

  status(): AgentStatus {
    const podNetwork = this.#podNetwork
    return {
      node: this.#config.nodeName,
      pid: process.pid,
      podCIDRs: (this.#view().self?.podCIDRs ?? []).map(String),
      isReady: typeof podNetwork !== 'string',
      ...(typeof podNetwork === 'string' && { reason: podNetwork }),
      api: { ...this.#nodes.status, inSync: this.#nodes.inSync, nodes: this.#nodes.objects.size },
      objects: this.#reconciler.status,
      endpoints: this.#store.list().map((endpoint) => ({ ...endpoint, addrs: endpoint.addrs.map(String) })),
      problems: this.#problems,
    }
  }

  plan(): AgentPlan {
    const drawn = this.#draw(this.#view())
    const changes = drawn ? this.#reconciler.preview(drawn.plan.network, { sweep: drawn.inSync }) : []
    return {
      node: this.#config.nodeName,
      changes: changes.map(({ kind, verb, key, commands }) => ({ kind, verb, key, commands })),
      problems: drawn?.problems ?? this.#problems,
    }
  }

  /** Ends the agent and leaves the kernel as it is: pods keep talking. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cniServer[Symbol.asyncDispose]()
    this.#kernelWatch?.[Symbol.dispose]()
    await this.#loop[Symbol.asyncDispose]()
    await this.#nodes[Symbol.asyncDispose]()
    await this.#client[Symbol.asyncDispose]()
    await this.#api[Symbol.asyncDispose]()
    this.#store[Symbol.dispose]()
    this.#netlink[Symbol.dispose]()
    this.#nftables[Symbol.dispose]()
  }
}

function toPort({ hostDevice, pod }: Endpoint): PortState {
  return { name: hostDevice, pod }
}

/** Pods get the underlay's MTU on their device and the tunnel's on the routes that lead through it. */
function podNetworkOf({ plan }: Drawn, { settings }: AgentConfig): PodNetwork | string {
  if (plan.podCIDRs.length === 0) return 'every pod CIDR of this node is claimed by another node too'
  return {
    podCIDRs: plan.podCIDRs,
    overlay: settings.clusterCIDRs.flatMap((dst) => {
      const mtuBytes = plan.overlayMtuBytes[dst.family]
      return mtuBytes === undefined ? [] : [{ dst, mtuBytes }]
    }),
    deviceMtuBytes: plan.deviceMtuBytes,
  }
}
