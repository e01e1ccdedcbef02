// What is known of one trace: its ends, what was expected of it, and what was seen.
import { type TraceProtocol } from '#/model/trace.ts'
import { type Direction, type Prediction, type Sighting } from './types.ts'

/** One of the two ends, as the trace was asked for. */
export type End = {
  readonly addr: string
  readonly pod?: string
  readonly node?: string
  /** The node whose pod CIDR the address is of, where neither a pod nor a node is known to have it. */
  readonly cidrNode?: string
}

/** The node at which a packet to that end arrives, if it does. */
export const goalNode = ({ node, cidrNode }: End): string | undefined => node ?? cidrNode

export type TraceFacts = {
  readonly from: End
  readonly to: End
  readonly protocol: TraceProtocol
  /** Absent: nobody asked whether something listens there. */
  readonly port?: number
  readonly sizeBytes?: number
  /** The sender's kernel did not send it. */
  readonly refused?: { readonly code: string; readonly mtuBytes?: number }
  readonly predictions: Readonly<Record<Direction, readonly Prediction[]>>
  readonly sightings: readonly Sighting[]
  /** Nodes on the way whose kernels were not watched, and why. */
  readonly blind: readonly { readonly node: string; readonly why: string }[]
}
