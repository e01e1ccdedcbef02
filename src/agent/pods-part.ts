// The pods of this node: their addresses, the setup and removal of their network, and the socket on which runtimes ask for that.
import { join } from 'node:path'
import { Announcer } from '#/datapath/announcer.ts'
import { type EbpfState } from '#/datapath/programs.ts'
import { type PodNetwork, PodNetworkError, type PodNetworkState } from '#/datapath/datapath.ts'
import { type PodPorts } from '#/datapath/port-driver.ts'
import { datapathKinds, type Datapaths, openDatapaths } from '#/datapath/registry.ts'
import { VethRemoval } from '#/datapath/veth-removal.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { hasTcpConnection } from '#/kernel/tcp-sockets.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Latest, type Signal } from '#/lib/signal.ts'
import { type Logger } from '#/lib/log.ts'
import { type DatapathName, type DatapathState } from '#/model/datapath.ts'
import { cniSocketName, readyMarkName, spoolFolderName } from '#/model/node-files.ts'
import { type HostPort, type PortState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Said } from '#/settings/precedence.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { type PlannedDatapath } from '#/plan/datapath-plan.ts'
import { type HostPortShares, shareHostPorts } from '#/plan/host-ports.ts'
import { bootClock, networkCookie } from '#/sys/boot-clock.ts'
import { isAnother, NamespaceFinder, ownNamespaceId } from '#/sys/namespaces.ts'
import { Netns } from '#/sys/netns.ts'
import { addedPodOf, CniHandler, notYet, type PodOperation } from './pods/cni-handler.ts'
import { DatapathSwitch } from './pods/datapath-switch.ts'
import { CniStatus } from './pods/cni-status.ts'
import { HostPortFlows } from './pods/host-port-flows.ts'
import { ReadyMark } from './pods/ready-mark.ts'
import { CniServer, type OnAnswer } from './cni/server.ts'
import { type DirtySet } from './network/dirty-set.ts'
import { earlierNetwork } from './endpoints/earlier-network.ts'
import { defaultGcTimes, EndpointGc } from './endpoints/endpoint-gc.ts'
import { type Endpoint, type EndpointStore, noHostPorts } from './endpoints/endpoint-store.ts'
import { Ipam } from './endpoints/ipam.ts'
import { PodMacs } from './pods/pod-macs.ts'
import { type PodPolicies } from './policy/pod-policies.ts'
import { PodRefresher } from './pods/pod-refresh.ts'
import { type Urgency } from './network/reconcile-loop.ts'
import { type Readiness, type AddRefusal } from '#/model/readiness.ts'
import { type CniReply } from '#/wire/cni/index.ts'
import { type SocketEnds } from '#/wire/netlink/sock-diag.ts'

export type PodsPartConfig = { readonly nodeName: string; readonly runDir: string; readonly stateDir: string }

export type PodsPartDeps = {
  /** For synchronous requests only; large tables are read over several turns, on another socket. */
  readonly netlink: Netlink
  readonly store: EndpointStore
  /** The network that pods get now. The network part keeps it up to date. */
  readonly podNetwork: Latest<PodNetworkState>
  /** The datapath that pods of this node are to have, and who says so. */
  readonly wantedDatapath: () => Said<DatapathName>
  /** Absent: pods have the bridge, whatever is wanted. */
  readonly ebpf?: EbpfState
  /** Absent: there are no network policies. */
  readonly policies?: PodPolicies
  readonly dirt: DirtySet
  readonly wake: Signal<Urgency>
  readonly log: Logger
}

/** What the CNI server needs of the reporting part, which is made later than this one. */
export type PodsStart = { readonly readiness: () => Readiness; readonly onAnswer: OnAnswer }

export class PodsPart implements AsyncDisposable {
  readonly #config: PodsPartConfig
  readonly #deps: PodsPartDeps
  readonly #made = new AsyncDisposableStack()
  readonly #removal: VethRemoval
  readonly #datapaths: Datapaths
  readonly #switch: DatapathSwitch
  readonly #namespaces: NamespaceFinder
  readonly #handler: CniHandler
  readonly #gc: EndpointGc
  readonly #refresher: PodRefresher
  readonly #macs: PodMacs
  readonly #flows: HostPortFlows
  /** Which endpoints had host ports when the network was last woken. */
  #hostPorts: string
  readonly ipam: Ipam

