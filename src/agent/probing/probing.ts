// Asks other nodes whether packets arrive: a few partners again and again, others when packets go there and none come, or when somebody wants to
// know. docs/probing.md says what of.
import { type PeersProbeRequest, type PeersReport, type PeerWay, type WaysStatus } from '#/api/schemas/peers.ts'
import { type Clock, sleep, systemClock } from '#/cluster/clock.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { type Addr, families } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { tableName, tunnelEndSets } from '#/model/names.ts'
import { type NodeState } from '#/model/network.ts'
import { type Problem, problemId } from '#/model/problems.ts'
import { type Verdict } from '#/model/verdict.ts'
import { partnersOf } from '#/plan/partners.ts'
import { SysError } from '#/sys/libc.ts'
import { pathMtuBytes } from '#/sys/socket.ts'
import { gatewaysOf, type RemotePlan } from '#/plan/remote-plan.ts'
import { type OpenSocket } from './echo-sockets.ts'
import { Checks, type Sources } from './checks.ts'
import { answersTcp } from './tcp-answer.ts'
import { findingsOf, type Findings } from './findings.ts'
import { flowsOf, type Packets } from './flows.ts'
import { type Judged, judgeNode, type NodeWays, type ProbeState } from './judge.ts'
import { type Flow, PeerSilence } from './peer-silence.ts'
import { Prober } from './prober.ts'
import { peersReport, wayReport, waysStatus } from './report.ts'
import { type Target, targetsOf } from './targets.ts'
import { type WayState } from './way-state.ts'

/** How often the counters of all flows are looked at: four rounds without an answer are told, after a minute. */
const roundMs = 15_000
/** What each flow adds: with 5,000 nodes of two families a round comes once a minute. docs/scale.md has the cost. */
const roundMsPerFlow = 6
/** How often partners are chosen anew, when nodes may have come or gone. */
const chooseMs = 3_000
/** Nodes beside the partners that are looked after, because nothing comes from them. */
const mostGuests = 4
/** How long they are after nothing speaks for it any more. */
const guestMs = 120_000
/** Probes of each size for who asks and does not say how many. */
const usualCount = 5

/** What is known of the other nodes now. */
export type Peers = {
  readonly self: NodeState
  /** By the node's name. */
  readonly plans: ReadonlyMap<string, Pick<RemotePlan, 'verdicts' | 'tunnelEnds' | 'underlay'>>
  readonly verdicts: Iterable<Verdict>
  /** Whether the node is on a link that this node is on as well. */
  readonly isNear: (node: string) => boolean
}

export type ProbingDeps = Sources & {
  readonly nodeName: string
  /** How often a partner is asked; 0: never. */
  readonly everyMs: number
  /** Undefined: nothing is known yet. */
  readonly peers: () => Peers | undefined
  /** Whether an answer can be expected from a node. */
  readonly isLive: (node: string) => boolean
  /** Whether what `isLive` says is of now: while the API is away nobody tells that a node has died. */
  readonly isLifeKnown: () => boolean
  /** Called when `problems` or `isolation` has changed. */
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
  readonly openSocket?: OpenSocket
  readonly pathMtu?: (src: Addr, dst: Addr) => number
  readonly readPackets?: (set: string) => Promise<Packets>
}

type Since = { readonly state: ProbeState; readonly ms: number }

const noFindings: Findings = { problems: [], broken: new Set(), lasting: [], isolation: undefined }

export class Probing implements AsyncDisposable {
  readonly #deps: ProbingDeps
  readonly #clock: Clock
  readonly #nftables = new NftClient()
  readonly #silence = new PeerSilence()
  readonly #prober: Prober
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #partners: readonly string[] = []
  #chosenMs = -Infinity
  /** Until when each of them is looked after. */
  readonly #guests = new Map<string, number>()
  /** The ends of the tunnel from which packets came in the last round. */
  #heardEnds: ReadonlySet<string> = new Set()
  #received: Packets = new Map()
  /** When the round began in which they were heard. */
  #heardSinceMs = -Infinity
  #readMs = -Infinity
  readonly #checks: Checks
  #nodes: readonly NodeWays[] = []
  readonly #since = new Map<string, Since>()
  #found: Findings = noFindings
  #ofFlows: readonly Problem[] = []
  #flowIsolation: string | undefined
  #flows = 0
  #lastError = ''

