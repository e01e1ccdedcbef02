// Network policy on this node: knows what policies are made of, keeps what they say in the kernel, and holds back pods of which that is not
// known yet. It is beside the network part: a policy that changes causes no pass over routes.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { type Reflector } from '#/cluster/reflector.ts'
import { type Change } from '#/cluster/store.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type AddRefusal } from '#/model/readiness.ts'
import { inetTableName } from '#/plan/policy/inet-table.ts'
import { evaluate } from '#/policy/evaluate.ts'
import { type Form } from '#/policy/form.ts'
import { PolicyIndex } from '#/policy/index/policy-index.ts'
import { type PolicyReading } from '#/policy/policy.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { factsOf } from './cluster/node-facts.ts'
import { type EndpointStore } from './endpoints/endpoint-store.ts'
import { Admission } from './policy/admission.ts'
import { ClassMemory } from './policy/class-memory.ts'
import { conntrackProblem } from './policy/conntrack-room.ts'
import { EndedConnections } from './policy/ended-connections.ts'
import { PolicyKeeper } from './policy/keeper.ts'
import { LocalPods } from './policy/local-pods.ts'
import { Obstacles } from './policy/obstacles.ts'
import { type AddedPod, type LocalEndpoint, PolicyError, type PodPolicies } from './policy/pod-policies.ts'
import { PolicyWatch } from './policy/policy-watch.ts'
import { RememberedPolicy } from './policy/remembered-policy.ts'
import { RunningConnections } from './policy/running-connections.ts'
import { type PolicyFacts, type PolicySink } from '#/reconcile/policy/policy-sink.ts'
import { type PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { touchedBy } from './policy/touched.ts'

export type PolicyPartConfig = { readonly nodeName: string; readonly clusterCIDRs: readonly Prefix[] }

export type PolicyPartDeps = {
  readonly client: ApiClient
  /** For synchronous requests only. */
  readonly netlink: Netlink
  readonly nodes: Pick<Reflector<KubeNode>, 'subscribe'>
  readonly store: EndpointStore
  readonly sinks: readonly PolicySink[]
  /** That of the sinks which is nftables. */
  readonly tables?: PolicyTables
  /** The MAC of the pods' bridge, on which rules depend; undefined while there is none. */
  readonly bridgeMac: () => string | undefined
  /** The programs at work, whose maps are filled; another value when they are others. */
  readonly programs?: () => unknown
  /** There is news to report. */
  readonly onNews: () => void
  readonly log: Logger
  readonly clock?: Clock
}

/**
 * `waiting`: not everything is known yet; `off`: the cluster has no policy; `failing`: the kernel does not have what policies say, and pods
 * keep the rules of before.
 */
export type PolicyState = {
  readonly kind: 'waiting' | 'off' | 'enforced' | 'failing'
  readonly why?: string
  readonly sinceMs?: number
}

export class PolicyPart implements PodPolicies, AsyncDisposable {
  readonly #config: PolicyPartConfig
  readonly #deps: PolicyPartDeps
  readonly #clock: Clock
  readonly #made = new AsyncDisposableStack()
  readonly #index = new PolicyIndex()
  readonly #locals: LocalPods
  readonly #watch: PolicyWatch
  readonly #obstacles: Obstacles
  readonly #admission: Admission
  readonly #remembered: RememberedPolicy
  readonly #connections: RunningConnections
  /** As of the last change that was written. */
  readonly #before = new ClassMemory()
  /** The bridge and the programs with which everything was compared last. */
  #comparedMac: string | undefined
  #comparedPrograms: unknown
  /** Whether an agent before this one left rules in the kernel, which are to stay until all is known. */
  readonly #hadRules: boolean
  readonly keeper: PolicyKeeper
  /** The connections that policies ended. */
  readonly ended: EndedConnections

  constructor(config: PolicyPartConfig, deps: PolicyPartDeps) {
    this.#config = config
    this.#deps = deps
    const { client, store, sinks, nodes, log, clock = systemClock } = deps
    this.#clock = clock
    this.#hadRules = sinks.some((sink) => sink.existsInKernel())
    this.#remembered = new RememberedPolicy(store)
    this.#locals = new LocalPods(this.#index)
    for (const endpoint of store.list()) this.#locals.set(endpoint)
    const { ports } = this.#locals
    this.keeper = this.#made.use(new PolicyKeeper({ source: this.#index, sinks, ports, clock, log }))
    this.#watch = this.#made.use(
      new PolicyWatch({ client, index: this.#index, onChange: (ofPolicy) => this.#noteChange(ofPolicy), log, clock }),
    )
    this.#obstacles = new Obstacles({
      watch: this.#watch,
      keeper: this.keeper,
      index: this.#index,
      hadNone: () => this.#remembered.hadNone,
      hadRules: this.#hadRules,
      clock,
    })
    this.#admission = new Admission({ obstacleTo: (pod) => this.#obstacles.to(pod), onNews: deps.onNews, clock })
    this.ended = this.#made.use(new EndedConnections({ block: (...change) => this.#block(...change), clock, log }))
    this.#connections = this.#made.use(this.#makeConnections())
    this.keeper.applied.subscribe(({ form, change }) => {
      const touched = touchedBy(form, change, this.#before)
      this.#before.note(form, change)
      if (touched) this.#connections.note(touched)
      this.#remembered.save(this.#index.hasPolicies)
      this.#admission.wake()
    })
    this.keeper.compared.subscribe(({ wasOther }) => {
      this.#remembered.save(this.#index.hasPolicies)
      this.#before.reset(this.#index.form)
      if (wasOther) this.#connections.note({ locals: [...this.#locals.addrs()], peers: [] })
      this.#connections.noteLevel()
    })
    this.keeper.changed.subscribe(() => {
      this.#admission.wake()
      deps.onNews()
    })
    nodes.subscribe((change) => this.#takeNode(change))
  }

  #block(...change: Parameters<PolicyTables['blockAnswers']>): void {
    try {
      this.#deps.tables?.blockAnswers(...change)
    } catch (error) {
      this.keeper.compareSoon()
      throw error
    }
  }

  #makeConnections(): RunningConnections {
    const { netlink, log } = this.#deps
    return new RunningConnections({
      evaluate: (packet) => evaluate(this.#index, packet),
      isLevel: () => this.keeper.isLevel,
      localAddrs: () => this.#locals.addrs(),
      mayBeUnknownPod: (addr) => this.#mayBeUnknownPod(addr),
      nodeAddrs: () => listAddresses(netlink).map(({ addr }) => addr),
      ended: this.ended,
      clock: this.#clock,
      log,
    })
  }

  /** Whether an address is of the range of pods, and nobody's that is known. */
  #mayBeUnknownPod(addr: Addr): boolean {
    const isOfPods = this.#config.clusterCIDRs.some((cidr) => cidr.contains(addr))
    return isOfPods && this.#index.podAt(addr) === undefined
  }

  start(): void {
    this.#watch.start()
  }

  #noteChange(ofPolicy = false): void {
    if (this.#watch.inSync) this.keeper.begin()
    this.keeper.note(ofPolicy)
    this.#admission.wake()
  }

  #takeNode(change: Change<KubeNode>): void {
    if (change.kind === 'synced') return
    if (change.kind === 'deleted') this.#index.removeNode(change.key)
    else this.#index.setNode(change.key, addrsOf(change.object))
    this.keeper.note()
  }

  /** What the evaluator is asked about: the cluster as it is known now. */
  get view(): PolicyIndex {
    return this.#index
  }

  /** What policies are in nftables; undefined where they are kept elsewhere. */
  get tables(): PolicyTables | undefined {
    return this.#deps.tables
  }

  /** What the kernel was last told. */
  get form(): Form {
    return this.#index.form
  }

  /** What a comparison would put right in nftables now, a line each. Rejects with KernelError. */
  async differences(): Promise<readonly string[]> {
    return this.keeper.isLevel ? ((await this.tables?.differences(this.form, this.facts)) ?? []) : []
  }

  /** What rules depend on besides the form. */
  get facts(): PolicyFacts {
    return { hasPolicies: this.#index.hasPolicies, ports: this.#locals.ports, changedPorts: new Set() }
  }

  /** What was read of each policy, by its key. */
  get readings(): ReadonlyMap<string, PolicyReading> {
    return this.#watch.readings
  }

  get state(): PolicyState {
    const { state } = this.keeper
    if (state.kind === 'failing') return { kind: 'failing', why: state.why, sinceMs: state.sinceMs }
    if (state.kind === 'waiting') {
      const rest = this.#hadRules ? '; until then the rules hold that are in the kernel' : ''
      return { kind: 'waiting', why: `${this.#obstacles.lack}${rest}` }
    }
    return { kind: this.#index.hasPolicies ? 'enforced' : 'off', sinceMs: state.sinceMs }
  }

  get objects(): readonly ObjectStatus[] {
    return this.#deps.sinks.flatMap(({ objects }) => objects)
  }

  /** The netlink ports through which this part changes the kernel. */
  get portIds(): readonly number[] {
    return this.#deps.sinks.flatMap(({ portId }) => portId ?? [])
  }

  /** How many connections policies have ended. */
  get endedConnections(): number {
    return this.#connections.count
  }

  async admit(pod: AddedPod, signal: AbortSignal): Promise<string | undefined> {
    return this.#obstacles.to(pod) === undefined ? undefined : this.#admission.admit(pod, signal)
  }

  enforce(endpoint: LocalEndpoint, pod: AddedPod | undefined): void {
    // what Kubernetes does not know no policy selects
    const obstacle = pod && this.#obstacles.to(pod)
    if (obstacle !== undefined) throw new PolicyError(obstacle)
    this.#locals.set(endpoint)
    this.keeper.notePort(endpoint.hostDevice)
    try {
      this.keeper.flush()
    } catch (error) {
      this.#locals.remove(endpoint.hostDevice)
      throw error
    }
  }

  noteEndpoints(): void {
    const { gone, other } = this.#locals.differences(this.#deps.store.list())
    if (gone.length + other.length === 0) return
    for (const device of gone) this.#forget(device)
    for (const endpoint of other) {
      this.#locals.set(endpoint)
      this.keeper.notePort(endpoint.hostDevice)
    }
    try {
      this.keeper.flush()
    } catch (error) {
      this.#deps.log.error('the rules of pods that are gone stay for now', { error: messageOf(error) })
    }
  }

  #forget(device: string): void {
    const addrs = this.#locals.ports.get(device) ?? []
    this.#locals.remove(device)
    this.keeper.notePort(device)
    if (this.keeper.isLevel) return
    try {
      for (const sink of this.#deps.sinks) sink.dropLocal(device, addrs)
    } catch (error) {
      this.#deps.log.error('the rules of a pod that is gone stay for now', { device, error: messageOf(error) })
    }
  }

  /** Somebody may have changed what this part keeps in the kernel. */
  noteTableChange(): void {
    this.#compareSoon()
  }

  /** What rules and maps stand on, the bridge and the programs, may be others. */
  noteGround(): void {
    const { bridgeMac, programs } = this.#deps
    if (bridgeMac() !== this.#comparedMac || programs?.() !== this.#comparedPrograms) this.#compareSoon()
  }

  #compareSoon(): void {
    this.#comparedMac = this.#deps.bridgeMac()
    this.#comparedPrograms = this.#deps.programs?.()
    this.keeper.compareSoon()
  }

  /** Why new pods are refused; undefined while they are not, and for the first moments. */
  get refusal(): AddRefusal | undefined {
    return this.#obstacles.refusal
  }

  get problems(): readonly Problem[] {
    const { state } = this.keeper
    const object = `node/${this.#config.nodeName}`
    return [
      ...this.#watch.problems,
      ...this.#admission.problems,
      // an object in error says so itself
      ...(state.kind === 'failing' && this.objects.every((each) => each.state === 'done')
        ? [problem('CW3303', object, state.why)]
        : []),
      ...this.#obstacles.problems(object),
      ...(this.tables?.untold === undefined
        ? []
        : [problem('CW3308', `policy-table/${inetTableName.family} ${inetTableName.name}`, this.tables.untold)]),
      ...[conntrackProblem(this.#config.nodeName)].filter((each) => each !== undefined),
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

/** Those of the Node object, and then those of its gateways: from the last of a family its own processes talk to pods, on other nodes too. */
function addrsOf(node: KubeNode): Addr[] {
  const { addrs, podCIDRs } = factsOf(node)
  return [...addrs, ...podCIDRs.toReversed().map((cidr) => cidr.at(1))]
}
