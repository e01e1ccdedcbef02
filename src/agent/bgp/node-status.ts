// The status of a BGPNode: what a node's speaker says of itself, as the object has it (src/install/definitions/node-kind.ts). Pure.
import { type PeerStatus } from '#/model/bgp.ts'
import { type Condition, type KubeObject } from '#/model/kubernetes.ts'
import { dated, timeText } from '#/model/status-conditions.ts'
import { type BgpRole } from '#/plan/bgp-mesh.ts'

/** What there is to tell of a speaker. */
export type SpeakerReport = {
  readonly routerId: string
  readonly asn: number
  readonly role: BgpRole
  /** Why it tells nobody of its pod CIDRs. */
  readonly drainedBecause?: string
  readonly peers: readonly PeerStatus[]
  readonly routes: { readonly learned: number; readonly installed: number }
}

type Session = {
  readonly peer: string
  readonly address?: string
  readonly asn?: number
  readonly state: PeerStatus['state']
  readonly since: string
  readonly received: number
  readonly accepted: number
  readonly advertised: number
  readonly lastError?: string
}

export type BgpNodeStatus = {
  readonly routerID?: string
  readonly asn?: number
  readonly role: BgpRole
  readonly established: number
  readonly configured: number
  readonly sessions: readonly Session[]
  readonly routes: SpeakerReport['routes']
  readonly conditions: readonly object[]
}

/** An object of the API must stay small: a mesh may have a thousand sessions. */
const maxSessions = 100
/** Why a session is down; the object has up to a hundred of these. */
const maxErrorLength = 512

const isUp = ({ state }: PeerStatus): boolean => state === 'Established'
const isOfMesh = ({ name }: PeerStatus): boolean => name.startsWith('node/')

/** BGPPeers, then nodes; of these those that are down first. */
function inOrder(peers: readonly PeerStatus[]): PeerStatus[] {
  const rank = (peer: PeerStatus): number => (isOfMesh(peer) ? (isUp(peer) ? 2 : 1) : 0)
  return peers.toSorted((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
}

function sessionOf(peer: PeerStatus): Session {
  const { name, addr, remoteAsn, state, sinceMs, received, accepted, advertised, lastError, pause } = peer
  return {
    peer: name,
    ...(addr !== undefined && { address: addr }),
    ...(remoteAsn !== undefined && { asn: remoteAsn }),
    state,
    since: timeText(sinceMs),
    received,
    accepted,
    advertised,
    ...(lastError !== undefined && { lastError: `${lastError.slice(0, maxErrorLength)}${pauseText(pause)}` }),
  }
}

function pauseText(pause: PeerStatus['pause']): string {
  if (pause === undefined) return ''
  return pause.untilMs === undefined
    ? '; it stays down until it is reset'
    : `; it is tried again at ${timeText(pause.untilMs)}`
}

function established(peers: readonly PeerStatus[]): Condition {
  const down = inOrder(peers).filter((peer) => !isUp(peer))
  const reasons = down.map(({ name, state, lastError }) => `${name}: ${lastError ?? state}`).join('; ')
  return down.length === 0
    ? {
        type: 'Established',
        status: 'True',
        reason: 'AllEstablished',
        message: `all of ${peers.length} sessions are established`,
      }
    : { type: 'Established', status: 'False', reason: 'SessionsDown', message: reasons }
}

/** Whether neighbours are kept from being told of the node's pod CIDRs. */
function drained({ drainedBecause }: SpeakerReport): Condition {
  return drainedBecause === undefined
    ? { type: 'Drained', status: 'False', reason: 'NotAskedFor', message: 'the node may be told of' }
    : { type: 'Drained', status: 'True', reason: 'NothingIsAdvertised', message: drainedBecause }
}

/** `live` is the object as it is. No report: the node speaks no BGP. */
export function bgpNodeStatus(
  report: SpeakerReport | undefined,
  live: KubeObject | undefined,
  nowMs: number,
): BgpNodeStatus {
  const peers = report?.peers ?? []
  return {
    ...(report && { routerID: report.routerId, asn: report.asn }),
    role: report?.role ?? 'none',
    established: peers.filter(isUp).length,
    configured: peers.length,
    sessions: inOrder(peers).slice(0, maxSessions).map(sessionOf),
    routes: report?.routes ?? { learned: 0, installed: 0 },
    conditions: report === undefined ? [] : dated([established(report.peers), drained(report)], live, { nowMs }),
  }
}

/** The status without what changes with every route. */
export function withoutCounts({ routes: _routes, sessions, ...status }: BgpNodeStatus): object {
  return {
    ...status,
    sessions: sessions.map(
      ({ received: _received, accepted: _accepted, advertised: _advertised, ...session }) => session,
    ),
  }
}
