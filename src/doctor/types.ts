// What doctor is given and what it finds. Pure.
import { type IpamFindings } from '#/api/schemas/ipam.ts'
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { type PeersReport } from '#/api/schemas/peers.ts'
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { type Family } from '#/lib/addr.ts'
import { type Verdict } from '#/trace/verdict.ts'

/** Why a node did not answer a request. `isLate`: it was reached, and no answer came in time. `isStrange`: an answer came, which is of no use. */
export type Silence = {
  readonly what: string
  readonly why: string
  readonly isLate?: true
  readonly isStrange?: true
}

/** What one node said. A part that is absent was not answered. */
export type NodeAnswers = {
  readonly node: string
  /** What the agent did not answer, and why; without a status nobody was there to answer. */
  readonly silences: readonly Silence[]
  /** Of the agent, as its answers tell. */
  readonly version?: string
  readonly status?: AgentStatus
  readonly facts?: NodeFacts
  /** Asked for once more after packets were followed, where that says more. */
  readonly factsAfter?: NodeFacts
  readonly ipam?: IpamFindings
  readonly peers?: PeersReport
  /** How the asker's clock stood when the facts were asked for and when they came, ms since 1970. */
  readonly askedMs?: number
  readonly answeredMs?: number
}

/** An end of a packet: a pod as NAMESPACE/NAME, a node, or the address of a node's pods' gateway. */
export type PacketEnd = { readonly name: string; readonly node: string; readonly isPod: boolean }

/** A packet that is to be followed. */
export type PlannedPacket = {
  readonly from: PacketEnd
  readonly to: PacketEnd
  readonly family: Family
  readonly protocol: 'icmp' | 'tcp' | 'udp'
}

/** A packet that was followed for this diagnosis. */
export type FollowedPacket = PlannedPacket & {
  readonly verdict: Verdict
  /** A packet of this size, the largest that the sender's kernel sends, was answered too. */
  readonly fullBytes?: number
  /** It should have arrived whatever policies there are: that one denies it follows from what is wrong. */
  readonly isMeant?: true
  /** A program dropped it at a device that has none but Causeway's. */
  readonly isOwnDrop?: true
}

/** What a sign is about, as far as it decides what else is of the same cause. */
export type Extent = {
  /** The node at which it acts; absent: everywhere. */
  readonly at?: string
  /** The other nodes that it concerns; absent: all. */
  readonly peers?: readonly string[]
  /** The pods that it concerns, as NAMESPACE/NAME; absent: all of these nodes. */
  readonly pods?: readonly string[]
  /** The families that it concerns; absent: both. */
  readonly families?: readonly Family[]
}

/** Something that is wrong, before it is known whether it is a cause or follows from one. */
export type Sign = ToldProblem & {
  /** The nodes that tell of it, or at which it is; sorted. */
  readonly nodes: readonly string[]
  readonly extent: Extent
  /** It counts only where it explains something: a packet that was lost, or one whose trace blames it. */
  readonly needs?: 'loss' | 'blame'
  /** It is a packet that was followed and lost. */
  readonly loss?: Loss
  /** What made it, where that is known to be the same at several nodes: those of one code and one maker are one finding. */
  readonly maker?: string
  /** What routers say of the packets that it is about. */
  readonly routers?: readonly RouterWords[]
}

/** What an ICMP error said, and the address that it came from. */
export type RouterWords = { readonly by: string; readonly why: string; readonly mtuBytes?: number }

export type Loss = {
  /** Which packet it was. */
  readonly packet: string
  /** What became of it, as its trace says. */
  readonly text: string
  readonly from: string
  readonly to: string
  /** Only packets of full size are concerned. */
  readonly isOfSize: boolean
  /** It was lost on the wire behind this node. */
  readonly wireBehind?: string
  /** What the trace blames, and at which node. */
  readonly code?: string
  readonly node?: string
  /** Where the kernel dropped it and why, as one text, and what mends that. */
  readonly drop?: { readonly place: string; readonly remedy?: string }
}

/** One cause. Its object is the first of `objects`. */
export type Finding = ToldProblem & {
  readonly objects: readonly string[]
  /** The nodes that tell of it, or at which it is; sorted. */
  readonly nodes: readonly string[]
  /** What follows from it, in words: other problems, ways that are broken, packets that were lost. Of what is alike the first is told, with its number. */
  readonly consequences: readonly string[]
  /** Every problem that is told and follows from it. */
  readonly explains: readonly Pick<ToldProblem, 'code' | 'object'>[]
  /** Every packet that was followed and is lost for it, as `packetText` names it. */
  readonly lost: readonly string[]
}

/** What is worth knowing and harms nothing. */
export type Note = { readonly nodes: readonly string[]; readonly text: string }

export type Diagnosis = { readonly findings: readonly Finding[]; readonly notes: readonly Note[] }
