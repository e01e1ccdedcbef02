// One term as leader: keeps the status of Routing, BGPConfiguration and BGPPeer as it should be. Thousands of nodes see the same router go
// down, and each agent writes only its own BGPNode; the leader adds these up. What it writes goes to every agent, which all watch these
// objects: so it writes when something differs, few objects in a second, and mere numbers once a minute.
import { setImmediate as immediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Backoff } from '#/cluster/backoff.ts'
import { sleep } from '#/cluster/clock.ts'
import { describe, isApiError } from '#/cluster/errors.ts'
import { bgpConfigurationsPath, bgpNodesPath, bgpPeersPath, routingsPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import type { Change } from '#/cluster/store.ts'
import { bgpConfigurationFrom, type BgpPeer, bgpPeerOf, routingFrom } from '#/model/bgp-objects.ts'
import { fieldsOf, type KubeNode, type KubeObject, referenceTo } from '#/model/kubernetes.ts'
import { oneOfEach, type Problem, problemText } from '#/model/problems.ts'
import { liveConditions } from '#/model/status-conditions.ts'
import { isForNode } from '#/plan/bgp-selection.ts'
import { acceptance, generationOf, type ObjectStatus, peerTold, rivalProblems, statusOf } from './object-status.ts'
import { routingTold } from './routing-status.ts'
import { keepSessions, type PeerSession, sessionsOf, type StatusNode, statusNodeOf } from './status-node.ts'
import { type TermDeps, writeTimeoutMs } from '../term-deps.ts'

/** How long news is gathered before what it changes is written. */
const gatherMs = 2_000
/** How often an object is written of which only numbers and names differ, and no condition. */
const numbersMs = 60_000
/** The pause between two writes: the agents of all nodes get each of them, and this many at most in a second. */
const receivedPerSecond = 2_000
const shortestPauseMs = 100

const kinds = { Routing: routingsPath(), BGPConfiguration: bgpConfigurationsPath(), BGPPeer: bgpPeersPath() } as const
type Kind = keyof typeof kinds

export class StatusTerm implements AsyncDisposable {
  readonly #deps: TermDeps
  readonly #objects: Readonly<Record<Kind, Reflector<KubeObject>>>
  readonly #bgpNodes: Reflector<KubeObject>
  readonly #backoff: Backoff
  readonly #peers = new WeakMap<KubeObject, ReturnType<typeof bgpPeerOf>>()
  readonly #unsubscribe: () => void
  /** Objects whose status may be another one, as "Kind/name". */
  readonly #dirty = new Set<string>()
  /** Objects of whose status only numbers and names are others; they wait for their time. */
  readonly #stale = new Set<string>()
  /** What was written last to each object, and when by the monotonic clock. */
  readonly #written = new Map<string, { readonly status: ObjectStatus; readonly atMs: number }>()
  #cancel: (() => void) | undefined
  #cancelStale: (() => void) | undefined
  #sweeping: Promise<void> | undefined
  #lastError = ''

  constructor(deps: TermDeps) {
    const { client, log, clock, random } = deps
    this.#deps = deps
    const shared = { client, log, clock, random }
    const reflect = (kind: Kind): Reflector<KubeObject> => {
      const reflector = new Reflector<KubeObject>({ path: kinds[kind], mayBeUndefined: true }, shared)
      reflector.subscribe((change) => this.#onObject(kind, change))
      return reflector
    }
    this.#objects = {
      Routing: reflect('Routing'),
      BGPConfiguration: reflect('BGPConfiguration'),
      BGPPeer: reflect('BGPPeer'),
    }
    this.#bgpNodes = new Reflector<KubeObject>(
      { path: bgpNodesPath(), mayBeUndefined: true },
      { ...shared, keep: keepSessions },
    )
    this.#bgpNodes.subscribe((change) => this.#onBgpNode(change))
    this.#unsubscribe = deps.nodes.subscribe((change) => this.#onNode(change))
    this.#backoff = new Backoff({ firstMs: 5_000, maxMs: 120_000 }, { random })
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe()
    await Promise.all(this.#reflectors.map((reflector) => reflector[Symbol.asyncDispose]()))
    this.#cancel?.()
    this.#cancelStale?.()
    await this.#sweeping
  }

  get #reflectors(): readonly Reflector<KubeObject>[] {
    return [...Object.values(this.#objects), this.#bgpNodes]
  }

  #onObject(kind: Kind, change: Change<KubeObject>): void {
    if (change.kind === 'synced') return this.#schedule(gatherMs)
    const key = `${kind}/${change.key}`
    const isSameSpec = change.kind === 'modified' && generationOf(change.previous) === generationOf(change.object)
    // whether another one has the same neighbour may be otherwise now
    if (kind === 'BGPPeer' && !isSameSpec)
      for (const name of this.#objects.BGPPeer.objects.keys()) if (name !== change.key) this.#note(`BGPPeer/${name}`)
    if (change.kind !== 'deleted') return this.#note(key)
    for (const known of [this.#dirty, this.#stale, this.#written]) known.delete(key)
  }

  #onBgpNode(change: Change<KubeObject>): void {
    if (change.kind === 'synced') return this.#schedule(gatherMs)
    const before = change.kind === 'modified' ? sessionsOf(change.previous) : []
    for (const { peer } of differing(before, sessionsOf(change.object))) this.#note(`BGPPeer/${peer}`)
  }

  #onNode(change: Change<KubeNode>): void {
    if (change.kind === 'synced') return this.#schedule(gatherMs)
    const { object } = change
    const nodes =
      change.kind === 'modified' ? [statusNodeOf(change.previous), statusNodeOf(object)] : [statusNodeOf(object)]
    if (nodes.length === 2 && isDeepStrictEqual(nodes[0], nodes[1])) return
    for (const name of this.#objects.Routing.objects.keys()) this.#note(`Routing/${name}`)
    for (const [name, each] of this.#objects.BGPPeer.objects) {
      const { peer } = this.#peerOf(each)
      if (peer !== undefined && nodes.some((node) => isForNode(peer, node))) this.#note(`BGPPeer/${name}`)
    }
  }

  #note(key: string): void {
    this.#dirty.add(key)
    this.#schedule(gatherMs)
  }

  #schedule(delayMs: number): void {
    // with half of the lists, nodes that are not known yet would be told as missing
    const isComplete = this.#deps.nodes.inSync && this.#reflectors.every(({ inSync }) => inSync)
    if (!isComplete || this.#deps.signal.aborted || this.#sweeping !== undefined) return
    this.#cancel ??= this.#deps.clock.after(delayMs, () => {
      this.#cancel = undefined
      this.#sweeping = this.#sweep()
    })
  }

  async #sweep(): Promise<void> {
    let againMs = gatherMs
    try {
      await this.#writeAll()
      this.#backoff.reset()
      this.#lastError = ''
    } catch (error) {
      againMs = this.#backoff.next()
      const text = describe(error)
      if (text !== this.#lastError && !this.#deps.signal.aborted)
        this.#deps.log.warn('cannot write the status of an object', { error: text })
      this.#lastError = text
    }
    this.#sweeping = undefined
    if (this.#dirty.size > 0) this.#schedule(againMs)
    if (this.#stale.size > 0) this.#lookAtStale()
  }

  /** A timer of its own: news must not wait for it. */
  #lookAtStale(): void {
    if (this.#deps.signal.aborted) return
    this.#cancelStale ??= this.#deps.clock.after(numbersMs / 4, () => {
      this.#cancelStale = undefined
      this.#schedule(0)
    })
  }

  async #writeAll(): Promise<void> {
    const { signal, clock, nodes, isLeader } = this.#deps
    for (const key of this.#stale) if (this.#freshStatus(key) === undefined) this.#dirty.add(key)
    for (const key of Array.from(this.#dirty)) {
      // each looks at all nodes
      await immediate()
      if (signal.aborted || !isLeader()) return
      this.#dirty.delete(key)
      this.#stale.delete(key)
      const [kind, name] = key.split('/', 2) as [Kind, string]
      const object = this.#objects[kind].objects.get(name)
      const status = object && this.#statusOf(kind, object)
      if (object === undefined || status === undefined) continue
      if (isDeepStrictEqual(status, fieldsOf(object)['status'])) continue
      const fresh = this.#freshStatus(key)
      // compared with what was written: an API that has fewer fields is no reason to write the same again and again
      if (fresh !== undefined && isDeepStrictEqual(gist(status), gist(fresh))) {
        this.#stale.add(key)
        continue
      }
      try {
        await this.#write(kind, object, status)
      } catch (error) {
        // deleted meanwhile, or a definition without a status: there is nothing to write to
        if (!isApiError(error, 404)) {
          this.#dirty.add(key)
          throw error
        }
      }
      this.#written.set(key, { status, atMs: clock.monotonicMs() })
      await sleep(clock, Math.max(shortestPauseMs, (nodes.objects.size / receivedPerSecond) * 1000), signal)
    }
  }

  /** What was written to an object within the last minute. */
  #freshStatus(key: string): ObjectStatus | undefined {
    const written = this.#written.get(key)
    return written !== undefined && this.#deps.clock.monotonicMs() - written.atMs < numbersMs
      ? written.status
      : undefined
  }

  async #write(kind: Kind, object: KubeObject, status: ObjectStatus): Promise<void> {
    const { client, signal } = this.#deps
    const path = `${kinds[kind]}/${encodeURIComponent(object.metadata.name)}/status`
    // a merge patch replaces lists as a whole, and takes away what is null
    await client.patch(path, { status: { nodes: null, ...status } }, 'merge', {}, { signal, timeoutMs: writeTimeoutMs })
    this.#tell(kind, object)
  }

  /** An Event on an object that cannot be used as it is written: one for each generation, which its status remembers. */
  #tell(kind: Kind, object: KubeObject): void {
    const problems = this.#problemsOf(kind, object)
    const told = liveConditions(object).find(({ type }) => type === 'Accepted')
    const isTold = told?.['status'] === 'False' && told['observedGeneration'] === generationOf(object)
    if (problems.length === 0 || isTold) return
    const reference = referenceTo('causeway.dev/v1alpha1', kind, object)
    this.#deps.recorder.record(reference, 'Warning', 'CannotBeUsed', oneOfEach(problems).map(problemText).join('; '))
  }

  #peerOf(object: KubeObject): ReturnType<typeof bgpPeerOf> {
    const known = this.#peers.get(object)
    // where Secrets are looked for makes no difference to the status
    const read = known ?? bgpPeerOf(object, '')
    if (known === undefined) this.#peers.set(object, read)
    return read
  }

  #problemsOf(kind: Kind, object: KubeObject): readonly Problem[] {
    if (kind === 'BGPPeer') {
      const { peer, problems } = this.#peerOf(object)
      return [...problems, ...(peer ? rivalProblems(peer, { nodes: this.#nodes(), peers: this.#usablePeers() }) : [])]
    }
    return (kind === 'Routing' ? routingFrom([object]) : bgpConfigurationFrom([object], '')).problems
  }

  #statusOf(kind: Kind, object: KubeObject): ObjectStatus {
    return statusOf(object, this.#told(kind, object), this.#deps.clock.wallMs())
  }

  #told(kind: Kind, object: KubeObject): Parameters<typeof statusOf>[1] {
    const nodes = this.#nodes()
    const problems = this.#problemsOf(kind, object)
    if (kind === 'Routing') return routingTold(routingFrom([object]), problems, nodes)
    if (kind === 'BGPConfiguration') return { conditions: [acceptance(problems)] }
    return peerTold(this.#peerOf(object).peer, problems, {
      nodes,
      peers: this.#usablePeers(),
      session: (node, peer) => this.#sessionsOn(node).find((each) => each.peer === peer),
    })
  }

  #nodes(): StatusNode[] {
    return Array.from(this.#deps.nodes.objects.values(), statusNodeOf)
  }

  #usablePeers(): BgpPeer[] {
    return [...this.#objects.BGPPeer.objects.values()].flatMap((each) => this.#peerOf(each).peer ?? [])
  }

  #sessionsOn(node: string): readonly PeerSession[] {
    const bgpNode = this.#bgpNodes.objects.get(node)
    return bgpNode === undefined ? [] : sessionsOf(bgpNode)
  }
}

/** The sessions that are not in both lists as they are. */
function differing(before: readonly PeerSession[], now: readonly PeerSession[]): readonly PeerSession[] {
  const isIn = (session: PeerSession, list: readonly PeerSession[]): boolean =>
    list.some((other) => isDeepStrictEqual(other, session))
  return [...before.filter((each) => !isIn(each, now)), ...now.filter((each) => !isIn(each, before))]
}

/** The part of a status whose change is news: which conditions hold, and of which generation of the object. */
function gist({ observedGeneration, conditions }: ObjectStatus): unknown {
  return [observedGeneration, conditions.map(({ type, status, reason }) => [type, status, reason])]
}
