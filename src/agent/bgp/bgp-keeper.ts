// Keeps this node's BGP as the cluster wants it: plans the speaker's configuration whenever an object that it depends on changes,
// runs the speaker's thread, and holds what it learns for the network keeper.
import { isDeepStrictEqual } from 'node:util'
import { type BgpPeersReport } from '#/api/schemas/bgp.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { systemClock } from '#/cluster/clock.ts'
import { type Change } from '#/cluster/store.ts'
import { familiesOf } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type LearnedRouteChange, type PeerStatus, type Reach, type SpeakerConfig } from '#/model/bgp.ts'
import { meshByDefault } from '#/model/bgp-objects.ts'
import { type NetworkSettings, type NodeState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Routing } from '#/model/routing.ts'
import { planSpeaker, type SpeakerPlan } from '#/plan/bgp.ts'
import { type SessionGuard, sessionGuards, withoutOwnPort } from '#/plan/session-guards.ts'
import { ownClaims } from '#/plan/own-claims.ts'
import { type RemoteNodes } from '#/plan/remote-nodes.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { LearnedRouteStore } from './learned-route-store.ts'
import { type Handlers } from '../report/http-api.ts'
import { bgpHandlers } from './answers.ts'
import { memberOf } from './members.ts'
import { BgpObjects } from './objects.ts'
import { portProblems, portReport, type PortTroubles } from './port-troubles.ts'
import { ReplanPace } from './replan-pace.ts'
import { SavedConfig } from './saved-config.ts'
import { SecretsWait } from './secrets-wait.ts'
import { SpeakerThread } from './speaker-thread.ts'
import { type SpeakerReport } from './node-status.ts'
import { BgpStatusWriter } from './status-writer.ts'
import { type StopKind } from './thread-messages.ts'

/** With an API that is away, neighbours must not wait longer for what the last agent knew. */
const savedAfterMs = 3_000
const restartThreadMs = 5_000

export type BgpKeeperConfig = {
  readonly nodeName: string
  /** Where Causeway is installed. */
  readonly namespace: string
  readonly runDir: string
  readonly settings: NetworkSettings
}

export type BgpKeeperDeps = {
  readonly client: ApiClient
  /** This node, once it has pod CIDRs. */
  readonly self: () => NodeState | undefined
  readonly nodes: () => ReadonlyMap<string, KubeNode>
  /** That of this node, as it is decided on now. */
  readonly routing: () => Routing
  /** Whether all nodes, and what the cluster says of routing, have been seen once. */
  readonly isComplete: () => boolean
  /** Whether the kernel has routes of an earlier agent: neighbours are told that packets kept flowing. */
  readonly keptForwarding: () => boolean
  /** By prefix, why a learned route is not in the kernel or not used there. */
  readonly notInstalled: () => ReadonlyMap<string, string>
  /** Something was learned, or all has been. */
  readonly onLearned: () => void
  /** Where what is learned is kept for the network keeper. */
  readonly learned: LearnedRouteStore
  /** The problems, or whether anything is advertised, may be different. */
  readonly onChange: () => void
  readonly log: Logger
}

export type SettledClaims = Pick<RemoteNodes, 'claimsVersion' | 'rivalsOf' | 'plans'>

const noRoutes: SpeakerPlan = { role: 'none', wantedSecrets: [], problems: [] }

export class BgpKeeper implements AsyncDisposable {
  readonly #config: BgpKeeperConfig
  readonly #deps: BgpKeeperDeps
  readonly #log: Logger
  readonly #objects: BgpObjects
  readonly #saved: SavedConfig
  readonly #statusWriter: BgpStatusWriter
  readonly #pace = new ReplanPace({ plan: () => this.#replan() })
  readonly #secretsWait = new SecretsWait({ clock: systemClock, onOver: () => this.#pace.notice() })
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #learned: LearnedRouteStore
  #plan: SpeakerPlan = noRoutes
  /** What the speaker was told last, as JSON; undefined: there is none. */
  #told: string | undefined
  #thread: SpeakerThread | undefined
  #failure: string | undefined
  /** Why nothing comes in by a port, of the thread that runs. */
  #portTroubles: PortTroubles = {}
  #hasSession = false
  #reach: Reach | undefined
  #claims: SettledClaims | undefined
  #claimsVersion: number | undefined
  #hasPlanned = false
  #isStopped = false
  /** Only the first speaker of this process comes after one that left routes. */
  #isRestarting: boolean
  #guards: readonly SessionGuard[]

