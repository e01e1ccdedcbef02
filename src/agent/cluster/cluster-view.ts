// What the agent knows of the cluster's nodes. It comes from the API's Node objects; the last known state of all nodes is also on disk, so
// that after a restart pods are wired and other nodes are reached while the API cannot be. A Node object changes with every heartbeat; this
// view reports a change, and writes it to the disk, only when something that matters to the network is different.
import { type Change, type Keep, lean } from '#/cluster/store.ts'
import { type Reflector } from '#/cluster/reflector.ts'
import { type DatapathName, datapathNames, datapathOf } from '#/model/datapath.ts'
import { flannelAnnotations, flannelEndOf } from '#/model/flannel.ts'
import {
  annotationsOf,
  conditionOf,
  extraPodCIDRsAnnotation,
  formerPodCIDRsAnnotation,
  type KubeNode,
  networkUnavailable,
  withAnnotationsOnly,
} from '#/model/kubernetes.ts'
import { type NodeState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import {
  type Routing,
  routingOf,
  type RoutingState,
  routings,
  routingStateAnnotation,
  routingStateText,
} from '#/model/routing.ts'
import { type NodeChange } from '#/plan/remote-nodes.ts'
import { type EndpointStore } from '../endpoints/endpoint-store.ts'
import { networkTroubleReason } from '../report/node-condition.ts'
import { factsOf } from './node-facts.ts'
import { StateError } from '../endpoints/state-file.ts'
import { nodeStateFrom, RememberedNodes } from './remembered-nodes.ts'

const settingName = 'self'
const keptAnnotations = [
  extraPodCIDRsAnnotation,
  formerPodCIDRsAnnotation,
  routingStateAnnotation,
  ...flannelAnnotations,
]

/** The part of Node objects that stays in memory: of other nodes only identity, pod CIDRs, addresses, and the annotations that are read. */
export function keepOfNodes(ownName: string): Keep<KubeNode> {
  return (node) => (node.metadata.name === ownName ? lean(node) : withAnnotationsOnly(node, keptAnnotations))
}

type Known = { readonly state: NodeState; readonly problems: readonly Problem[]; readonly fingerprint: string }

function read(node: KubeNode): Known {
  const { podCIDRs, extraCIDRs, formerCIDRs, addrs, routingState, life, lacksAgent, problems, routingProblem } =
    factsOf(node)
  const flannel = flannelEndOf(node)
  const published = flannel?.end.publicAddrs ?? []
  const name = node.metadata.name
  const state: NodeState = {
    name,
    podCIDRs,
    addrs: [...published, ...addrs.filter((addr) => !published.some((other) => other.equals(addr)))],
    // flannel runs on more systems
    ...(flannel === undefined && lacksAgent !== undefined && { lacksAgent }),
    ...(extraCIDRs.length > 0 && { extraCIDRs }),
    ...(formerCIDRs.length > 0 && { formerCIDRs }),
    life,
    ...(flannel && { vtepMacs: flannel.end.vtepMacs }),
    ...(routingState && { routingState }),
    ...(flannel === undefined && isStarting(node) && { isStarting: true }),
  }
  const ofRouting = routingProblem === undefined ? [] : [routingProblem]
  return knownOf(state, [...problems, ...(flannel?.problems ?? []), ...ofRouting])
}

/**
 * Whether the node's network has not been set up yet: no agent has written its routing, and NetworkUnavailable is not False. A cloud's
 * controller may have set that condition to True; an agent of Causeway that did has run already, so the node is not starting.
 */
function isStarting(node: KubeNode): boolean {
  if (annotationsOf(node)[routingStateAnnotation] !== undefined) return false
  const { status, reason } = conditionOf(node, networkUnavailable)
  return status !== 'False' && reason !== networkTroubleReason
}

function knownOf(state: NodeState, problems: readonly Problem[]): Known {
  return { state, problems, fingerprint: JSON.stringify([state, problems]) }
}

/** What is saved beside this node's own state. */
type Extra = { readonly toldRouting?: unknown; readonly formerDatapath?: unknown; readonly remembersNodes?: unknown }

const ownLife = { sign: 'ready', readyChanged: '' } as const

/**
 * This node's own state. Its tunnel ends at the addresses that its kubelet reports, not at those of flannel's annotations, and it
 * decides its routing itself instead of reading its own routing-state annotation.
 */
function readSelf(node: KubeNode): Known {
  const { state, problems } = read(node)
  const { vtepMacs: _, routingState: __, isStarting: ___, formerCIDRs: ____, ...own } = state
  const { routing, problem: ofRouting } = routingOf(node)
  const { datapath, problem: ofDatapath } = datapathOf(node)
  const all = [...problems, ...[ofRouting, ofDatapath].filter((each) => each !== undefined)]
  // whatever its kubelet says: an agent runs here
  const life = { ...factsOf(node).life, ...ownLife }
  const wanted = { ...(routing && { routing }), ...(datapath && { datapath }) }
  return knownOf({ ...own, life, addrs: factsOf(node).addrs, ...wanted }, all)
}

export class ClusterView {
  readonly #nodeName: string
  readonly #reflector: Reflector<KubeNode>
  readonly #store: EndpointStore
  readonly #onChange: () => void
  readonly #remembered: RememberedNodes
  readonly #remembersOthers: boolean
  /** Whether nodes that were deleted while no agent ran are known. */
  #isFileChecked = false
  readonly #known = new Map<string, Known>()
  /** The problems of the nodes that have any: they are asked for in every pass. */
  readonly #problems = new Map<string, readonly Problem[]>()
  /** Other nodes of which only the memory knows: the API has not told of them yet. */
  readonly #untold = new Set<string>()
  readonly #changed = new Set<string>()
  /** When the first of the nodes in `#changed` changed, by the monotonic clock. */
  #changedAtMs = 0
  #self: NodeState | undefined
  #published: RoutingState | undefined
  #toldRouting: Routing | undefined
  #formerDatapath: DatapathName | undefined

  /** `onChange` is called when a node has changed, and when the whole list of nodes has been seen. */
  constructor(
    options: { nodeName: string },
    deps: { reflector: Reflector<KubeNode>; store: EndpointStore; onChange: () => void },
  ) {
    this.#nodeName = options.nodeName
    this.#reflector = deps.reflector
    this.#store = deps.store
    this.#onChange = deps.onChange
    this.#remembered = new RememberedNodes(deps.store)
    const { self, toldRouting, formerDatapath, isOfEarlierRelease = false } = this.#rememberedSelf()
    this.#self = self
    this.#toldRouting = toldRouting
    this.#formerDatapath = formerDatapath
    this.#remembersOthers = !isOfEarlierRelease
    if (isOfEarlierRelease) this.#remembered.distrust()
    this.#reflector.subscribe((change) => this.#take(change))
  }

  /**
   * Takes over what was last known of the other nodes, but for those that the API has told of by now; nothing once it has told of all. To be
   * called when the API is late: reading and planning all nodes twice is dear.
   */
  recall(): void {
    if (this.isComplete || !this.#remembersOthers) return
    for (const state of this.#remembered.read(this.#nodeName)) {
      if (this.#known.has(state.name)) continue
      this.#known.set(state.name, knownOf(state, []))
      this.#untold.add(state.name)
      this.#noteOther(state.name)
    }
    this.#onChange()
  }

  /** This node's last state with pod CIDRs; undefined until its Node object first has some. */
  get self(): NodeState | undefined {
    return this.#self
  }

  /** The routing state that this node's Node object shows to the other nodes. */
  get published(): RoutingState | undefined {
    return this.#published
  }

  /** The routing that this node last wrote to its Node object. After a start it counts until the cluster's settings are known. */
  get toldRouting(): Routing | undefined {
    return this.#toldRouting
  }

  /** The datapath that was last noted, also by an agent before this one. */
  get formerDatapath(): DatapathName | undefined {
    return this.#formerDatapath
  }

  /** Takes note of the datapath that this node is to have; the next `save` writes it. To be called only once the cluster is known. */
  noteDatapath(name: DatapathName): void {
    this.#formerDatapath = name
  }

  /** True once the whole list of nodes has been seen: only then may objects that no node needs be removed from the kernel. */
  get isComplete(): boolean {
    return this.#reflector.inSync
  }

  get problems(): Problem[] {
    const problems = [...this.#problems.values()].flat()
    if (!this.isComplete) return problems
    const own = this.#known.get(this.#nodeName)?.state
    if (own && own.podCIDRs.length > 0) return problems
    const object = `node/${this.#nodeName}`
    const lack = own
      ? problem('CW1002', object, 'it has no pod CIDR yet')
      : problem('CW1001', object, 'there is no Node object of this name')
    return [...problems, lack]
  }

  /** The other nodes that have changed since the last call, and when the first of them did. */
  takeChanges(): { readonly changes: readonly NodeChange[]; readonly sinceMs: number } {
    const changes = [...this.#changed].map((name): NodeChange => [name, this.#known.get(name)?.state])
    this.#changed.clear()
    return { changes, sinceMs: this.#changedAtMs }
  }

  #take(change: Change<KubeNode>): void {
    if (change.kind === 'synced') return this.#forgetUntold()
    const name = change.key
    this.#untold.delete(name)
    const known =
      change.kind === 'deleted' ? undefined : name === this.#nodeName ? readSelf(change.object) : read(change.object)
    const isTold = name === this.#nodeName && this.#takePublished(change.kind === 'deleted' ? undefined : change.object)
    if (known?.fingerprint === this.#known.get(name)?.fingerprint) return isTold ? this.#onChange() : undefined
    if (known) this.#known.set(name, known)
    else this.#known.delete(name)
    if (known && known.problems.length > 0) this.#problems.set(name, known.problems)
    else this.#problems.delete(name)
    if (name === this.#nodeName) this.#takeSelf(known?.state)
    else {
      this.#noteOther(name)
      this.#remembered.note(name)
    }
    this.#onChange()
  }

  #noteOther(name: string): void {
    if (this.#changed.size === 0) this.#changedAtMs = performance.now()
    this.#changed.add(name)
  }

  /** All nodes have been told: those that were only remembered are gone. */
  #forgetUntold(): void {
    for (const name of this.#untold) {
      this.#known.delete(name)
      this.#noteOther(name)
      this.#remembered.note(name)
    }
    this.#untold.clear()
    if (!this.#isFileChecked)
      for (const name of this.#remembered.names()) if (!this.#known.has(name)) this.#remembered.note(name)
    this.#isFileChecked = true
    this.#onChange()
  }

  /** Reads the published routing state from this node's Node object; returns whether it has changed. */
  #takePublished(node: KubeNode | undefined): boolean {
    const textOf = (state: RoutingState | undefined): string | undefined => state && routingStateText(state)
    const before = textOf(this.#published)
    this.#published = node && factsOf(node).routingState
    if (node) this.#toldRouting = this.#published?.mode
    return textOf(this.#published) !== before
  }

  /** Keeps the former state when the Node object is gone or has lost its CIDRs: the pods that run here still need it. */
  #takeSelf(state: NodeState | undefined): void {
    if (state !== undefined && state.podCIDRs.length > 0) this.#self = state
  }

  /** Saves what is known of the nodes for a start without the API. When the disk cannot be written, the next call tries again. */
  save(): void {
    this.#remembered.save((name) => this.#known.get(name)?.state)
    if (this.#self === undefined) return
    const told = { toldRouting: this.#toldRouting, formerDatapath: this.#formerDatapath }
    const text = JSON.stringify({ ...this.#self, ...told, remembersNodes: true })
    if (this.#store.setting(settingName) === text) return
    try {
      this.#store.setSetting(settingName, text)
    } catch (error) {
      if (!(error instanceof StateError)) throw error
      // the store reports this problem itself (EndpointStore.trouble)
    }
  }

  /** `isOfEarlierRelease`: written by one that does not keep what is remembered of other nodes, which then is of long ago. */
  #rememberedSelf(): {
    readonly self?: NodeState
    readonly toldRouting?: Routing
    readonly formerDatapath?: DatapathName
    readonly isOfEarlierRelease?: boolean
  } {
    const text = this.#store.setting(settingName)
    if (text === undefined) return {}
    try {
      const { name, podCIDRs, addrs, ...saved } = nodeStateFrom(text) as NodeState & Extra
      if (name !== this.#nodeName) return {}
      const routing = routings.find((each) => each === saved.routing)
      const toldRouting = routings.find((each) => each === saved.toldRouting)
      const datapath = datapathNames.find((each) => each === saved.datapath)
      const formerDatapath = datapathNames.find((each) => each === saved.formerDatapath)
      return {
        self: { name, podCIDRs, addrs, ...(routing && { routing }), ...(datapath && { datapath }) },
        ...(toldRouting && { toldRouting }),
        ...(formerDatapath && { formerDatapath }),
        isOfEarlierRelease: saved.remembersNodes !== true,
      }
    } catch {
      // a damaged value must not keep the agent from starting: the API has this node's state too
      return {}
    }
  }
}
