// The observer: what an agent is to a node with Causeway, for a node that has another network. It answers the same requests and changes nothing.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type AgentStatus, type EndpointStatus } from '#/api/schemas/status.ts'
import { summaryOfStatus } from '#/api/summary.ts'
import { type NodeSummary } from '#/api/schemas/summary.ts'
import { connect } from '#/cluster/connect.ts'
import { EbpfState } from '#/datapath/programs.ts'
import { type Logger } from '#/lib/log.ts'
import { agentSocketName } from '#/model/node-files.ts'
import { oneOfEach, type Problem, problem } from '#/model/problems.ts'
import { version } from '#/model/version.ts'
import { type Readiness } from '#/model/readiness.ts'
import { observerSettings } from '#/settings/observer-settings.ts'
import { type SettingValues } from '#/settings/setting.ts'
import { nodeCIDRs } from '#/predict/cidr-node.ts'
import { type PredictDeps } from '#/predict/context.ts'
import { useProcSys } from '#/sys/sysctl.ts'
import { limitSilence } from '../cluster/limit-silence.ts'
import { AgentApi, type Handlers } from '../report/http-api.ts'
import { livePartsOf } from '../report/predict/deps.ts'
import { podsHandlers } from '../report/pods-search.ts'
import { factsHandlers } from '../report/facts/api.ts'
import { type FactsSources } from '../report/facts/node.ts'
import { probeHandlers } from '../report/probes.ts'
import { tracePredictHandlers } from '../report/trace-predict.ts'
import { TraceSend, type TraceSources } from '../report/trace-send.ts'
import { TraceWatch } from '../report/trace-watch.ts'
import { verdictStatus } from '../report/verdict-status.ts'
import { ObservedCluster } from './cluster.ts'
import { FlannelNetwork } from './flannel-network.ts'
import { type FoundPod } from './found-pods.ts'
import { noPolicy } from './no-policy.ts'

export type ObserverConfig = SettingValues<typeof observerSettings>

const summaryFreshMs = 4_000

const partOf = "this node has flannel's network and an observer, which only looks at it"

export class ObservingAgent implements AsyncDisposable {
  readonly #config: ObserverConfig
  readonly #log: Logger
  readonly #made: AsyncDisposableStack
  readonly #api: AgentApi
  readonly #cluster: ObservedCluster
  readonly #network: FlannelNetwork
  readonly #traceSend: TraceSend
  readonly #traceWatch: TraceWatch
  #summarized: { readonly readMs: number; readonly summary: Promise<NodeSummary> } | undefined

  private constructor(
    config: ObserverConfig,
    log: Logger,
    made: AsyncDisposableStack,
    { api, cluster, network }: { api: AgentApi; cluster: ObservedCluster; network: FlannelNetwork },
  ) {
    this.#config = config
    this.#log = log
    this.#made = made
    this.#api = api
    this.#cluster = cluster
    this.#network = network
    const sources = this.#sources()
    this.#traceSend = made.use(new TraceSend(sources))
    this.#traceWatch = new TraceWatch({ sources, vxlanPort: () => network.port, log })
  }

  /** Connects to the API; throws one clear error when something indispensable is missing. */
  static async create(config: ObserverConfig, log: Logger): Promise<ObservingAgent> {
    await using made = new AsyncDisposableStack()
    const { kubeconfig, nodeName, runDir, procSys } = config
    useProcSys(procSys)
    mkdirSync(runDir, { recursive: true })
    const api = made.use(new AgentApi({ socketPath: join(runDir, agentSocketName) }, { log, partOf }))
    const client = made.use(await connect(kubeconfig === undefined ? {} : { kubeconfig }, { limitSilence }))
    const cluster = made.use(new ObservedCluster({ client, nodeName, log }))
    const network = made.use(new FlannelNetwork({ cluster, nowMs: () => performance.now() }))
    return new ObservingAgent(config, log, made.move(), { api, cluster, network })
  }

  /** Throws when an agent, or another observer, serves this node. */
  async start(): Promise<void> {
    await this.#api.start(this.#handlers)
    this.#cluster.start()
    this.#log.info('observer started', { node: this.#config.nodeName, pid: process.pid })
  }

