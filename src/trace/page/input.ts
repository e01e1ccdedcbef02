// What a page is made of: a trace as `causeway trace --json` tells it, of a packet or of what a bundle's nodes would do with one.
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
  /** Absent: there was no packet. */
  readonly sent?: { readonly sentAtMs: number }
  /** When the nodes of the bundle told what they are like. */
  readonly madeAtMs?: number
  readonly predictions: Readonly<Record<Direction, readonly Prediction[]>>
  readonly there: readonly Hop[]
  readonly back: readonly Hop[]
  readonly blind: readonly { readonly node: string; readonly why: string }[]
  readonly notes: readonly string[]
  /** What probes from several ports came to, by the ways that they took. */
  readonly ways?: readonly {
    readonly way: string
    readonly outcome: Verdict['outcome']
    readonly sourcePorts: readonly number[]
  }[]
  readonly verdict: Omit<Verdict, 'outcome' | 'last' | 'next'> & {
    readonly outcome: Verdict['outcome'] | 'arrives' | 'ends'
    readonly lastSeen?: Hop
    readonly firstNotSeen?: Hop
    /** Where a packet would end. */
    readonly endsAt?: { readonly node: string }
    /** A packet of the largest size that the sender's kernel sends was answered too. */
    readonly fullBytes?: number
  }
}

/** Whether it tells what would become of a packet: there was none. */
export const isForetold = ({ sent }: PageTrace): boolean => sent === undefined