  constructor(deps: ProbingDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? systemClock
    this.#checks = new Checks({
      ...deps,
      nowMs: () => this.#clock.monotonicMs(),
      onDone: () => this.#conclude(),
      onError: (error) => this.#tellError(error),
    })
    this.#prober = new Prober({
      clock: this.#clock,
      everyMs: deps.everyMs,
      targets: () => this.#targets(),
      onRound: () => this.#conclude(),
      onError: (error) => this.#tellError(error),
      ...(deps.openSocket && { openSocket: deps.openSocket }),
    })
  }

  /** What is wrong with ways to other nodes. */
  get problems(): readonly Problem[] {
    return [...this.#found.problems, ...this.#otherFlows]
  }

  /** Of these, what this node's Node object is to tell. */
  get lasting(): readonly Problem[] {
    return [...this.#found.lasting, ...this.#otherFlows]
  }

  /** What the flows to nodes tell that are not probed, or of which probes tell nothing. */
  get #otherFlows(): readonly Problem[] {
    return this.#ofFlows.filter(({ object }) => !this.#found.broken.has(object.slice('node/'.length)))
  }

  /** Why no other node answers this one; undefined when any does, or nothing is sent, or the others may have died. */
  get isolation(): string | undefined {
    return this.#deps.isLifeKnown() ? (this.#found.isolation ?? this.#flowIsolation) : undefined
  }

  get #isOn(): boolean {
    return this.#deps.everyMs > 0
  }

  start(): void {
    this.#running ??= this.#run()
    if (this.#isOn) this.#prober.start()
  }

  /** What is known of the ways to partners. */
  report(): PeersReport {
    const { nodeName, peers } = this.#deps
    return peersReport(nodeName, this.#isOn, peers()?.plans.size ?? 0, this.#wayReports)
  }

  /** The same in short. */
  status(): WaysStatus {
    return waysStatus(this.#isOn, this.#wayReports)
  }

  /** The ways to partners, with the states that they are in. */
  get ways(): readonly Judged[] {
    return this.#nodes.flatMap(({ ways }) => ways)
  }

  get #wayReports(): PeerWay[] {
    return this.ways.map((each) =>
      this.#wayReport(each, this.#since.get(each.way.target.key)?.ms ?? each.way.startedMs),
    )
  }

  /** Asks nodes now. A name that is no other node's is left out. */
  async probe({ nodes, count = usualCount }: PeersProbeRequest): Promise<PeersReport> {
    const { nodeName, peers: peersNow } = this.#deps
    const peers = peersNow()
    const targets = peers === undefined ? [] : [...new Set(nodes)].flatMap((node) => targetsIn(peers, node))
    const ways = await this.#prober.ask(targets, count, this.#stop.signal)
    const reports = await Promise.all(
      ways.map(async (way) => this.#wayReport({ way, state: await this.#checks.stateOfAsked(way) }, way.startedMs)),
    )
    return peersReport(nodeName, this.#isOn, peers?.plans.size ?? 0, reports)
  }

  readonly #toWall = (monotonicMs: number): number => monotonicMs - this.#clock.monotonicMs() + this.#clock.wallMs()

  #wayReport(judged: Judged, sinceMs: number): PeerWay {
    return wayReport(judged, sinceMs, this.#clock.monotonicMs(), this.#toWall)
  }

  #targets(): readonly Target[] {
    const peers = this.#deps.peers()
    if (peers === undefined) return []
    const nowMs = this.#clock.monotonicMs()
    const isGone = (name: string): boolean => !this.#deps.isLive(name) || !peers.plans.has(name)
    if (nowMs - this.#chosenMs >= chooseMs || this.#partners.some(isGone)) {
      const live = [...peers.plans.keys()].filter((name) => !isGone(name))
      this.#partners = partnersOf(
        this.#deps.nodeName,
        live.map((name) => ({ name, isNear: peers.isNear(name) })),
      )
      this.#chosenMs = nowMs
    }
    for (const [name, untilMs] of this.#guests) if (untilMs <= nowMs || isGone(name)) this.#guests.delete(name)
    const names = new Set([...this.#partners, ...this.#guests.keys()])
    return [...names].flatMap((name) => targetsIn(peers, name))
  }

  /** Takes in what the last round of probes has shown. */
  #conclude(): void {
    const { nodeName } = this.#deps
    const nowMs = this.#clock.monotonicMs()
    const before = new Map(this.#nodes.map((each) => [each.node, each]))
    const byNode = Map.groupBy(this.#prober.ways.values(), ({ target }) => target.node)
    this.#nodes = [...byNode].map(([node, ways]) => {
      if (before.get(node)?.isSilent === true && ways.some((way) => isBack(way)))
        for (const way of ways) if (way.isSilent) way.grantGrace(nowMs)
      for (const way of ways) if (way.isSmallOnly) this.#noteMemory(way)
      for (const way of ways) this.#checks.look(way, ways)
      const silentSinceMs = Math.min(...ways.map((way) => (way.isSilent ? way.silentSinceMs : Infinity)))
      return judgeNode(node, ways, nowMs, (end) => this.#heardEnds.has(end) && this.#heardSinceMs >= silentSinceMs)
    })
    const keys = new Set<string>()
    for (const { ways } of this.#nodes)
      for (const { way, state } of ways) {
        const { key } = way.target
        keys.add(key)
        if (this.#since.get(key)?.state !== state) this.#since.set(key, { state, ms: nowMs })
      }
    for (const key of this.#since.keys()) if (!keys.has(key)) this.#since.delete(key)
    this.#change(() => {
      this.#found = findingsOf(this.#nodes, { ownName: nodeName, nowMs, toWall: this.#toWall })
    })
    this.#lastError = ''
  }

  /** Whether the kernel has learned that the tunnel's path takes smaller packets, which it remembers for minutes after that is mended. */
  #noteMemory(way: WayState): void {
    const { tunnel } = way.target
    if (tunnel === undefined) return
    const { pathMtu = pathMtuBytes } = this.#deps
    try {
      way.noteMemory(tunnel, pathMtu(tunnel.src, tunnel.dst))
    } catch (error) {
      if (!(error instanceof SysError)) throw error
    }
  }

  #tellError(error: unknown): void {
    const text = messageOf(error)
    if (text !== this.#lastError) this.#deps.log.warn('other nodes are not probed', { error: text })
    this.#lastError = text
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      await sleep(this.#clock, Math.max(roundMs, this.#flows * roundMsPerFlow), signal)
      if (signal.aborted) return
      try {
        await this.round()
      } catch (error) {
        // without counters or socket nothing is concluded; the next round tries again
        this.#deps.log.debug('other nodes were not looked at', { error: messageOf(error) })
      }
    }
  }

  /** Looks once at the flows to all nodes. Throws KernelError or SysError when counters or a socket cannot be had. */
  async round(): Promise<void> {
    const { peers: peersNow, isLive, nodeName } = this.#deps
    const peers = peersNow()
    if (peers === undefined) return
    const all = [...peers.verdicts]
    const counters = await this.#counters(all)
    const flows = flowsOf(all, isLive, counters)
    this.#flows = flows.length
    const asked = this.#silence.observe(flows, this.#clock.monotonicMs())
    const answered = new Set([...(await this.#answering(peers, asked)), ...this.#answeredLately])
    const nowMs = this.#clock.monotonicMs()
    this.#silence.conclude(
      [...new Set([...asked, ...flows.filter(({ gateway }) => answered.has(String(gateway)))])],
      answered,
      nowMs,
    )
    for (const node of this.#silence.suspects)
      if (this.#guests.size < mostGuests || this.#guests.has(node)) this.#guests.set(node, nowMs + guestMs)
    this.#heardEnds = counters.heard
    this.#change(() => {
      this.#ofFlows = this.#silence.problems(nodeName, nowMs)
      this.#flowIsolation = this.#silence.isolation(nowMs)
    })
  }

  /** The gateways that answered a probe of the ordinary ones of late, or from whose pods packets came in all the same. */
  get #answeredLately(): string[] {
    const nowMs = this.#clock.monotonicMs()
    return [...this.#prober.ways.values()].flatMap((way) => {
      const { target, answeredMs = -Infinity } = way
      const isLate = answeredMs <= nowMs - roundMs && !way.signs.isComing(nowMs)
      return target.path === 'pod' && !isLate ? [String(target.dst)] : []
    })
  }

  async #answering(peers: Peers, asked: readonly Flow[]): Promise<string[]> {
    const targets = asked.flatMap((flow) => targetOfFlow(peers, flow))
    const ways = targets.length === 0 ? [] : await this.#prober.ask(targets, 1, this.#stop.signal)
    const { answers = answersTcp } = this.#deps
    const silent = ways.filter(({ answeredMs, target }) => answeredMs === undefined && target.tunnel === undefined)
    // without a tunnel no counter shows that echo requests alone are refused
    const alive = await Promise.all(silent.map(async ({ target: { src, dst } }) => answers(src, dst)))
    const answered = [
      ...ways.filter(({ answeredMs }) => answeredMs !== undefined),
      ...silent.filter((_, index) => alive[index]),
    ]
    return answered.map(({ target }) => String(target.dst))
  }

  #change(change: () => void): void {
    const before = newsOf(this.problems, this.isolation)
    change()
    if (newsOf(this.problems, this.isolation) !== before) this.#deps.onChange()
  }

  /** What was counted of packets of others, by the ends of the tunnel. */
  async #counters(
    verdicts: readonly Verdict[],
  ): Promise<{ sent: Packets; received: Packets; heard: ReadonlySet<string> }> {
    const used = families.filter((family) =>
      verdicts.some((verdict) => verdict.way === 'vxlan' && verdict.tunnel.outer === family),
    )
    const { readPackets = (set) => this.#read(set) } = this.#deps
    const [received, sent] = [new Map<string, number>(), new Map<string, number>()]
    for (const family of used) {
      const [from, to] = tunnelEndSets(family)
      for (const [addr, packets] of await readPackets(from)) received.set(addr, packets)
      for (const [addr, packets] of await readPackets(to)) sent.set(addr, packets - this.#prober.sentTo(addr))
    }
    const before = this.#received
    this.#received = received
    this.#heardSinceMs = this.#readMs
    this.#readMs = this.#clock.monotonicMs()
    const heard = [...received].filter(([addr, packets]) => packets > (before.get(addr) ?? packets))
    return { sent, received, heard: new Set(heard.map(([addr]) => addr)) }
  }

  async #read(set: string): Promise<Packets> {
    const all = await this.#nftables.readTraffic('inet', tableName, set)
    return new Map(all.map(({ addr, traffic }) => [String(addr), traffic.packets]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#prober[Symbol.dispose]()
    this.#checks[Symbol.dispose]()
    await this.#running
    this.#nftables[Symbol.dispose]()
  }
}

function targetsIn({ plans, self }: Peers, node: string): Target[] {
  const plan = plans.get(node)
  return plan === undefined ? [] : targetsOf(node, plan, self)
}

function targetOfFlow({ plans, self }: Peers, { key, node, way, gateway }: Flow): Target[] {
  const { family } = gateway
  const src = gatewaysOf(self)[family]
  const verdict = plans.get(node)?.verdicts.find(({ dst }) => dst.contains(gateway))
  const tunnel = verdict?.way === 'vxlan' ? { tunnel: verdict.tunnel } : {}
  return src === undefined ? [] : [{ key, node, path: 'pod', family, src, dst: gateway, way, ...tunnel }]
}

/** A node that answered nothing answers at its address again. */
function isBack(way: WayState): boolean {
  return way.target.path === 'node' && way.answeredMs !== undefined && !way.isSilent
}

/** What makes news: a problem whose message has other numbers is none. */
function newsOf(problems: readonly Problem[], isolation: string | undefined): string {
  return JSON.stringify([problems.map(problemId), isolation])
}
