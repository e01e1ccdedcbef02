// What is told of a peer. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type PeerConfig, type PeerFaults, type PeerStatus, type SessionState } from '#/model/bgp.ts'
import { type EstablishedSession } from './established.ts'

type Known = {
  readonly config: PeerConfig
  readonly addr: Addr | undefined
  readonly state: SessionState
  readonly sinceMs: number
  readonly session: EstablishedSession | undefined
  /** Its routes are kept over its restart. */
  readonly isHelping: boolean
  /** Ours are kept over our restart. */
  readonly isRestarting: boolean
  readonly counts: Pick<PeerStatus, 'received' | 'accepted' | 'advertised'>
  readonly flaps: number
  readonly pause: PeerStatus['pause']
  readonly faults: PeerFaults | undefined
  readonly lastError: string | undefined
}

export function statusOf(known: Known): PeerStatus {
  const { config, addr, session, lastError } = known
  const negotiated = session?.negotiated
  const configuredAsn = config.remoteAsn === 'external' ? undefined : config.remoteAsn
  const remoteAsn = negotiated?.remote.asn ?? configuredAsn
  const bfd = session?.bfdState
  const gracefulRestart = restartOf(known)
  return {
    name: config.name,
    ...(addr && { addr: String(addr) }),
    localAsn: config.localAsn,
    ...(remoteAsn !== undefined && { remoteAsn }),
    state: known.state,
    sinceMs: known.sinceMs,
    ...(negotiated && { routerId: String(negotiated.remote.routerId), holdTimeSeconds: negotiated.holdTimeSeconds }),
    families: negotiated?.wire.families ?? [],
    ...(bfd && { bfd }),
    ...(gracefulRestart && { gracefulRestart }),
    ...known.counts,
    flaps: known.flaps,
    ...(known.pause && { pause: known.pause }),
    ...(known.faults && { faults: known.faults }),
    ...(lastError !== undefined && { lastError }),
  }
}

function restartOf({ config, session, isHelping, isRestarting }: Known): PeerStatus['gracefulRestart'] {
  if (config.gracefulRestart === undefined) return undefined
  if (isHelping) return 'helping'
  if (isRestarting) return 'restarting'
  return session?.negotiated.restart && 'negotiated'
}
