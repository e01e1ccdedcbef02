// What enforces policies on the node under test: the index, and the places where its form goes, as in an agent but without an API.
import { type Addr } from '#/lib/addr.ts'
import { type KubeObject, keyOf } from '#/model/kubernetes.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { type LocalPod, PolicyIndex } from '#/policy/index/policy-index.ts'
import { type PolicyReading } from '#/policy/policy.ts'
import { readClusterNetworkPolicy } from '#/policy/read-cluster-network-policy.ts'
import { readPolicyNamespace } from '#/policy/read-namespace.ts'
import { readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { readPolicyPod } from '#/policy/read-pod.ts'
import { type EbpfNode } from '../netns/ebpf-node.ts'
import { openSinks, type Sinks } from './sinks.ts'

export class PolicySubject implements AsyncDisposable {
  readonly #index = new PolicyIndex()
  readonly #node: EbpfNode
  readonly #policies = new Set<string>()
  readonly #ports = new Map<string, readonly Addr[]>()
  readonly #changedPorts = new Set<string>()
  #sinks: Sinks | undefined

  constructor(node: EbpfNode) {
    this.#node = node
  }

  get view(): PolicyView {
    return this.#index
  }

  /** Reads and makes all that is in the kernel; before that nothing is. */
  async start(): Promise<void> {
    this.#sinks = openSinks(this.#node)
    this.#index.take()
    for (const sink of this.#sinks.all) await sink.compare(this.#index.form, this.#facts)
  }

  /** What in the kernel is not as the form says: nothing, when changes were written as they should be. */
  async differences(): Promise<string[]> {
    const lines: string[] = []
    for (const sink of this.#sinks!.all) lines.push(...(await sink.compare(this.#index.form, this.#facts)))
    return lines
  }

  get #facts() {
    return { hasPolicies: this.#index.hasPolicies, ports: this.#ports, changedPorts: this.#changedPorts }
  }

  flush(): void {
    const change = this.#index.take()
    if (this.#sinks === undefined) return
    for (const sink of this.#sinks.all) sink.apply(this.#index.form, change, this.#facts)
    this.#changedPorts.clear()
  }

  setNode(name: string, addrs: readonly Addr[]): void {
    this.#index.setNode(name, addrs)
  }

  setLocal(local: LocalPod): void {
    this.#ports.set(local.hostDevice, local.addrs)
    this.#changedPorts.add(local.hostDevice)
    this.#index.setLocal(local)
  }

  removeLocal(hostDevice: string): void {
    this.#ports.delete(hostDevice)
    this.#changedPorts.add(hostDevice)
    this.#index.removeLocal(hostDevice)
  }

  removePod(key: string): void {
    this.#index.removePod(key)
  }

  put(object: KubeObject): void {
    if (object.kind === 'Pod') this.#index.setPod(readPolicyPod(object))
    else if (object.kind === 'Namespace') this.#index.setNamespace(readPolicyNamespace(object))
    else if (object.kind === 'NetworkPolicy') this.#take(`networkpolicy/${keyOf(object)}`, readNetworkPolicy(object))
    else this.#take(`clusternetworkpolicy/${keyOf(object)}`, readClusterNetworkPolicy(object))
  }

  #take(key: string, { policy }: PolicyReading): void {
    if (policy === undefined) return this.drop(key)
    this.#policies.add(key)
    this.#index.setPolicy(policy)
  }

  drop(key: string): void {
    this.#policies.delete(key)
    this.#index.removePolicy(key)
  }

  dropPolicies(): void {
    for (const key of this.#policies) this.drop(key)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#sinks?.[Symbol.dispose]()
    return Promise.resolve()
  }
}
