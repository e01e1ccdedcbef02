// What the agent knows of the cluster: its nodes, and the settings that the cluster's own objects hold.
import { type ApiClient } from '#/cluster/client.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { Reflector, type ReflectorStatus } from '#/cluster/reflector.ts'
import { type Logger } from '#/lib/log.ts'
import { Signal } from '#/lib/signal.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type NetworkSettings } from '#/model/network.ts'
import { type Problem } from '#/model/problems.ts'
import { type Routing } from '#/model/routing.ts'
import { effective, type Said } from '#/settings/precedence.ts'
import { ClusterSettings } from './cluster/cluster-settings.ts'
import { ClusterView, keepOfNodes } from './cluster/cluster-view.ts'
import { type EndpointStore } from './endpoints/endpoint-store.ts'
import { type Urgency } from './network/reconcile-loop.ts'

/** So long the API may take to tell of the nodes before what was last known of them is used. */
const recallAfterMs = 2000

/** Node objects of real clusters have about 10 KiB each: parsing a page of 100 blocks the event loop only for milliseconds. */
const nodesPerPage = 100

export type ClusterPartDeps = {
  readonly client: ApiClient
  readonly store: EndpointStore
  readonly wake: Signal<Urgency>
  readonly log: Logger
}

export type ClusterPartConfig = {
  readonly nodeName: string
  /** The datapath where neither the cluster nor the node demands another. */
  readonly datapath: DatapathName
  readonly settings: Pick<NetworkSettings, 'routing'>
}

export class ClusterPart implements AsyncDisposable {
  readonly #config: ClusterPartConfig
  readonly #made = new AsyncDisposableStack()
  readonly nodes: Reflector<KubeNode>
  readonly view: ClusterView
  readonly #settings: ClusterSettings
  /** Emitted when the settings in the cluster's objects have changed, or are known for the first time. */
  readonly settingsChanged = new Signal<void>()

  constructor(config: ClusterPartConfig, { client, store, wake, log }: ClusterPartDeps) {
    this.#config = config
    this.nodes = this.#made.use(
      new Reflector<KubeNode>(
        { path: nodesPath(), pageSize: nodesPerPage },
        { client, log: log.with({ watch: 'nodes' }), keep: keepOfNodes(config.nodeName) },
      ),
    )
    this.view = new ClusterView(
      { nodeName: config.nodeName },
      {
        reflector: this.nodes,
        store,
        onChange: () => {
          this.#noteDatapath()
          wake.emit('soon')
        },
      },
    )
    this.#settings = this.#made.use(
      new ClusterSettings({
        client,
        onChange: () => {
          this.#noteDatapath()
          wake.emit('later')
          this.settingsChanged.emit()
        },
        log,
      }),
    )
  }

  start(): void {
    this.nodes.start()
    this.#settings.start()
    const recall = setTimeout(() => this.view.recall(), recallAfterMs)
    this.#made.defer(() => clearTimeout(recall))
  }

  /** Whether all nodes and the cluster's settings have been seen once. */
  get isKnown(): boolean {
    return this.view.isComplete && this.#settings.isKnown
  }

  /** The routing by which this node is to reach other nodes. */
  get routing(): Routing {
    return effective({
      node: this.view.self?.routing,
      cluster: this.#settings.routing,
      isClusterKnown: this.#settings.isKnown,
      before: this.view.toldRouting,
      agent: this.#config.settings.routing,
    }).value
  }

  /** The datapath that pods of this node are to have, and who says so. */
  get datapath(): Said<DatapathName> {
    return effective({
      node: this.view.self?.datapath,
      cluster: this.#settings.datapath,
      isClusterKnown: this.#settings.isKnown,
      before: this.view.formerDatapath,
      agent: this.#config.datapath,
    })
  }

  /** Has the datapath known to an agent that starts while the API cannot be reached. */
  #noteDatapath(): void {
    if (this.isKnown) this.view.noteDatapath(this.datapath.value)
  }

  /** Problems of the cluster's settings. Problems of nodes are in `view.problems`. */
  get problems(): readonly Problem[] {
    return this.#settings.problems
  }

  /** This node's Node object as it was last seen. */
  get ownNode(): KubeNode | undefined {
    return this.nodes.objects.get(this.#config.nodeName)
  }

  get apiStatus(): ReflectorStatus & { readonly inSync: boolean; readonly nodes: number } {
    return { ...this.nodes.status, inSync: this.nodes.inSync, nodes: this.nodes.objects.size }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}
