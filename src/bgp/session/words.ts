// Why a session is down, for the one who has to mend it.
import { type Addr } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { type Phase } from '../fsm/index.ts'

/** `addr` is undefined where it is that of whoever is at the other end of the peer's device, and nobody was looked for. */
export function connectFailure(config: PeerConfig, addr: Addr | undefined, error: unknown): string {
  return `connecting to ${addr ?? `the router on ${config.device}`} port ${config.port} failed: ${messageOf(error)}`
}

export function noRouterOn(device: string | undefined): string {
  if (device === undefined) return 'the peer has neither an address nor a device'
  return `no router has shown itself on ${device} yet: does the other end send router advertisements, or answer there?`
}

/** TCP ended without a word of BGP. */
export function closeOf(config: PeerConfig, phase: Phase | undefined, error: Error | undefined): string {
  const how = error === undefined ? 'the peer closed the connection' : `the connection broke: ${messageOf(error)}`
  if (phase !== 'OpenSent') return how
  return `${how}, before its OPEN: does it have a neighbour with our address and AS ${config.localAsn}?`
}

/** What is wrong now, and what ended the last session, where that was something else. */
export function errorsOf(lastError: string | undefined, endedBecause: string | undefined): string | undefined {
  if (lastError === undefined || endedBecause === undefined || lastError === endedBecause) return lastError
  return `${lastError}; the session before it ended because ${endedBecause}`
}
