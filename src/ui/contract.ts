// What the page of `causeway ui` and the command that serves it say to each other. docs/ui.md says the rest. Types alone.
import { type BgpPeersReport } from '#/api/schemas/bgp.ts'
import { type DatapathReport } from '#/api/schemas/datapath.ts'
import { type IpamReport } from '#/api/schemas/ipam.ts'
import { type PeersReport, type PeerWay } from '#/api/schemas/peers.ts'
import { type ListedPolicy } from '#/api/schemas/policy.ts'
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { type AgentStatus, type VerdictStatus } from '#/api/schemas/status.ts'
import { type FoundPod } from '#/api/schemas/pods.ts'
import { type NodeSummary } from '#/api/schemas/summary.ts'
import { type Finding, type Note } from '#/doctor/types.ts'
import { type PageTrace } from '#/trace/page/input.ts'

/** 'silent': no agent answers, or what answers cannot be understood; `why` says which. 'unknown': it was not asked yet. */
export type NodeState = 'unknown' | 'silent' | NodeSummary['readiness']

/** The ways to one partner that a node probes, all paths and families together. */
export type ProbedPair = NodeSummary['pairs'][number]

/**
 * A node in the live picture: some 1 kB, also in a cluster of thousands. Of a silent node it holds what was last known, so far as anything was:
 * `askedMs` of the lines says when the others were asked, `heardMs` when this one last answered.
 */
export type NodeRow = Partial<Omit<NodeSummary, 'node' | 'readiness' | 'problems' | 'pairs' | 'podCIDRs' | 'addrs'>> & {
  readonly name: string
  readonly state: NodeState
  /** Of a silent node: what is known of the silence. */
  readonly why?: string
  /** Of a silent node: when it last answered, ms since 1970. Absent: never since the command was started. */
  readonly heardMs?: number
  /** Nodes of one rack, or else of one zone, as their labels say. */
  readonly rack?: string
  readonly addrs: readonly string[]
  readonly podCIDRs: readonly string[]
  /** At most 8 and some more. */
  readonly pairs: readonly ProbedPair[]
  /** At most 20. */
  readonly problems: readonly ToldProblem[]
}

/** A diagnosis as `causeway doctor --json` tells it. */
export type DoctorReport = {
  readonly summary: string
  readonly findings: readonly Finding[]
  readonly notes: readonly Note[]
  readonly nodes: readonly { readonly node: string; readonly isAnswering: boolean }[]
  readonly packets: readonly {
    readonly from: { readonly name: string; readonly node: string }
    readonly to: { readonly name: string; readonly node: string }
    readonly family: 4 | 6
    readonly protocol: 'icmp' | 'tcp' | 'udp'
    readonly isAnswered: boolean
    readonly outcome: string
    readonly text: string
  }[]
  readonly packetsLeftOut: number
  readonly exitStatus: number
}

export type DoctorState = {
  readonly state: 'running' | 'done' | 'failed'
  /** When it got into this state, ms since 1970. */
  readonly atMs: number
  /** Why it failed. */
  readonly message?: string
  /** The last whole diagnosis and when it was made; it stays while the next one runs, and when that fails. */
  readonly report?: DoctorReport
  readonly reportMs?: number
}

/** By the clock of the command, ms since 1970: that of the browser may be another computer's. */
export type Times = {
  /** When the line was made. */
  readonly nowMs: number
  /** When the nodes were asked; absent before the first round. */
  readonly askedMs?: number
  /** When the page is to hear of the nodes again: one that does not knows no more how they are. */
  readonly dueMs?: number
}

/**
 * Lines of GET /api/live, a JSON document each; empty lines, one in two seconds at least, mean that the server lives. The first line is 'all', and
 * a later 'all' replaces everything: it comes to a page that reads too slowly.
 */
export type LiveLine =
  | (Times & {
      readonly kind: 'all'
      /** What is looked at, such as "lab default" or "cluster https://10.0.0.1:6443". */
      readonly source: string
      readonly version: string
      readonly nodes: readonly NodeRow[]
      readonly doctor?: DoctorState
      /** As of a line 'failure' that still holds. */
      readonly failure?: string
      /** As of a line 'nodes'. */
      readonly unlisted?: string
    })
  /** After each round, also one in which nothing has changed. It ends a failure. */
  | (Times & {
      readonly kind: 'nodes'
      readonly changed: readonly NodeRow[]
      readonly gone: readonly string[]
      /** Why nodes that should have an agent and have none may be missing; absent: none is. */
      readonly unlisted?: string
    })
  | { readonly kind: 'doctor'; readonly doctor: DoctorState }
  /** The agents cannot be found now; what was known stays, with its age. */
  | { readonly kind: 'failure'; readonly message: string }

/** GET /api/node/NAME: what the agent answers, each part or why not. */
export type NodeDetail = {
  readonly node: string
  readonly status?: AgentStatus
  readonly bgp?: BgpPeersReport
  readonly datapath?: DatapathReport
  readonly ipam?: IpamReport
  readonly peers?: PeersReport
  readonly silences: readonly { readonly what: string; readonly why: string }[]
}

/** What one node knows of the way to another one. */
export type CrossingSide = {
  readonly node: string
  /** Its verdicts about the pod CIDRs of the other node. */
  readonly verdicts: readonly VerdictStatus[]
  readonly datapath?: string
  /** NAMESPACE/NAME of one of its pods that are ready; a packet from one pod to the other goes as those of all pods do. */
  readonly pod?: string
  /** Its probes of the other node: of those that it makes all the time, or else made for this answer. */
  readonly probes: readonly PeerWay[]
  /** Why it does not say. */
  readonly silence?: string
}

/** GET /api/crossing?from=NODE&to=NODE: how packets cross there and back, and why. */
export type Crossing = {
  readonly from: string
  readonly to: string
  readonly there: CrossingSide
  readonly back: CrossingSide
}

/** GET /api/pods?q=TEXT: pods whose NAMESPACE/NAME holds TEXT, at most 50. */
export type PodsFound = { readonly pods: readonly FoundPod[]; readonly more: number }

/**
 * GET /api/policies: the policies of the cluster as all asked nodes together see them: what their rules have decided is added up. At most 64 nodes
 * are asked; `notAsked` is how many others there are, whose counters and pods are missing then.
 */
export type PoliciesReport = {
  readonly policies: readonly ListedPolicy[]
  /** Nodes on which they are not enforced as they are now, and why. */
  readonly failing: readonly { readonly node: string; readonly why: string }[]
  readonly silences: readonly { readonly node: string; readonly why: string }[]
  readonly asked: number
  readonly notAsked: number
}

/** The body of POST /api/trace. Ends are as `causeway trace` takes them: NAMESPACE/NAME, NAME, a node, an address; `to` may have a port or be a Service. */
export type TraceWishBody = {
  readonly from: string
  readonly to: string
  /** ICMP without a port, TCP with one, unless told. */
  readonly protocol?: 'icmp' | 'tcp' | 'udp'
  readonly family?: 4 | 6
  readonly sizeBytes?: number
}

/** Lines of the answer to POST /api/trace; the last one is 'trace' or 'refused'. */
export type TraceLine =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'trace'; readonly trace: PageTrace & { readonly exitStatus: number } }
  | { readonly kind: 'refused'; readonly message: string }

/**
 * POST /api/doctor, without a body: 202; its outcome comes by the live lines. Every other answer than these: a status of 400 or more with
 * { message }. 401: the token is not that of this command, which has been started anew. 429: as many as may run at once do.
 */
export type Refusal = { readonly message: string }