  get #handlers(): Handlers {
    const predictions = tracePredictHandlers(this.#predictDeps())
    return {
      status: async () => ({ status: 200, body: await this.#status() }),
      summary: async () => ({ status: 200, body: await this.#summary() }),
      tracePredict: async (wish) => {
        await this.#network.refresh()
        return predictions.tracePredict!(wish)
      },
      ...factsHandlers(this.#factsSources()),
      ...this.#traceSend.handlers,
      ...this.#traceWatch.handlers,
      ...podsHandlers(this.#sources()),
      ...probeHandlers({ readiness: () => this.#readiness([]), passRunningMs: () => 0 }),
    }
  }

  /** Why the cluster is not known; undefined: it is. */
  get #unknown(): string | undefined {
    const { isKnown, lastError, self } = this.#cluster
    if (!isKnown) return `the observer does not know the cluster yet${lastError === undefined ? '' : `: ${lastError}`}`
    return self === undefined ? `there is no Node object ${this.#config.nodeName}` : undefined
  }

  /** An observer serves no pod: it is ready when it can tell. */
  #readiness(problems: readonly Problem[]): Readiness {
    const why = this.#unknown
    const reasons = why === undefined ? [] : [problem('CW6509', `node/${this.#config.nodeName}`, why)]
    const state = reasons.length > 0 ? 'not ready' : problems.length > 0 ? 'ready with problems' : 'ready'
    return { state, reasons, refusal: undefined, failures: [] }
  }

  async #status(): Promise<AgentStatus> {
    const { nodeName } = this.#config
    const { verdicts, objects, problems } = await this.#network.read()
    const all = oneOfEach([...problems, ...(await this.#network.firewallProblems()), ...this.#network.podProblems])
    const { state, reasons } = this.#readiness(all)
    const nowMs = Date.now()
    return {
      node: nodeName,
      pid: process.pid,
      podCIDRs: this.#network.podCIDRs.map(String),
      readiness: { state, reasons },
      observes: {
        network: 'flannel',
        backend: this.#cluster.self?.backend ?? 'none',
        vni: this.#cluster.self?.vni ?? 1,
        port: this.#network.port,
        podDevice: this.#network.podDevice,
      },
      api: this.#cluster.apiStatus,
      objects: objects.map(({ kind, key, problem: found }) => ({
        kind,
        key,
        state: found === undefined ? 'done' : 'error',
        sinceMs: nowMs,
        attempts: 0,
        ...(found && { message: found.message, remedy: found.remedy }),
      })),
      verdicts: verdicts.map(verdictStatus),
      endpoints: this.#network.found.pods.map(endpointStatus),
      problems: all,
    }
  }

  /** All rules of a node with a proxy are many to read: who asks again and again gets what was read within some seconds. */
  async #summary(): Promise<NodeSummary> {
    const nowMs = performance.now()
    if (this.#summarized === undefined || nowMs - this.#summarized.readMs > summaryFreshMs)
      this.#summarized = { readMs: nowMs, summary: this.#readSummary() }
    const { summary } = this.#summarized
    try {
      return await summary
    } catch (error) {
      this.#summarized = undefined
      throw error
    }
  }

  async #readSummary(): Promise<NodeSummary> {
    const addrs = (this.#cluster.self?.addrs ?? []).map(String)
    return { ...summaryOfStatus(await this.#status(), version), addrs }
  }

  #sources(): TraceSources {
    const { found } = this.#network
    return {
      nodeName: this.#config.nodeName,
      view: this.#cluster.view,
      unknown: () => this.#unknown,
      // it finds pods by what the API says
      isCutOff: () => false,
      cidrs: () => nodeCIDRs(this.#cidrDeps),
      endpoints: () => found.pods,
      netnsOf: (pod) => found.netnsOf(pod),
    }
  }

  get #cidrDeps(): Pick<PredictDeps, 'nodeName' | 'verdicts' | 'podCIDRs'> {
    const network = this.#network
    return {
      nodeName: this.#config.nodeName,
      verdicts: () => network.compared.verdicts,
      podCIDRs: () => network.podCIDRs,
    }
  }

  #factsSources(): FactsSources<FoundPod> {
    const { netlink, found } = this.#network
    const { nodeName } = this.#config
    return {
      nodeName,
      netlink,
      pods: () => found.pods,
      netnsOf: (pod) => found.netnsOf(pod),
      generation: () => undefined,
      settings: { [observerSettings.nodeName.variable]: nodeName },
      confDir: undefined,
    }
  }

  #predictDeps(): PredictDeps {
    const network = this.#network
    const { nodeName } = this.#config
    return {
      ...this.#cidrDeps,
      ...livePartsOf({
        netlink: network.netlink,
        pods: () => network.found.pods,
        netnsOf: (pod) => network.found.netnsOf(pod),
        ebpf: this.#made.use(new EbpfState({ folder: '/nonexistent' })),
        generation: () => undefined,
        policy: noPolicy(nodeName, this.#cluster.view),
      }),
      nodeAddrs: () => network.nodeAddrs,
      get clusterCIDRs() {
        return network.clusterCIDRs
      },
      get vxlanPort() {
        return network.port
      },
      podDevice: () => network.podDevice,
      flannel: network.view,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

function endpointStatus({ pod, uid, ifName, hostDevice, addrs, datapath }: FoundPod): EndpointStatus {
  return {
    pod,
    podUid: uid,
    containerId: '',
    ifName,
    hostDevice,
    addrs: addrs.map(({ addr }) => String(addr)),
    state: 'ready',
    datapath,
  }
}
