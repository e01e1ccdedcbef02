// What a prediction is made from, and what it has found so far.
import { type PolicyStateReport } from '#/api/schemas/policy.ts'
import { type TracePrediction } from '#/api/schemas/trace-predict.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type DirectionExplanation } from '#/policy/explain.ts'
import { type Direction } from '#/policy/policy.ts'
import { type PolicyPacket } from '#/policy/verdict.ts'
import { type PacketFacts, type PredictedStep } from '#/trace/predict-steps.ts'
import { type PredictedPlace } from '#/trace/predict-way.ts'
import { type MapName } from '#/wire/bpf/maps.ts'
import { type FlannelView } from './flannel.ts'
import { type KernelView, type ViewLink } from './kernel-view.ts'

/** A pod of this node. */
export type PredictPod = {
  /** NAMESPACE/NAME */
  readonly pod: string
  readonly addrs: readonly { readonly addr: Addr }[]
  readonly hostDevice: string
  readonly ifName: string
  readonly datapath: DatapathName
}

/** What network policies say, and whether the kernel has it. */
export type PredictPolicy = {
  readonly state: () => Pick<PolicyStateReport, 'kind' | 'why'>
  /** The nodes of the cluster with their addresses, as far as they are known. */
  readonly nodes: () => ReadonlyMap<string, readonly Addr[]>
  readonly explain: (
    packet: PolicyPacket,
    direction: Direction,
  ) => Pick<DirectionExplanation, 'text' | 'isDenied' | 'isAudited' | 'changes' | 'policies'>
  /** undefined: no policy selects the pod. */
  readonly inKernel: (
    pod: string,
    direction: Direction,
  ) => Promise<{ readonly isThere: boolean; readonly text: string } | undefined>
}

/** The programs of the eBPF datapath. */
export type PredictPrograms = {
  readonly isAttached: (hostDevice: string) => boolean
  /** Absent: what their maps hold is not known. */
  readonly lookUp?: (map: MapName, key: Uint8Array) => Uint8Array | undefined
  /** What denies, by its number in the maps of network policies; undefined where that is not known. Absent: nor is what these maps hold. */
  readonly denialText?: (rule: number) => string | undefined
}

export type PredictDeps = {
  readonly nodeName: string
  /** Opens the node's namespace. The caller disposes of it. */
  readonly openNode: () => KernelView
  readonly pods: () => readonly PredictPod[]
  /** Opens a pod's namespace; undefined when it is gone. The caller disposes of it. */
  readonly openPod: (pod: PredictPod) => KernelView | undefined
  readonly verdicts: () => Iterable<Verdict>
  /** Of this node: its pod CIDRs and its own addresses. */
  readonly podCIDRs: () => readonly Prefix[]
  readonly nodeAddrs: () => readonly Addr[]
  readonly clusterCIDRs: readonly Prefix[]
  readonly vxlanPort: number
  /** The device by which packets of pods enter the node's network stack. */
  readonly podDevice: () => string
  /** undefined: there are none, and the bridge carries all. */
  readonly programs: () => PredictPrograms | undefined
  readonly policy: PredictPolicy
  /** Set where the network of pods is flannel's. */
  readonly flannel?: FlannelView
}

export type Packet = {
  readonly src: Addr
  readonly dst: Addr
  readonly protocol: 'icmp' | 'udp' | 'tcp'
  readonly port?: number
  readonly sourcePort?: number
  readonly sizeBytes: number
  readonly mayFragment: boolean
  /** It answers another one, of a connection that the nodes on its way know. */
  readonly isAnswer: boolean
  /** An address of it was replaced on this node. */
  readonly isTranslated?: true
}

export const ipProtocol = ({ protocol, dst }: Packet): number =>
  protocol === 'tcp' ? 6 : protocol === 'udp' ? 17 : dst.family === 4 ? 1 : 58

export const factsOf = ({ src, sizeBytes, mayFragment }: Packet): PacketFacts => ({
  family: src.family,
  sizeBytes,
  mayFragment,
})

/** Steps may take as long as this; what reads much (firewalls) is left out after that. */
const patienceMs = 3000

export class Prediction {
  readonly deps: PredictDeps
  /** Of the node's namespace. */
  readonly kernel: KernelView
  readonly steps: PredictedStep[] = []
  readonly way: PredictedPlace[] = []
  leaves: TracePrediction['leaves']
  translatedTo: TracePrediction['translatedTo']
  packet: Packet
  /** Rules that replace the destination have been looked through: the kernel does so once. */
  isTranslationAsked = false
  readonly #endMs = performance.now() + patienceMs
  #links: ReadonlyMap<number, ViewLink> | undefined

  constructor(deps: PredictDeps, kernel: KernelView, packet: Packet) {
    this.deps = deps
    this.kernel = kernel
    this.packet = packet
  }

  get isLate(): boolean {
    return performance.now() > this.#endMs
  }

  /** Adds a step; returns whether the packet gets past it. */
  add(...steps: readonly (PredictedStep | undefined)[]): boolean {
    const found = steps.filter((each) => each !== undefined)
    this.steps.push(...found)
    return !found.some(({ isObstacle }) => isObstacle)
  }

  /** The node's devices, as of the beginning. */
  get links(): ReadonlyMap<number, ViewLink> {
    return (this.#links ??= new Map(this.kernel.links.map((link) => [link.index, link])))
  }

  link(name: string): ViewLink | undefined {
    return this.links.values().find((link) => link.name === name)
  }

  readonly nameOf = (index: number): string => this.links.get(index)?.name ?? `if${index}`

  podWith(addr: Addr): PredictPod | undefined {
    return this.deps.pods().find(({ addrs }) => addrs.some((each) => each.addr.equals(addr)))
  }

  isOwnPodAddr(addr: Addr): boolean {
    return this.deps.podCIDRs().some((cidr) => cidr.contains(addr))
  }

  /** Whether it is an address for pods of this node, and neither a pod has it nor the node. */
  isNobodys(addr: Addr): boolean {
    const isOfNode = this.deps.nodeAddrs().some((each) => each.equals(addr))
    return this.isOwnPodAddr(addr) && !isOfNode && this.podWith(addr) === undefined
  }

  /** Whether it is an address for pods, of which no node has the pod CIDR, as far as all nodes are known. */
  hasNoOwner(addr: Addr): boolean {
    const isForPods = this.deps.clusterCIDRs.some((cidr) => cidr.contains(addr))
    if (!isForPods || this.deps.policy.state().kind === 'waiting' || this.isOwnPodAddr(addr)) return false
    return this.verdictOf(addr) === undefined && this.nodeWith(addr) === undefined
  }

  verdictOf(addr: Addr): Verdict | undefined {
    let best: Verdict | undefined
    for (const verdict of this.deps.verdicts())
      if (verdict.dst.contains(addr) && (best === undefined || best.dst.length < verdict.dst.length)) best = verdict
    return best
  }

  /** The other node that has the address. */
  nodeWith(addr: Addr): string | undefined {
    for (const [node, addrs] of this.deps.policy.nodes()) if (addrs.some((each) => each.equals(addr))) return node
    return undefined
  }

  get result(): TracePrediction {
    const { leaves, translatedTo } = this
    return {
      node: this.deps.nodeName,
      steps: this.steps,
      way: this.way,
      ...(translatedTo && { translatedTo }),
      ...(leaves && { leaves }),
    }
  }
}
