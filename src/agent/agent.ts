// The node agent, made of its parts. Data flows one way:
//   Node objects, endpoints ─► plan ─► reconciler ─► kernel, and kernel notifications only cause another pass.
// Each part gets the earlier parts when it is made. Only two things go the other way: `wake`, by which a part says that a pass is due
// (a pod was added, a route was learned), and two values that the network part keeps up to date for the earlier ones.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '#/cluster/connect.ts'
import { type PodNetworkState } from '#/datapath/datapath.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { type DeniedPacket, EbpfState, PolicyMaps } from '#/datapath/programs.ts'
import { findLink } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { Latest, Signal } from '#/lib/signal.ts'
import { agentSocketName, stateFileName } from '#/model/node-files.ts'
import { useProcSys } from '#/sys/sysctl.ts'
import { limitSilence } from './cluster/limit-silence.ts'
import { BgpPart } from './bgp-part.ts'
import { ClusterPart } from './cluster-part.ts'
import { type AgentConfig } from './config.ts'
import { DirtySet } from './network/dirty-set.ts'
import { EndpointStore } from './endpoints/endpoint-store.ts'
import { PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { AgentApi } from './report/http-api.ts'
import { NetworkPart } from './network-part.ts'
import { PodsPart } from './pods-part.ts'
import { PolicyPart } from './policy-part.ts'
import { type Urgency } from './network/reconcile-loop.ts'
import { ReportingPart } from './reporting-part.ts'

export class Agent implements AsyncDisposable {
  readonly #config: AgentConfig
  readonly #log: Logger
  /** Everything that was made; it is disposed of in the opposite order. */
  readonly #made: AsyncDisposableStack
  readonly #api: AgentApi
  readonly #parts: Parts

  private constructor(config: AgentConfig, log: Logger, made: AsyncDisposableStack, api: AgentApi, parts: Parts) {
    this.#config = config
    this.#log = log
    this.#made = made
    this.#api = api
    this.#parts = parts
  }

  /** Opens the state file and connects to the API; throws one clear error when something indispensable is missing. */
  static async create(config: AgentConfig, log: Logger): Promise<Agent> {
    await using made = new AsyncDisposableStack()
    useProcSys(config.procSys)
    try {
      mkdirSync(config.stateDir, { recursive: true, mode: 0o700 })
    } catch (error) {
      log.error('the state directory cannot be made', { dir: config.stateDir, error: messageOf(error) })
    }
    mkdirSync(config.runDir, { recursive: true })
    // made first, so that it is disposed of last: as long as it answers, no other agent serves this node
    const api = made.use(new AgentApi({ socketPath: join(config.runDir, agentSocketName) }, { log }))
    const { kubeconfig } = config
    const client = made.use(await connect(kubeconfig === undefined ? {} : { kubeconfig }, { limitSilence }))
    // mayLack: forwarding must go on even when the state file cannot be used
    const path = join(config.stateDir, stateFileName)
    const store = made.use(new EndpointStore(path, { coolDownMs: config.coolDownMs, mayLack: true }))
    if (store.lacks !== undefined) log.error('no pod can be wired', { error: store.lacks })
    releaseEarlierBoots(store, log)
    const parts = compose(config, { client, store, log }, made)
    return new Agent(config, log, made.move(), api, parts)
  }

  async start(): Promise<void> {
    const { cluster, policy, pods, bgp, network, reporting } = this.#parts
    // the agent's API starts first: it throws when another agent serves this node, before anything is changed
    await this.#api.start(reporting.handlers)
    await reporting.listenForHttp()
    network.watch()
    cluster.start()
    policy.start()
    bgp.start()
    // this first pass works with the state on disk, so that pods can be wired even when the Kubernetes API does not answer
    await network.passNow()
    await pods.start({
      readiness: () => reporting.readiness,
      onAnswer: (...answer) => reporting.countAnswer(...answer),
    })
    reporting.start()
    this.#log.info('agent started', { node: this.#config.nodeName, pid: process.pid })
  }

  /** Ends the agent and leaves the kernel as it is: pods keep their network. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

type Parts = {
  readonly cluster: ClusterPart
  readonly policy: PolicyPart
  readonly pods: PodsPart
  readonly bgp: BgpPart
  readonly network: NetworkPart
  readonly reporting: ReportingPart
}

type Ground = {
  readonly client: Awaited<ReturnType<typeof connect>>
  readonly store: EndpointStore
  readonly log: Logger
}

function compose(config: AgentConfig, { client, store, log }: Ground, made: AsyncDisposableStack): Parts {
  /** Tells the network part that a pass is due, and how soon. */
  const wake = new Signal<Urgency>()
  const dirt = new DirtySet()
  const podNetwork = new Latest<PodNetworkState>({ kind: 'absent', why: 'the agent has just started' })
  const notInstalled = new Latest<ReadonlyMap<string, string>>(new Map())
  /** The socket for synchronous requests only: an asynchronous request would still be under way on it when the next one starts. */
  const netlink = made.use(new Netlink())
  const cluster = made.use(new ClusterPart(config, { client, store, wake, log }))
  const ebpf = made.use(new EbpfState({ folder: config.bpfDir, chain: config.cniInstall?.chain }))
  const deniedEarly = new Signal<DeniedPacket>()
  const policy = made.use(makePolicy(config, { client, netlink, store, cluster, ebpf, deniedEarly, wake, log }, made))
  const wantedDatapath = () => cluster.datapath
  const pods = made.use(
    new PodsPart(config, { netlink, store, podNetwork, wantedDatapath, ebpf, policies: policy, dirt, wake, log }),
  )
  const bgp = made.use(new BgpPart(config, { client, netlink, cluster, notInstalled, wake, log }))
  const network = made.use(
    new NetworkPart(config, { netlink, cluster, policy, pods, bgp, ebpf, dirt, wake, podNetwork, notInstalled, log }),
  )
  network.passEnded.subscribe(() => policy.noteGround())
  const reporting = made.use(
    new ReportingPart(config, {
      netlink,
      ebpf,
      client,
      cluster,
      policy,
      deniedEarly,
      pods,
      network,
      bgp,
      dirt,
      wake,
      log,
    }),
  )
  return { cluster, policy, pods, bgp, network, reporting }
}

type PolicyGround = Ground & {
  readonly netlink: Netlink
  readonly cluster: ClusterPart
  readonly ebpf: EbpfState
  readonly deniedEarly: Signal<DeniedPacket>
  readonly wake: Signal<Urgency>
}

function makePolicy(
  config: AgentConfig,
  { netlink, cluster, ebpf, deniedEarly, wake, ...ground }: PolicyGround,
  made: AsyncDisposableStack,
): PolicyPart {
  const bridgeMac = (): string | undefined => findLink(netlink, datapathKinds.bridge.podDevice)?.mac
  const tables = made.use(new PolicyTables({ bridgeMac, log: ground.log }))
  const maps = made.use(new PolicyMaps({ ebpf, onDenied: (denied) => deniedEarly.emit(denied) }))
  const { nodeName, settings } = config
  return new PolicyPart(
    { nodeName, clusterCIDRs: settings.clusterCIDRs },
    {
      ...ground,
      netlink,
      nodes: cluster.nodes,
      sinks: [tables, maps],
      tables,
      bridgeMac,
      programs: () => ebpf.current,
      onNews: () => wake.emit('later'),
    },
  )
}

/** Goes on when the disk cannot be written, so that the agent still forwards. EndpointGc then finds the pods leaked later. */
function releaseEarlierBoots(store: EndpointStore, log: Logger): void {
  try {
    for (const { pod, addrs } of store.releaseEarlierBoots())
      log.warn('pod of an earlier boot released: its namespace ended with it', {
        pod,
        addrs: addrs.map(({ addr }) => String(addr)),
      })
  } catch (error) {
    log.error('pods of an earlier boot stay for now', { error: messageOf(error) })
  }
}
