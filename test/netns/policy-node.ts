// A node with network policies: that of ebpf-node.ts, with an API whose pods, namespaces and policies are in the hands of the test, and the part
// of the agent that enforces them. The kernel's notifications lead to comparisons as in the agent.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { Adopter } from '#/agent/policy/adopt.ts'
import { type PolicyPart } from '#/agent/policy-part.ts'
import { namespaceObject, podObject, policyObject } from '#/agent/policy/testing/policy-objects.ts'
import { clientFor } from '#/cluster/connect.ts'
import { namespacesPath, networkPoliciesPath, podsPath } from '#/cluster/paths.ts'
import { CollectionsApi } from '#/cluster/testing/collections-api.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { findFlows, flowDelete } from '#/kernel/flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { watchKernel } from '#/kernel/notifications.ts'
import { silent } from '#/lib/log.ts'
import { policyTableName } from '#/model/names.ts'
import { evaluate } from '#/policy/evaluate.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { type CniReply } from '#/wire/cni/index.ts'
import { AgentParts, EbpfNode } from './ebpf-node.ts'
import { type TestNetns } from './namespace.ts'
import { codeOf, messageIn, request } from './pod-node.ts'

export type Labels = Readonly<Record<string, string>>

const patient = new AbortController().signal

export class PolicyNode extends EbpfNode {
  #api: CollectionsApi | undefined
  #watch: Disposable | undefined
  readonly #labels = new Map<string, Labels>()

  static async start(datapath: 'bridge' | 'ebpf'): Promise<PolicyNode> {
    const node = new PolicyNode()
    node.wanted = datapath
    // served in the node's namespace, where this thread is
    node.#api = await CollectionsApi.start()
    node.api.put(namespacesPath(), namespaceObject('shop'))
    await node.restart()
    await node.settle()
    await node.level()
    assert.deepEqual(node.agent.pods.datapathState, { name: datapath })
    return node
  }

  get api(): CollectionsApi {
    assert.ok(this.#api)
    return this.#api
  }

  get policy(): PolicyPart {
    assert.ok(this.agent.policy)
    return this.agent.policy
  }

  protected override async nextAgent(): Promise<AgentParts> {
    const agent = new AgentParts(this, await clientFor(this.api.config))
    agent.policy!.start()
    this.#watch?.[Symbol.dispose]()
    this.#watch = watchKernel(
      new Set(agent.policy!.portIds),
      (notification) => {
        const isOurs = notification.kind === 'table' && notification.name === policyTableName
        if (isOurs || notification.kind === 'lost') agent.policy!.noteTableChange()
      },
      () => {},
    )
    return agent
  }

  /** Until all that the API has told is in the kernel. */
  async level(): Promise<void> {
    await eventually(() => this.policy.keeper.isLevel && !this.policy.keeper.isBehind, 'level')
  }

  /** Resolves when it is enforced. */
  async setPolicy(name: string, spec: Readonly<Record<string, unknown>>): Promise<void> {
    const before = this.#policyOf(name)
    this.api.put(networkPoliciesPath(), policyObject(`shop/${name}`, spec))
    await eventually(() => this.#policyOf(name) !== before, 'the policy is known')
    await this.level()
  }

  async removePolicy(name: string): Promise<void> {
    this.api.remove(networkPoliciesPath(), `shop/${name}`)
    await eventually(() => this.#policyOf(name) === undefined, 'the policy is gone')
    await this.level()
  }

  #policyOf(name: string): unknown {
    return this.policy.view.policies.get(`networkpolicy/shop/${name}`)
  }

  /** Resolves when what the pod's labels bring is enforced. */
  async label(name: string, labels: Labels): Promise<void> {
    this.setLabels(name, labels)
    await eventually(
      () => isDeepStrictEqual(this.policy.view.pods.get(`shop/${name}`)?.labels, labels),
      'the labels are known',
    )
    await this.level()
  }

  /** Tells of the pod, with its addresses once it has some, as its kubelet does. */
  setLabels(name: string, labels: Labels): void {
    this.#labels.set(name, labels)
    const addrs = this.agent.store.find({ containerId: name, ifName: 'eth0' })?.addrs ?? []
    this.api.put(podsPath(), podObject(`shop/${name}`, { labels, addrs: addrs.map(({ addr }) => String(addr)) }))
  }

  /** Adds a pod of the namespace shop, of which the API tells first; `prepare` gets its namespace before. */
  async addPod(name: string, labels: Labels, prepare: (pod: TestNetns) => void = () => {}): Promise<TestNetns> {
    const pod = this.newPod(name)
    prepare(pod)
    this.setLabels(name, labels)
    const reply = await this.tryAdd(name)
    assert.equal(codeOf(reply), 0, messageIn(reply))
    this.setLabels(name, labels)
    return pod
  }

  /** An ADD as the agent answers it, of a pod whose namespace is there. */
  async tryAdd(name: string): Promise<CniReply> {
    const uid = `uid of shop/${name}`
    const refusal = await this.policy.admit({ namespace: 'shop', name, uid }, patient)
    if (refusal !== undefined) return { kind: 'error', error: { code: 11, msg: 'held back', details: refusal } }
    const args = `K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name};K8S_POD_UID=${uid}`
    return this.agent.handler.handle(request('ADD', name, this.pods.get(name)!.path, { env: { CNI_ARGS: args } }))
  }

  /** What takes up connections that connection tracking has lost. */
  adopter(made: AsyncDisposableStack): Adopter {
    return new Adopter({
      evaluate: (packet) => evaluate(this.policy.view, packet),
      isLevel: () => this.policy.keeper.isLevel,
      hasConnection: (ends) => this.agent.pods.hasConnection(ends),
      ended: this.policy.ended,
      netlink: made.use(new Netlink(NETLINK_NETFILTER)),
      log: silent,
    })
  }

  /** Has connection tracking forget the connections to a port. */
  async loseConnections(port: number): Promise<void> {
    using netlink = new Netlink(NETLINK_NETFILTER)
    const flows = await findFlows(netlink, () => true)
    netlink.execute(...flows.filter(({ dstPort }) => dstPort === port).map(flowDelete))
  }

  addrOf(name: string, family: 4 | 6 = 4): string {
    const { addrs } = this.agent.store.find({ containerId: name, ifName: 'eth0' })!
    return String(addrs.find(({ addr }) => addr.family === family)!.addr)
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]()
    await super[Symbol.asyncDispose]()
    await this.#api?.[Symbol.asyncDispose]()
  }
}
