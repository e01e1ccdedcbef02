// The input and output types of a connectivity matrix.
import type { Addr, Family } from '#/lib/addr.ts'

export type ProbePod = {
  /** NAME, or NAMESPACE/NAME of a pod outside of the namespace "default". */
  readonly name: string
  readonly node: string
  readonly netnsPath: string
  readonly addrs: readonly Addr[]
}

export type Protocol = 'icmp' | 'tcp'

export const protocols: readonly Protocol[] = ['icmp', 'tcp']

/**
 * What a probe shows: `ok`, allowed and answered; `denied`, forbidden by a policy, and no packet came to the target; `broken`, allowed and
 * not answered; `leak`, forbidden, and a packet came to the target.
 */
export type ProbeOutcome = 'ok' | 'denied' | 'broken' | 'leak'

export type ProbeResult = {
  /** The names of the two pods. */
  readonly from: string
  readonly to: string
  readonly family: Family
  readonly protocol: Protocol
  /** Whether it was answered. */
  readonly ok: boolean
  readonly outcome: ProbeOutcome
  /** The round trip as the kernel measured it: echo request to reply, or the TCP handshake. */
  readonly rttMs?: number
  /** Why the probe failed. */
  readonly problem?: string
  /** What forbids it, in words; absent when policies allow it. */
  readonly deniedBy?: string
}

/** The result of one probe. */
export type Outcome = { readonly ok: true; readonly rttMs: number } | { readonly ok: false; readonly problem: string }

/** Whether all is as it should be: what policies forbid does not arrive, all else does. */
export function isAsItShouldBe({ outcome }: Pick<ProbeResult, 'outcome'>): boolean {
  return outcome === 'ok' || outcome === 'denied'
}
