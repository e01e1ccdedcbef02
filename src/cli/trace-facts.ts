// What the steps of a trace tell each other.
import { type TraceEnd, type TracePair, type TraceSendRequest } from '#/api/schemas/trace-send.ts'
import { type TraceProtocol } from '#/model/trace.ts'
import { type End } from '#/trace/verdict.ts'

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

/** What of an end counts for a verdict. */
export function endOf({ addr, pod, node, cidrNode }: TraceEnd): End {
  return {
    addr,
    ...(pod !== undefined && { pod }),
    ...(node !== undefined && { node }),
    ...(cidrNode !== undefined && { cidrNode }),
  }
}
