// What a page is made of: a trace as `causeway trace --json` tells it.
import { type TraceProtocol } from '#/model/trace.ts'
import { type Direction, type Prediction } from '../types.ts'
import { type End, type Verdict } from '../verdict.ts'
import { type Hop } from '../way.ts'

export type PageTrace = {
  readonly probe: {
    readonly protocol: TraceProtocol
    readonly port?: number
    readonly sizeBytes?: number
    readonly from: End
    readonly to: End
  }
  /** The end that a Service's address was translated to. */
  readonly behind?: End
  readonly sent: { readonly sentAtMs: number }
  readonly predictions: Readonly<Record<Direction, readonly Prediction[]>>
  readonly there: readonly Hop[]
  readonly back: readonly Hop[]
  readonly blind: readonly { readonly node: string; readonly why: string }[]
  readonly notes: readonly string[]
  readonly verdict: Omit<Verdict, 'last' | 'next'> & {
    readonly lastSeen?: Hop
    readonly firstNotSeen?: Hop
    /** A packet of the largest size that the sender's kernel sends was answered too. */
    readonly fullBytes?: number
  }
}
