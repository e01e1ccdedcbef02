// Does the work of a cluster's kubelets, scheduler and pod garbage collector, as far as the lab's pods need it, for all nodes in one
// process. It is level-triggered: it compares the API's objects with what runs, and works on the difference.
import { existsSync } from 'node:fs'
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { nodesPath, nodeStatusPath, podPath, podsPath, podStatusPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { conditionOf, type KubeNode, nodeNameOf, type Pod, podAddressesOf, podPhaseOf } from '#/model/kubernetes.ts'
import { askAgent } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { EventRecorder } from '#/cluster/event-recorder.ts'
import { referenceTo } from '#/model/kubernetes.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { type EchoServer, serveEcho } from './probe/echo.ts'
import { type LabPaths } from './paths.ts'
import { type Sandbox, type Sandboxes } from './sandboxes.ts'
import { agentNamespace, agentPod, agentPodName, agentPodStatus, isAgentPod, toldAnswering } from './agent-pods.ts'
import { chooseNode } from './schedule.ts'
import { LabScheduler } from './scheduler.ts'
import { labNodes, type LabNode, type LabSpec, podTitle } from './spec.ts'
import { nodeStatus, runningStatus } from './kubelet-objects.ts'

const tickMs = 1000
/** The pause after a failed CNI call; kubelet's own back-off begins with about the same time. */
const retryMs = 1000

function isToldRunning(pod: Pod, sandbox: Sandbox): boolean {
  return podPhaseOf(pod) === 'Running' && podAddressesOf(pod).addrs.join(' ') === sandbox.addrs.join(' ')
}

export type KubeletDeps = { readonly client: ApiClient; readonly sandboxes: Sandboxes; readonly log: Logger }

export class LabKubelet {
  readonly #nodes: readonly LabNode[]
  readonly #paths: LabPaths
  readonly #client: ApiClient
  readonly #sandboxes: Sandboxes
  readonly #log: Logger
  readonly #events: EventRecorder
  readonly #scheduler: LabScheduler
  readonly #nodeWatch: Reflector<KubeNode>
  readonly #podWatch: Reflector<Pod>
  readonly #echoes = new Map<string, EchoServer>()
  /** The uids of pods with work under way or postponed: each pod has one task at a time. */
  readonly #busy = new Set<string>()
  readonly #tasks = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #isTurning = false
  #isStopped = false

  constructor(options: { spec: LabSpec; paths: LabPaths }, deps: KubeletDeps) {
    this.#nodes = labNodes(options.spec)
    this.#paths = options.paths
    this.#client = deps.client
    this.#sandboxes = deps.sandboxes
    this.#log = deps.log
    this.#events = new EventRecorder({ component: 'lab-kubelet', instance: options.spec.name }, deps)
    this.#scheduler = new LabScheduler({ lab: options.spec.name }, deps)
    this.#nodeWatch = new Reflector<KubeNode>({ path: nodesPath() }, deps)
    this.#podWatch = new Reflector<Pod>({ path: podsPath() }, deps)
  }

  start(): void {
    for (const watch of [this.#nodeWatch, this.#podWatch]) {
      watch.subscribe(() => this.#turnSoon())
      watch.start()
    }
    this.#timer = setInterval(() => this.#turnSoon(), tickMs)
  }

  #turnSoon(): void {
    if (this.#isTurning || this.#isStopped) return
    this.#isTurning = true
    setTimeout(() => {
      this.#isTurning = false
      if (!this.#isStopped && this.#nodeWatch.inSync && this.#podWatch.inSync) this.#turn()
    }, 10)
  }

  #turn(): void {
    const nodes = [...this.#nodeWatch.objects.values()]
    const pods = this.#pods()
    const sandboxes = new Map(this.#sandboxes.list().map((sandbox) => [sandbox.uid, sandbox]))
    const uids = new Set(pods.map(({ metadata }) => metadata.uid))
    for (const node of nodes) this.#report(node)
    this.#dropAgentPods(nodes)
    for (const pod of pods) this.#tend(pod, nodes, pods, sandboxes.get(pod.metadata.uid ?? ''))
    for (const sandbox of sandboxes.values()) {
      if (!uids.has(sandbox.uid)) this.#work(sandbox.uid, () => this.#tearDown(sandbox))
    }
  }

  /** All pods but those of agents, which are processes that `lab up` starts. */
  #pods(): Pod[] {
    return [...this.#podWatch.objects.values()].filter((pod) => !isAgentPod(pod))
  }

  #deletePod({ metadata: { namespace = 'default', name } }: Pod): Promise<void> {
    return this.#client.delete(podPath(namespace, name), { query: { gracePeriodSeconds: '0' } })
  }

  /** Deletes the pods of agents whose nodes are gone. */
  #dropAgentPods(nodes: readonly KubeNode[]): void {
    for (const pod of this.#podWatch.objects.values()) {
      const node = nodeNameOf(pod)
      if (isAgentPod(pod) && !nodes.some(({ metadata }) => metadata.name === node))
        this.#work(`agent of ${node}`, () => this.#deletePod(pod))
    }
  }

  /** Reports what a node's agent says of itself: in the Node object whether the node is ready, in the object of its pod whether it runs. */
  #report(object: KubeNode): void {
    const node = this.#nodes.find(({ name }) => name === object.metadata.name)
    if (!node) return
    this.#work(`node ${node.name}`, async () => {
      const outcome = await askAgent(socketTransport(this.#paths.agentSocket(node.name)), 'readyz')
      await this.#tellReadiness(node, object, outcome.kind === 'answer' ? undefined : outcome.message)
      await this.#keepAgentPod(node, outcome.kind !== 'silence')
    })
  }

  /** `reason` says why the node is not ready. */
  async #tellReadiness(node: LabNode, object: KubeNode, reason: string | undefined): Promise<void> {
    const ready = conditionOf(object, 'Ready')
    if (ready.status === (reason === undefined ? 'True' : 'False') && (reason ?? ready.message) === ready.message)
      return
    // without the addresses: a strategic patch merges them by type, so two InternalIPs would become one
    const { conditions } = nodeStatus(node, reason ?? '')
    await this.#client.patch(nodeStatusPath(node.name), { status: { conditions } }, 'strategic')
  }

  /** Makes the object of an agent's pod, and tells in it whether the agent answers. */
  async #keepAgentPod(node: LabNode, isAnswering: boolean): Promise<void> {
    const name = agentPodName(node.name)
    const pod = this.#podWatch.objects.get(`${agentNamespace}/${name}`)
    if (pod?.metadata.deletionTimestamp !== undefined) return this.#deletePod(pod)
    if (pod !== undefined && toldAnswering(pod) === isAnswering) return
    if (pod === undefined) await this.#client.create(podsPath(agentNamespace), agentPod(node.name))
    const status = agentPodStatus(node, isAnswering, new Date().toISOString().replace(/\.\d+Z$/, 'Z'))
    await this.#client.patch(podStatusPath(agentNamespace, name), { status }, 'merge')
  }

  #tend(pod: Pod, nodes: readonly KubeNode[], pods: readonly Pod[], sandbox: Sandbox | undefined): void {
    const { uid = '' } = pod.metadata
    const nodeName = nodeNameOf(pod)
    if (pod.metadata.deletionTimestamp !== undefined) return this.#step(uid, () => this.#finish(pod, sandbox))
    if (nodeName === '') {
      const choice = chooseNode(pod, nodes, pods)
      if (choice.kind === 'node') return this.#step(uid, () => this.#scheduler.bind(pod, choice.name))
      return this.#work(uid, () => this.#scheduler.tellUnschedulable(pod, choice.message))
    }
    if (!nodes.some(({ metadata }) => metadata.name === nodeName)) {
      // deletes the pods of a missing node, as the pod garbage collector does
      return this.#step(uid, () => this.#deletePod(pod))
    }
    const node = this.#nodes.find(({ name: each }) => each === nodeName)
    if (!node) return
    if (sandbox === undefined || sandbox.addrs.length === 0) this.#step(uid, () => this.#run(pod, node))
    else if (!this.#echoes.has(uid)) this.#step(uid, () => this.#resume(sandbox))
    // the namespace is missing: the next turn makes the sandbox anew
    else if (!existsSync(netnsPath(sandbox.netns))) this.#step(uid, () => this.#tearDown(sandbox))
    else if (!isToldRunning(pod, sandbox)) this.#step(uid, () => this.#tellRunning(pod, sandbox))
  }

  /** Whether every pod that runs by the API's word does so, and no work is under way but for pods that do not run yet, or cannot. */
  get isSettled(): boolean {
    if (!this.#nodeWatch.inSync || !this.#podWatch.inSync) return false
    const [running, pending] = [true, false].map((isRunning) =>
      this.#pods().filter((pod) => (podPhaseOf(pod) === 'Running') === isRunning),
    )
    const waiting = new Set(pending!.map(({ metadata }) => metadata.uid))
    if (this.#busy.keys().some((key) => !waiting.has(key))) return false
    const sandboxes = new Map(this.#sandboxes.list().map((sandbox) => [sandbox.uid, sandbox]))
    const isLive = (pod: Pod): boolean => {
      const { uid = '' } = pod.metadata
      const sandbox = sandboxes.get(uid)
      return (
        sandbox !== undefined &&
        this.#echoes.has(uid) &&
        existsSync(netnsPath(sandbox.netns)) &&
        isToldRunning(pod, sandbox)
      )
    }
    const names = new Set(this.#nodes.map(({ name }) => name))
    return running!.filter((pod) => names.has(nodeNameOf(pod))).every(isLive)
  }

  /** Runs a task like #work, then compares everything again, because one step of a pod's life leads to the next. */
  #step(uid: string, task: () => Promise<void>): void {
    this.#work(uid, async () => {
      await task()
      this.#turnSoon()
    })
  }

  /** Runs one task for `key`. While it runs, and for a while after it failed, no other task for the same key starts. */
  #work(key: string, task: () => Promise<void>): void {
    if (this.#busy.has(key)) return
    this.#busy.add(key)
    const done = (): void => {
      this.#busy.delete(key)
      this.#turnSoon()
    }
    const running = task().then(
      () => void this.#busy.delete(key),
      (error: unknown) => {
        if (!isApiError(error, 404) && !isApiError(error, 409))
          this.#log.warn('will try again', { key, error: messageOf(error) })
        setTimeout(done, retryMs)
      },
    )
    this.#tasks.add(running)
    void running.finally(() => this.#tasks.delete(running))
  }

  async #run(pod: Pod, node: LabNode): Promise<void> {
    const about = referenceTo('v1', 'Pod', pod)
    try {
      const sandbox = await this.#sandboxes.run(pod, node)
      await this.#serve(sandbox)
      await this.#tellRunning(pod, sandbox)
    } catch (error) {
      this.#events.record(about, 'Warning', 'FailedCreatePodSandBox', messageOf(error))
      throw error
    }
  }

  async #tellRunning(pod: Pod, sandbox: Sandbox): Promise<void> {
    const { namespace = 'default', name } = pod.metadata
    const node = this.#nodes.find((each) => each.name === sandbox.node)!
    const status = runningStatus(pod, sandbox, node)
    await this.#client.patch(podStatusPath(namespace, name), { status }, 'merge')
  }

  async #serve(sandbox: Sandbox): Promise<void> {
    using netns = new Netns(netnsPath(sandbox.netns))
    this.#echoes.set(sandbox.uid, await serveEcho(netns, podTitle(sandbox)))
  }

  /** Takes over a sandbox that an earlier kubelet made, or removes it when it is no longer complete. */
  async #resume(sandbox: Sandbox): Promise<void> {
    try {
      await this.#serve(sandbox)
    } catch (error) {
      this.#log.warn('the sandbox is made anew', { pod: sandbox.name, error: messageOf(error) })
      await this.#tearDown(sandbox)
    }
  }

  async #tearDown(sandbox: Sandbox): Promise<void> {
    await this.#echoes.get(sandbox.uid)?.[Symbol.asyncDispose]()
    this.#echoes.delete(sandbox.uid)
    await this.#sandboxes.remove(sandbox)
  }

  /** Ends a pod that is being deleted: first its network, then its object. */
  async #finish(pod: Pod, sandbox: Sandbox | undefined): Promise<void> {
    if (sandbox) await this.#tearDown(sandbox)
    await this.#deletePod(pod)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#timer)
    await Promise.allSettled(this.#tasks)
    await this.#nodeWatch[Symbol.asyncDispose]()
    await this.#podWatch[Symbol.asyncDispose]()
    for (const echo of this.#echoes.values()) await echo[Symbol.asyncDispose]()
    await this.#scheduler[Symbol.asyncDispose]()
    await this.#events[Symbol.asyncDispose]()
  }
}
