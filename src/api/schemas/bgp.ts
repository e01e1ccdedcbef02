// The schemas of the BGP operations, which an agent or a standalone speaker serves.
import { array, boolean, check, exactOptional, number, object, picklist, pipe, string } from 'valibot'
import { Prefix } from '#/lib/addr.ts'
import { about, moment, type ValueOf } from '../value.ts'
import { flag } from '../flag.ts'

const peerStatus = object({
  name: string(),
  addr: exactOptional(string()),
  localAsn: number(),
  remoteAsn: exactOptional(number()),
  state: picklist(['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established']),
  sinceMs: about(moment(), 'since when it is in that state, ms since 1970'),
  routerId: exactOptional(about(string(), "the neighbour's router id, once known")),
  holdTimeSeconds: exactOptional(number()),
  families: array(picklist([4, 6])),
  bfd: exactOptional(picklist(['AdminDown', 'Down', 'Init', 'Up'])),
  gracefulRestart: exactOptional(picklist(['helping', 'restarting', 'negotiated'])),
  received: about(number(), 'routes'),
  accepted: about(number(), 'routes'),
  advertised: about(number(), 'routes'),
  flaps: number(),
  pause: exactOptional(
    about(
      object({ untilMs: exactOptional(moment()) }),
      'no session is tried, until then (ms since 1970), or without a time until it is reset',
    ),
  ),
  faults: exactOptional(
    about(
      object({
        updates: number(),
        prefixes: about(number(), 'that were treated as withdrawn'),
        last: string(),
        lastMs: about(moment(), 'when the last came, ms since 1970'),
      }),
      'what RFC 7606 had to handle since the speaker started',
    ),
  ),
  lastError: exactOptional(about(string(), 'why it is down, or went down last')),
})

const route = object({
  prefix: string(),
  peer: about(string(), "(own): the speaker's own route"),
  nextHops: array(string()),
  asPath: string(),
  origin: exactOptional(picklist(['igp', 'egp', 'incomplete'])),
  localPreference: exactOptional(number()),
  med: exactOptional(number()),
  communities: array(string()),
  isBest: boolean(),
  isMultipath: boolean(),
  isStale: boolean(),
  stale: exactOptional(
    about(
      object({ kind: picklist(['graceful', 'long-lived']), untilMs: exactOptional(moment()) }),
      'of a stale path: kept by RFC 4724 or RFC 9494, and until when at most, ms since 1970',
    ),
  ),
  reason: about(string(), 'why it was chosen, or what the better one has ahead; why it was refused'),
  isRefused: about(boolean(), 'by loop check, policy or RFC 7606: never a candidate'),
  treatedAsWithdrawnMs: exactOptional(about(moment(), 'when RFC 7606 made a withdrawal of it, ms since 1970')),
  kernel: exactOptional(
    about(
      object({ isInstalled: boolean(), reason: exactOptional(string()) }),
      'of a path that was chosen: whether the kernel has it, and if not, why',
    ),
  ),
})

const advertisedRoute = object({
  prefix: string(),
  peer: string(),
  nextHop: string(),
  asPath: string(),
  communities: array(string()),
  notBecause: exactOptional(about(string(), 'it is not told, and this is why; only where explain asks for that')),
})

const silentBecause = exactOptional(about(string(), 'why this node speaks no BGP; then there is nothing else'))

export const bgpPeersReport = object({
  silentBecause,
  asn: exactOptional(number()),
  routerId: exactOptional(string()),
  role: exactOptional(string()),
  drainedBecause: exactOptional(about(string(), 'why this node tells nobody of its pod CIDRs')),
  portTroubles: exactOptional(about(array(string()), 'why neighbours cannot connect, or BFD hears nothing')),
  isReady: about(boolean(), 'whether every neighbour has told all that it has, since the agent started'),
  peers: array(peerStatus),
})

export const bgpRoutesReport = object({ silentBecause, routes: array(route) })
export const bgpAdvertisedReport = object({ silentBecause, routes: array(advertisedRoute) })

const cidr = pipe(
  string(),
  check((text) => Prefix.tryParse(text) !== undefined, 'is no CIDR, such as 10.244.1.0/24'),
)

export const routesRequest = object({
  prefix: exactOptional(about(cidr, 'only routes to the longest prefix that contains it')),
  peer: exactOptional(about(string(), 'only routes of or to this neighbour; 404 where there is none of that name')),
  explain: exactOptional(about(flag, 'of what is advertised, also what is not told to whom, and why')),
})

export const resetRequest = object({
  peer: about(
    pipe(
      string(),
      check((text) => text !== '', 'names no neighbour'),
    ),
    "the neighbour's name",
  ),
  how: about(picklist(['soft', 'hard']), 'soft asks for its routes again, hard ends the session'),
})

export type BgpPeersReport = ValueOf<typeof bgpPeersReport>
export type BgpRoutesReport = ValueOf<typeof bgpRoutesReport>
export type BgpRoute = BgpRoutesReport['routes'][number]
export type BgpAdvertisedReport = ValueOf<typeof bgpAdvertisedReport>
export type RoutesRequest = ValueOf<typeof routesRequest>
export type ResetRequest = ValueOf<typeof resetRequest>
