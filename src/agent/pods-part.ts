// The pods of this node: who has which address, how their network is made and goes, and the socket by which runtimes ask for it.
import { join } from 'node:path'
import { type PodNetwork, PodNetworkError, type PodNetworkState } from '#/datapath/datapath.ts'
import { type PodPorts } from '#/datapath/port-driver.ts'
import { datapathKinds, type Datapaths, openDatapaths } from '#/datapath/registry.ts'
import { VethRemoval } from '#/datapath/veth-removal.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Latest, type Signal } from '#/lib/signal.ts'
import { type Logger } from '#/lib/log.ts'
import { type DatapathName, datapathNames } from '#/model/datapath.ts'
import { cniSocketName, spoolFolderName } from '#/model/node-files.ts'
import { type PortState } from '#/model/network.ts'
import { type PlannedDatapath } from '#/plan/datapath-plan.ts'
import { bootClock } from '#/sys/boot-clock.ts'
import { isAnother, namespaceAt, ownNamespaceId } from '#/sys/namespaces.ts'
import { CniHandler } from './pods/cni-handler.ts'
import { CniStatus } from './pods/cni-status.ts'
import { CniServer, type OnAnswer } from './cni/server.ts'
import { type DirtySet } from './network/dirty-set.ts'
import { defaultGcTimes, EndpointGc } from './endpoints/endpoint-gc.ts'
import { type Endpoint, type EndpointStore } from './endpoints/endpoint-store.ts'
import { Ipam } from './endpoints/ipam.ts'
import { PodRefresher } from './pods/pod-refresh.ts'
import { type Urgency } from './network/reconcile-loop.ts'
import { type Readiness, type AddRefusal } from './report/readiness.ts'

export type PodsPartConfig = { readonly runDir: string; readonly stateDir: string }

export type PodsPartDeps = {
  /** For CNI calls alone: they are synchronous, and others read large tables in turns. */
  readonly netlink: Netlink
  readonly store: EndpointStore
  /** What pods get now; the network part keeps it. */
  readonly podNetwork: Latest<PodNetworkState>
  readonly dirt: DirtySet
  readonly wake: Signal<Urgency>
  readonly log: Logger
}

/** What pods' calls need of those who know more. */
export type PodsStart = { readonly readiness: () => Readiness; readonly onAnswer: OnAnswer }

export class PodsPart implements AsyncDisposable {
  readonly #config: PodsPartConfig
  readonly #deps: PodsPartDeps
  readonly #removal: VethRemoval
  readonly #datapaths: Datapaths
  readonly #handler: CniHandler
  readonly #gc: EndpointGc
  readonly #refresher: PodRefresher
  readonly ipam: Ipam
  #server: CniServer | undefined

  constructor(config: PodsPartConfig, deps: PodsPartDeps) {
    this.#config = config
    this.#deps = deps
    const { netlink, store, log } = deps
    this.#removal = new VethRemoval({ netlink, aside: new AsyncNetlink(), log })
    this.#datapaths = openDatapaths({ netlink, removal: this.#removal })
    const onChange = (): void => this.#changed()
    const datapaths = this.#datapaths
    this.#handler = new CniHandler({
      store,
      datapaths,
      datapath: () => this.#datapath,
      removal: this.#removal,
      podNetwork: () => this.network,
      onChange,
      log,
    })
    this.#gc = new EndpointGc(defaultGcTimes, { netlink, store, datapaths, clock: bootClock(), onChange, log })
    this.#refresher = new PodRefresher({ datapaths, store, log })
    this.ipam = new Ipam({
      store,
      netlink,
      datapaths,
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

  /** From now on calls of the CNI plugin are answered. Throws when another process answers them. */
  async start({ readiness, onAnswer }: PodsStart): Promise<void> {
    const { runDir, stateDir } = this.#config
    const status = new CniStatus(readiness)
    this.#server = new CniServer(
      { socketPath: join(runDir, cniSocketName), spoolDir: join(stateDir, spoolFolderName) },
      {
        handle: async (request) => (request.kind === 'status' ? status.reply() : this.#handler.handle(request)),
        onAnswer,
        log: this.#deps.log,
      },
    )
    await this.#server.start()
    this.#gc.start()
  }

  /** What pods get now, or why they get nothing. */
  get network(): PodNetworkState {
    const { lacks } = this.#deps.store
    return lacks === undefined ? this.#deps.podNetwork.value : { kind: 'absent', why: lacks }
  }

  /** Why an ADD would be refused now for want of addresses or of a place to note them. */
  get shortage(): AddRefusal | undefined {
    const state = this.network
    return state.kind === 'there' ? this.#handler.shortage(state.network) : undefined
  }

  /** The pods that are wired. */
  get ports(): readonly PortState[] {
    return this.endpoints.filter(({ state }) => state === 'ready').map(toPort)
  }

  get endpoints(): readonly Endpoint[] {
    return this.#deps.store.list()
  }

  get leaksReleased(): number {
    return this.#gc.released
  }

  /** What the reconciler asks about single pods. */
  get portCalls(): PodPorts {
    return {
      isInUse: (port) => this.#deps.store.hasDevice(port) || this.#removal.has(port),
      rewire: (port) => this.#rewire(port),
    }
  }

  /** What the datapaths want that these pods have, and the one that new pods get. */
  plansFor(ports: readonly PortState[]): readonly PlannedDatapath[] {
    const used = new Set<DatapathName>([this.#datapath, ...ports.map(({ datapath }) => datapath)])
    return datapathNames.filter((name) => used.has(name)).map((name) => datapathKinds[name])
  }

  /** Changes made through this are our own. */
  get portIds(): readonly number[] {
    return [this.#deps.netlink.portId, this.#removal.portId]
  }

  /** Brings pods that run to their MTU; never rejects for a pod's sake. */
  refresh(network: PodNetwork): Promise<void> {
    return this.#refresher.refresh(network)
  }

  /** By which one new pods are wired. */
  get #datapath(): DatapathName {
    return datapathNames[0]
  }

  #changed(): void {
    this.#deps.dirt.mark('port')
    this.#deps.wake.emit('later')
  }

  #rewire(port: string): void {
    const endpoint = this.endpoints.find(({ hostDevice }) => hostDevice === port)
    if (endpoint === undefined) return
    const state = this.network
    if (state.kind === 'absent') throw new PodNetworkError(state.why)
    const namespace = namespaceAt(endpoint.netns)
    // the path may be another's by now, or the node's own
    const isItsOwn =
      namespace.kind === 'there' && namespace.id !== ownNamespaceId() && !isAnother(namespace.id, endpoint.netnsId)
    if (!isItsOwn) throw new PodNetworkError(`the namespace of pod ${endpoint.pod} is no longer at ${endpoint.netns}`)
    this.#datapaths[endpoint.datapath].wire(endpoint, state.network)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
    this.#gc[Symbol.dispose]()
    await this.#removal[Symbol.asyncDispose]()
  }
}

function toPort({ hostDevice, pod, addrs, datapath }: Endpoint): PortState {
  return { name: hostDevice, pod, datapath, podCIDRs: addrs.map(({ cidr }) => cidr) }
}