  constructor(config: PodsPartConfig, deps: PodsPartDeps) {
    this.#config = config
    this.#deps = deps
    const { netlink, store, log } = deps
    this.#removal = this.#made.use(new VethRemoval({ netlink, aside: new AsyncNetlink(), log }))
    const announcer = this.#made.use(new Announcer({ log }))
    const { ebpf } = deps
    this.#datapaths = openDatapaths({ netlink, removal: this.#removal, announcer, ...(ebpf && { ebpf }) })
    this.#switch = new DatapathSwitch({
      netlink,
      store,
      ebpf,
      announcer,
      wanted: deps.wantedDatapath,
      dirt: deps.dirt,
      log,
    })
    if (ebpf)
      ebpf.onClock = () => {
        deps.dirt.mark('pod-map')
        deps.wake.emit('later')
      }
    const namespaces = this.#made.use(new NamespaceFinder())
    this.#namespaces = namespaces
    this.#hostPorts = store.hostPortsKey()
    const onChange = (): void => this.#changed()
    const clock = bootClock()
    const earlier = earlierNetwork(store, clock, networkCookie())
    const datapaths = this.#datapaths
    this.#handler = new CniHandler({
      store,
      datapaths,
      datapath: () => this.#switch.current,
      removal: this.#removal,
      namespaces,
      podNetwork: () => this.network,
      reclaim: () => this.#gc.sweep().length,
      ...(deps.policies && { policies: deps.policies }),
      onChange,
      log,
    })
    this.#gc = this.#made.use(
      new EndpointGc(defaultGcTimes, { netlink, store, datapaths, namespaces, clock, earlier, onChange, log }),
    )
    this.#flows = new HostPortFlows({ netlink, log })
    this.#macs = this.#made.use(new PodMacs({ netlink, namespaces, onDue: () => deps.wake.emit('later'), log }))
    this.#refresher = new PodRefresher({ datapaths, store, namespaces, log })
    this.ipam = new Ipam({
      store,
      netlink,
      datapaths,
      namespaces,
      podCIDRs: () => {
        const state = this.network
        return state.kind === 'there' ? state.network.podCIDRs : []
      },
      leaksReleased: () => this.#gc.released,
      isLeaving: (hostDevice) => this.#removal.has(hostDevice),
      onChange,
      log,
    })
  }

  /** Starts to answer calls of the CNI plugin. Throws when another process answers on the socket. */
  async start({ readiness, onAnswer }: PodsStart): Promise<void> {
    const { runDir, stateDir } = this.#config
    const status = new CniStatus(readiness)
    const server = this.#made.use(
      new CniServer(
        { socketPath: join(runDir, cniSocketName), spoolDir: join(stateDir, spoolFolderName) },
        {
          handle: async (request, signal, files) =>
            request.kind === 'status' ? status.reply() : this.#handle(request, signal, files),
          onAnswer,
          log: this.#deps.log,
        },
      ),
    )
    await server.start()
    const mark = new ReadyMark(join(runDir, readyMarkName), {
      isReady: () => status.reply().kind === 'ok',
      sinceBootMs: bootClock().sinceBootMs,
      log: this.#deps.log,
    })
    this.#made.use(mark).start()
    this.#gc.start()
  }

  /** Holds an ADD back until the pod's policies can be enforced; all else of a call runs within one turn of the event loop. */
  async #handle(request: PodOperation, signal: AbortSignal, files: readonly number[]): Promise<CniReply> {
    const pod = request.kind === 'add' ? addedPodOf(request) : undefined
    const why = pod && (await this.#deps.policies?.admit(pod, signal))
    return pod && why !== undefined ? notYet(`${pod.namespace}/${pod.name}`, why) : this.#handler.handle(request, files)
  }

  /** The network that pods get now, or why there is none. */
  get network(): PodNetworkState {
    const { lacks } = this.#deps.store
    return lacks === undefined ? this.#deps.podNetwork.value : { kind: 'absent', why: lacks }
  }

  /** Why no pod gets an address although there is a pod network; undefined when pods do, as long as there is room. */
  get shortage(): AddRefusal | undefined {
    const state = this.network
    return state.kind === 'there' ? this.#handler.shortage(state.network) : undefined
  }

  get problems(): readonly Problem[] {
    const object = `node/${this.#config.nodeName}`
    const state = this.network
    const full = state.kind === 'there' ? this.#handler.fullness(state.network) : undefined
    return [
      ...(full ? [problem('CW3112', object, full.msg, { remedy: full.details })] : []),
      ...this.#sharesOf(() => this.#wired).refused.map(({ port, pod, holder }) =>
        problem(
          'CW3113',
          object,
          `host port ${port} is pod ${holder}'s; pod ${pod}, which asks for it too, does not get it`,
        ),
      ),
      ...this.#refresher.failures.map((why) => problem('CW3111', object, why)),
      ...this.#switch.problems,
    ]
  }

  /** The wired pods, each as the reconciler takes it. */
  get ports(): readonly PortState[] {
    const ready = this.#wired
    const { granted } = this.#sharesOf(() => ready)
    return ready.map((endpoint) => ({
      ...toPort(endpoint, granted.get(endpoint.hostDevice)),
      mac: this.#macs.macOf(endpoint),
    }))
  }

  /** Which of these pods have which host ports. On most nodes there is none, and asked for often: then the pods need not be read. */
  #sharesOf(endpoints: () => readonly Endpoint[]): HostPortShares {
    return shareHostPorts(this.#deps.store.hostPortsKey() === noHostPorts ? [] : endpoints())
  }

  get #wired(): readonly Endpoint[] {
    return this.endpoints.filter(({ state }) => state === 'ready')
  }

  /** Whether the state file cannot be used, so that `ports` has no pod that was made before. */
  get isStateLost(): boolean {
    return this.#deps.store.lacks !== undefined
  }

  get endpoints(): readonly Endpoint[] {
    return this.#deps.store.list()
  }

  get leaksReleased(): number {
    return this.#gc.released
  }

  /** Whether the pod with the local address has that TCP connection; undefined when no pod of this node has the address. */
  hasConnection(ends: SocketEnds): boolean | undefined {
    const endpoint = this.endpoints.find(({ addrs }) => addrs.some(({ addr }) => addr.equals(ends.local)))
    if (endpoint === undefined) return undefined
    using netns = this.netnsOf(endpoint)
    return netns !== undefined && hasTcpConnection(netns, ends)
  }

  /** Opens a pod's namespace; undefined when it is gone, or its path is another's by now. The caller disposes of it. */
  netnsOf({ netns, netnsId }: Pick<Endpoint, 'netns' | 'netnsId'>): Netns | undefined {
    const namespace = this.#namespaces.at(netns)
    return namespace.kind === 'there' && !isAnother(namespace.id, netnsId) ? new Netns(namespace.path) : undefined
  }

  /** The functions by which the reconciler asks about a pod's host device and wires it again. */
  get portCalls(): PodPorts {
    return {
      isInUse: (port) => this.#deps.store.hasDevice(port) || this.#removal.has(port),
      areKnown: () => this.#deps.store.lacks === undefined,
      hostMtuBytes: () => this.#refresher.deviceMtuBytes,
      rewire: (port) => this.#rewire(port),
    }
  }

  /** The plans of the datapath that new pods get and of those that these pods use; datapaths that share their devices have one plan. */
  plansFor(ports: readonly PortState[]): readonly PlannedDatapath[] {
    const used = new Set<DatapathName>([this.#switch.current, ...ports.map(({ datapath }) => datapath)])
    const plans = new Map<string, PlannedDatapath>()
    for (const kind of [...used].map((name) => datapathKinds[name]))
      if (!plans.has(kind.podDevice)) plans.set(kind.podDevice, kind)
    return [...plans.values()]
  }

  /** Decides which datapath pods have, and reads what its programs have to know of pods, before a pass. Does not reject. */
  async decideDatapath(): Promise<void> {
    await this.#switch.decide()
    if (this.#switch.current !== 'ebpf') return
    if (await this.#macs.read(this.#wired)) this.#deps.dirt.mark('pod-map')
  }

  /** The netlink ports through which this part changes the kernel: notifications about such changes cause no pass. */
  get portIds(): readonly number[] {
    return [this.#deps.netlink.portId, this.#removal.portId]
  }

  /**
   * Gives running pods their current MTU, at a full pass their limits, and UDP flows to the pods that have host ports now; does not reject
   * when a pod cannot be changed.
   */
  async refresh(network: PodNetwork, isFull: boolean): Promise<void> {
    await this.#refresher.refresh(network, isFull)
    await this.#flows.settle([...this.#sharesOf(() => this.#wired).granted.values()].flat())
    if (this.#switch.settle(this.#wired)) this.#deps.wake.emit('soon')
  }

  /** The datapath that pods have, and why it is not the wanted one; undefined while that is not known. */
  get datapathState(): DatapathState | undefined {
    return this.#switch.state
  }

  #changed(): void {
    this.#deps.policies?.noteEndpoints()
    this.#deps.dirt.mark('port', 'pod-map', 'attachment')
    const hostPorts = this.#deps.store.hostPortsKey()
    if (hostPorts === this.#hostPorts) return this.#deps.wake.emit('later')
    this.#hostPorts = hostPorts
    this.#deps.dirt.mark('sysctl', 'table')
    this.#deps.wake.emit('soon')
  }

  #rewire(port: string): void {
    const endpoint = this.endpoints.find(({ hostDevice }) => hostDevice === port)
    if (endpoint === undefined) return
    const state = this.network
    if (state.kind === 'absent') throw new PodNetworkError(state.why)
    const namespace = this.#namespaces.at(endpoint.netns)
    // by now the path may name another namespace, or the node's own
    const isNot =
      namespace.kind !== 'there' || namespace.id === ownNamespaceId() || isAnother(namespace.id, endpoint.netnsId)
    if (isNot) throw new PodNetworkError(`the namespace of pod ${endpoint.pod} is no longer at ${endpoint.netns}`)
    this.#datapaths[endpoint.datapath].wire({ ...endpoint, netns: namespace.path }, state.network)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

function toPort(
  { hostDevice, pod, addrs, mac, datapath, bandwidth }: Endpoint,
  hostPorts: readonly HostPort[] = [],
): PortState {
  const { ingress } = podLimits(bandwidth)
  return {
    name: hostDevice,
    pod,
    datapath,
    podCIDRs: addrs.map(({ cidr }) => cidr),
    addrs: addrs.map(({ addr }) => addr),
    mac,
    hostPorts,
    ...(ingress && { ingress }),
  }
}
