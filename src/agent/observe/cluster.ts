// What an observer knows of the cluster: its nodes, with what flannel has written on them, and its pods. Nothing else is asked of the API.
import { type ApiClient } from '#/cluster/client.ts'
import { nodesPath, podsPath } from '#/cluster/paths.ts'
import { keepOfRead, type Received } from '#/cluster/received.ts'
import { Reflector, type ReflectorStatus } from '#/cluster/reflector.ts'
import { type Logger } from '#/lib/log.ts'
import { families } from '#/lib/addr.ts'
import { flannelNodeOf, type FlannelNode } from '#/model/flannel.ts'
import { keyOf, type KubeNode } from '#/model/kubernetes.ts'
import { PolicyIndex } from '#/policy/index/policy-index.ts'
import { PolicyPodReader } from '#/policy/read-pod.ts'
import { type PolicyPod } from '#/policy/cluster.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'

/** Objects of real clusters have about 10 KiB each: parsing a page of 100 blocks the event loop only for milliseconds. */
const pageSize = 100

export type ObservedClusterDeps = { readonly client: ApiClient; readonly nodeName: string; readonly log: Logger }

export class ObservedCluster implements AsyncDisposable {
  readonly #deps: ObservedClusterDeps
  readonly #made = new AsyncDisposableStack()
  readonly #nodes: Reflector<Received<FlannelNode>>
  readonly #pods: Reflector<Received<PolicyPod>>
  readonly #flannel = new Map<string, FlannelNode>()
  /** Names for addresses, and addresses for names. */
  readonly view = new PolicyIndex()

  constructor(deps: ObservedClusterDeps) {
    this.#deps = deps
    const { client, log } = deps
    const reader = new PolicyPodReader()
    const read = (node: KubeNode): FlannelNode => flannelNodeOf(node)
    this.#nodes = this.#made.use(
      new Reflector<Received<FlannelNode>>(
        { path: nodesPath(), pageSize },
        { client, log: log.with({ watch: 'nodes' }), keep: keepOfRead(read) },
      ),
    )
    this.#pods = this.#made.use(
      new Reflector<Received<PolicyPod>>(
        { path: podsPath(), pageSize },
        { client, log: log.with({ watch: 'pods' }), keep: keepOfRead(reader.read) },
      ),
    )
    this.#nodes.subscribe((change) => {
      if (change.kind === 'deleted') this.#forgetNode(change.key)
      else if (change.kind !== 'synced') this.#takeNode(change.object.take())
    })
    this.#pods.subscribe((change) => {
      if (change.kind === 'deleted') this.view.removePod(keyOf(change.object))
      else if (change.kind !== 'synced') this.#takePod(change.object.take())
    })
  }

  start(): void {
    this.#nodes.start()
    this.#pods.start()
  }

  #takeNode(node: FlannelNode | undefined): void {
    if (node === undefined) return
    this.#flannel.set(node.name, node)
    // its own processes talk to pods of other nodes from the first address of the pod CIDR, which its VXLAN device has
    const ofDevices = families.flatMap((family) =>
      node.podCIDRs.filter((cidr) => cidr.family === family).flatMap((cidr) => [cidr.at(1), cidr.addr]),
    )
    this.view.setNode(node.name, [...node.addrs, ...ofDevices])
  }

  #forgetNode(name: string): void {
    this.#flannel.delete(name)
    this.view.removeNode(name)
  }

  #takePod(pod: PolicyPod | undefined): void {
    if (pod !== undefined) this.view.setPod(pod)
  }

  /** Whether all nodes and pods have been seen once. */
  get isKnown(): boolean {
    return this.#nodes.inSync && this.#pods.inSync
  }

  /** Why they have not, in the words of the API. */
  get lastError(): string | undefined {
    return this.#nodes.status.lastError ?? this.#pods.status.lastError
  }

  get self(): FlannelNode | undefined {
    return this.#flannel.get(this.#deps.nodeName)
  }

  get others(): readonly FlannelNode[] {
    return [...this.#flannel.values()]
      .filter(({ name }) => name !== this.#deps.nodeName)
      .toSorted((a, b) => byNumberedName(a.name, b.name))
  }

  /** The pods of this node with a network of their own. */
  get ownPods(): readonly PolicyPod[] {
    return [...this.view.pods.values()].filter(
      ({ node, isHostNetwork, hasEnded, addrs }) =>
        node === this.#deps.nodeName && !isHostNetwork && !hasEnded && addrs.length > 0,
    )
  }

  get apiStatus(): ReflectorStatus & { readonly inSync: boolean; readonly nodes: number } {
    return { ...this.#nodes.status, inSync: this.isKnown, nodes: this.#flannel.size }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}
