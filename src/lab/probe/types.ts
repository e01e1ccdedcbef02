// The input and output types of a connectivity matrix.
import type { Addr, Family } from '#/lib/addr.ts'

export type ProbePod = {
  readonly name: string
  readonly node: string
  readonly netnsPath: string
  readonly addrs: readonly Addr[]
}

export type Protocol = 'icmp' | 'tcp'

export type ProbeResult = {
  /** The names of the two pods. */
  readonly from: string
  readonly to: string
  readonly family: Family
  readonly protocol: Protocol
  readonly ok: boolean
  /** The round trip as the kernel measured it: echo request to reply, or the TCP handshake. */
  readonly rttMs?: number
  /** Why the probe failed. */
  readonly problem?: string
}

/** The result of one probe. */
export type Outcome = { readonly ok: true; readonly rttMs: number } | { readonly ok: false; readonly problem: string }
