// What the steps of a trace tell each other.
import { type TracePair, type TraceSendRequest } from '#/api/schemas/trace-send.ts'
import { type TraceProtocol } from '#/model/trace.ts'

/** The trace cannot be told, for a reason that is not the packet's. */
export class NotTold extends Error {
  override name = 'NotTold'
}

export type TraceWish = {
  readonly protocol: TraceProtocol
  /** Absent: nobody asks whether something listens. */
  readonly port?: number
  readonly sizeBytes?: number
}

/** The probe as the sender's agent is asked for it. */
export type Probe = { readonly pair: TracePair; readonly request: TraceSendRequest; readonly wish: TraceWish }