  constructor(config: BgpKeeperConfig, deps: BgpKeeperDeps) {
    this.#config = config
    this.#deps = deps
    this.#learned = deps.learned
    this.#log = deps.log.with({ part: 'bgp' })
    this.#saved = new SavedConfig(config.runDir)
    this.#guards = sessionGuards(this.#saved.read())
    this.#isRestarting = deps.keptForwarding()
    this.#objects = new BgpObjects(
      { nodeName: config.nodeName, namespace: config.namespace },
      { client: deps.client, onChange: () => this.#objectsChanged(), log: deps.log },
    )
    this.#statusWriter = new BgpStatusWriter({
      client: deps.client,
      live: () => this.#objects.ownObject,
      node: () => deps.nodes().get(config.nodeName),
      report: () => this.#report(),
      log: this.#log,
      outage: deps.client.outage,
    })
  }

  start(): void {
    this.#objects.start()
    this.#after(savedAfterMs, () => this.#startFromSaved())
  }

  /** Whether neighbours are told of routes of this node's own. */
  get isAdvertising(): boolean {
    const { config } = this.#plan
    return config !== undefined && config.originated.length > 0 && config.peers.length > 0
  }

  /** Whether any neighbour is there. */
  get hasSession(): boolean {
    return this.#thread !== undefined && this.#hasSession
  }

  /** Neighbours with TTL security; until the API has answered, those of the last agent. */
  get sessionGuards(): readonly SessionGuard[] {
    // another program that has our port has sessions of its own there
    return this.#portTroubles.bgp === undefined ? this.#guards : this.#guards.map(withoutOwnPort)
  }

  get problems(): readonly Problem[] {
    const failure =
      this.#failure === undefined ? [] : [problem('CW9002', `speaker/${this.#config.nodeName}`, this.#failure)]
    const ports = this.#thread === undefined ? [] : portProblems(this.#config.nodeName, this.#portTroubles)
    return [...this.#objects.snapshot.problems, ...this.#plan.problems, ...failure, ...ports]
  }

  /** Node objects change with every heartbeat: what matters here is seldom another. */
  takeNode(change: Change<KubeNode>): void {
    const isNews =
      change.kind !== 'modified' ||
      change.key === this.#config.nodeName ||
      !isDeepStrictEqual(memberOf(change.previous), memberOf(change.object))
    if (isNews) this.#pace.notice()
  }

  /** The cluster says something else of routing, or is known to say nothing. */
  noticeSettings(): void {
    this.#pace.notice()
  }

  /** Where next hops are reached from this node, and which node has which pod CIDRs, as the plan of the network has settled it. */
  takeNetwork(reach: Reach, claims: SettledClaims): void {
    const isSame = claims.claimsVersion === this.#claimsVersion && JSON.stringify(this.#reach) === JSON.stringify(reach)
    this.#reach = reach
    this.#claims = claims
    this.#claimsVersion = claims.claimsVersion
    if (!isSame) this.#pace.notice()
  }

  #objectsChanged(): void {
    this.#deps.onChange()
    this.#pace.notice()
  }

  #replan(): void {
    const self = this.#deps.self()
    // half of the objects would end sessions that the other half wants
    const claims = this.#claims
    if (self === undefined || !this.#deps.isComplete() || !this.#objects.isComplete || claims === undefined) return
    const snapshot = this.#objects.snapshot
    const routing = this.#deps.routing()
    const members = [...this.#deps.nodes().values()].map(memberOf)
    const { configuration = routing === 'vxlan' ? undefined : meshByDefault } = snapshot
    const known = members.find(({ name }) => name === self.name)
    const own = known ?? { ...self, labels: {}, isReady: true }
    // all others route to the one whose claim stands; what BGP told would go before that
    const { standing, lost } = ownClaims(own, claims.rivalsOf(own))
    const plan = planSpeaker({
      self: { ...own, podCIDRs: standing },
      lost,
      podCIDRsOf: (name) => claims.plans.get(name)?.podCIDRs ?? [],
      nodes: members,
      configuration: configuration && (routing === 'vxlan' ? { ...configuration, nodeMesh: 'None' } : configuration),
      peers: snapshot.peers,
      bgpNode: snapshot.bgpNode,
      isGone: known === undefined,
      secrets: snapshot.secrets,
      clusterCIDRs: this.#config.settings.clusterCIDRs,
      reach: this.#reach,
      isRestarting: this.#isRestarting,
      families: familiesOf(self.podCIDRs),
    })
    this.#objects.want(plan.wantedSecrets)
    if (this.#secretsWait.isOn(plan.wantedSecrets, snapshot.secrets)) return
    this.#plan = plan
    this.#hasPlanned = true
    this.#statusWriter.start()
    const { config } = this.#plan
    // to listen for nobody would cost a thread
    this.#apply(config && config.peers.length > 0 ? config : undefined)
    this.#deps.onChange()
  }

  #startFromSaved(): void {
    if (this.#hasPlanned || this.#thread) return
    const config = this.#saved.read()
    if (config === undefined) return
    this.#log.info('the API has not answered yet: BGP goes on as the last agent left it')
    const again = { ...config, isRestarting: this.#isRestarting }
    this.#plan = { ...this.#plan, config: again }
    this.#apply(again)
  }

  #apply(config: SpeakerConfig | undefined): void {
    const text = config && JSON.stringify(config)
    this.#guards = sessionGuards(config)
    try {
      this.#saved.write(text)
    } catch (error) {
      this.#log.warn('the configuration of BGP cannot be saved', { error: messageOf(error) })
    }
    if (text === undefined) {
      this.#told = undefined
      this.#failure = undefined
      void this.#endThread('shutdown', 'no BGP is configured on this node')
      this.#learned.clear()
      this.#becomeReady()
      return
    }
    if (text === this.#told && this.#thread) return
    this.#told = text
    // it is started in a while
    if (this.#failure !== undefined) return
    this.#thread ??= this.#startThread()
    this.#thread.configure(text)
  }

  #startThread(): SpeakerThread {
    this.#portTroubles = {}
    this.#hasSession = false
    return new SpeakerThread({
      onRoutes: (changes) => this.#learn(changes),
      onReady: () => this.#becomeReady(),
      onFailure: (error) => this.#threadFailed(error),
      onSessions: (hasAny) => {
        this.#hasSession = hasAny
        this.#deps.onChange()
      },
      onPortTrouble: (service, why) => {
        this.#portTroubles = { ...this.#portTroubles, [service]: why }
        this.#deps.onChange()
      },
      log: this.#log,
    })
  }

  #learn(changes: readonly LearnedRouteChange[]): void {
    this.#learned.take(changes)
    this.#deps.onLearned()
  }

  #becomeReady(): void {
    this.#isRestarting = false
    this.#learned.becomeReady()
    this.#deps.onLearned()
  }

  /** What was learned stays: packets flow on, and the next thread asks its neighbours to wait for it. */
  #threadFailed(error: string): void {
    this.#thread = undefined
    this.#failure = `the BGP speaker ended: ${error}; it is started again every ${restartThreadMs / 1000} s`
    this.#log.error('the BGP speaker ended', { error })
    this.#deps.onChange()
    this.#after(restartThreadMs, () => this.#tryAgain())
  }

  #tryAgain(): void {
    const { config } = this.#plan
    // meanwhile nobody may want it any more, or somebody have wanted it anew
    if (this.#failure === undefined || config === undefined) return
    this.#failure = undefined
    this.#learned.beginAnew()
    this.#thread = this.#startThread()
    this.#told = JSON.stringify({ ...config, isRestarting: true })
    this.#thread.configure(this.#told)
    this.#deps.onChange()
  }

  #after(delayMs: number, call: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (!this.#isStopped) call()
    }, delayMs)
    this.#timers.add(timer)
  }

  async #endThread(how: StopKind, text: string): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    await thread?.stop(how, text)
  }

  /** Why there is nothing to tell. */
  get #silentBecause(): string | undefined {
    if (this.#thread) return undefined
    if (this.#failure !== undefined) return this.#failure
    if (!this.#hasPlanned) return 'the Kubernetes API has not told yet whether it is wanted'
    return 'the routing is vxlan, and no BGPPeer selects this node'
  }

  async peers(): Promise<BgpPeersReport> {
    const silentBecause = this.#silentBecause
    if (silentBecause !== undefined) return { silentBecause, isReady: this.#learned.isReady, peers: [] }
    const { config, role, drainedBecause } = this.#plan
    return {
      ...(drainedBecause !== undefined && { drainedBecause }),
      ...portReport(this.#portTroubles),
      ...(config && { asn: config.asn, routerId: String(config.routerId) }),
      role,
      isReady: this.#learned.isReady,
      peers: await this.sessions(),
    }
  }

  /** For the metrics; empty while there is no speaker. */
  async sessions(): Promise<readonly PeerStatus[]> {
    return this.#thread ? this.#thread.ask('peers', undefined) : []
  }

  /** What the command line asks for. */
  get handlers(): Handlers {
    return bgpHandlers({
      thread: () => this.#thread,
      silentBecause: () => this.#silentBecause,
      peerNames: () => (this.#plan.config?.peers ?? []).map(({ name }) => name),
      peers: () => this.peers(),
      learned: this.#learned,
      notInstalled: this.#deps.notInstalled,
    })
  }

  async #report(): Promise<SpeakerReport | undefined> {
    const { config, role, drainedBecause } = this.#plan
    if (!this.#thread || !config) return undefined
    const learned = this.#learned.size
    return {
      asn: config.asn,
      routerId: String(config.routerId),
      role,
      ...(drainedBecause !== undefined && { drainedBecause }),
      peers: await this.sessions(),
      routes: { learned, installed: learned - this.#deps.notInstalled().size },
    }
  }

  /** Neighbours that can are to wait for the next agent: packets flow on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    this.#pace.stop()
    this.#secretsWait.cancel()
    for (const timer of this.#timers) clearTimeout(timer)
    // the thread first: a question that a hung one does not answer ends with it
    await this.#endThread('restart', 'the agent of this node restarts')
    await this.#statusWriter[Symbol.asyncDispose]()
    await this.#objects[Symbol.asyncDispose]()
  }
}
