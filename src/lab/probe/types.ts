// What a connectivity matrix asks and answers.
import type { Addr, Family } from '#/lib/addr.ts'

export type ProbePod = {
  readonly name: string
  readonly node: string
  readonly netnsPath: string
  readonly addrs: readonly Addr[]
}

export type Protocol = 'icmp' | 'tcp'

export type ProbeResult = {
  /** Names of pods. */
  readonly from: string
  readonly to: string
  readonly family: Family
  readonly protocol: Protocol
  readonly ok: boolean
  /** As the kernel measured it: echo request to reply, or the TCP handshake. */
  readonly rttMs?: number
  /** Why it is not ok. */
  readonly problem?: string
}

/** What one probe found out. */
export type Outcome = { readonly ok: true; readonly rttMs: number } | { readonly ok: false; readonly problem: string }
