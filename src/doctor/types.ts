// What doctor is given and what it finds. Pure.
import { type IpamFindings } from '#/api/schemas/ipam.ts'
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { type PeersReport } from '#/api/schemas/peers.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { type Problem } from '#/model/problems.ts'
import { type Verdict } from '#/trace/verdict.ts'

/** What one node said. A part that is absent was not answered. */
export type NodeAnswers = {
  readonly node: string
  /** Why the agent, or a part of it, did not answer. */
  readonly silences: readonly string[]
  readonly status?: AgentStatus
  readonly facts?: NodeFacts
  readonly ipam?: IpamFindings
  readonly peers?: PeersReport
  /** How the asker's clock stood when the facts were asked for and when they came, ms since 1970. */
  readonly askedMs?: number
  readonly answeredMs?: number
}

/** A packet that was followed for this diagnosis. */
export type FollowedPacket = {
  readonly from: { readonly name: string; readonly node?: string }
  readonly to: { readonly name: string; readonly node?: string }
  readonly family: 4 | 6
  readonly protocol: 'icmp' | 'udp' | 'tcp'
  readonly sizeBytes?: number
  readonly verdict: Verdict
}

/** One cause. */
export type Finding = Problem & {
  /** The nodes that tell of it, or at which it is; sorted. */
  readonly nodes: readonly string[]
  /** What follows from it: other problems, ways that are broken, packets that were lost. */
  readonly consequences: readonly string[]
}
