// BGP as values: what a speaker is told to do, and what it tells of itself. Objects of the cluster become these (plan/bgp.ts), the
// speaker (src/bgp) takes and gives nothing else, so either side can be run without the other.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'

/** Seconds stand in the names; 0 in `holdTimeSeconds` asks for a session without keepalives (RFC 4271 section 4.2). */
export type BgpTimers = {
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  /** Pause before another attempt to connect; each is stretched by up to a quarter (RFC 4271 section 10). */
  readonly connectRetrySeconds: number
}

export type BgpGracefulRestart = {
  /** Restart time of RFC 4724: how long the other side waits for us to come back. 0 to 4095. */
  readonly restartTimeSeconds: number
  /** How long routes of a neighbour that restarts are kept after it is back, at most, until its End-of-RIB. */
  readonly stalePathTimeSeconds: number
  /** Long-lived stale time of RFC 9494; absent: none. */
  readonly longLivedStaleTimeSeconds?: number
}

export type BfdSettings = {
  /** Desired min TX and required min RX interval. */
  readonly intervalMs: number
  readonly detectMultiplier: number
}

/** One condition of a policy: what is absent matches everything. */
export type RouteMatch = {
  /** Any of them; `minLength` and `maxLength` default to the prefix's own length: exactly that prefix. */
  readonly prefixes?: readonly { readonly prefix: Prefix; readonly minLength?: number; readonly maxLength?: number }[]
  /** All of them: "65000:1" (RFC 1997), "65000:1:2" (RFC 8092), or a name such as "no-export". */
  readonly communities?: readonly string[]
  /** The AS that the path must begin with (the neighbour) or end with (the origin). */
  readonly firstAsn?: number
  readonly originAsn?: number
}

export type RouteChanges = {
  readonly localPreference?: number
  readonly med?: number
  readonly prependTimes?: number
  readonly addCommunities?: readonly string[]
  readonly removeCommunities?: readonly string[]
}

export type PolicyRule = {
  readonly name?: string
  readonly match: RouteMatch
  readonly action: 'accept' | 'reject'
  readonly set?: RouteChanges
  /** Somebody named these prefixes: what it accepts may be what no neighbour may bring by chance (LearnedRoute.isAllowed). */
  readonly isGrant?: boolean
}

/** Rules in order, the first that matches decides; no match: `otherwise`. */
export type RoutePolicy = {
  readonly rules: readonly PolicyRule[]
  readonly otherwise: 'accept' | 'reject'
  /** Why routes that no rule matches are rejected, for people; absent: because no rule matches. */
  readonly otherwiseBecause?: string
}

export type MaxPrefixes = {
  readonly count: number
  /** A warning is logged from there on. */
  readonly warningPercent: number
  /** How long the session stays down after it went over; absent: until somebody resets it. */
  readonly restartSeconds?: number
}

/** One neighbour. `name` is unique among a speaker's neighbours and stays the same while it is the same neighbour. */
export type PeerConfig = {
  readonly name: string
  /** Absent: the peer is at the other end of `device` and is found by its link-local address (unnumbered, RFC 8950 with 4861). */
  readonly addr?: Addr
  readonly device?: string
  readonly port: number
  readonly localAddr?: Addr
  readonly localAsn: number
  /** 'external': any AS but the local one. */
  readonly remoteAsn: number | 'external'
  readonly families: readonly Family[]
  /** Never connects (passive), never accepts (active), or either. */
  readonly mode: 'both' | 'passive' | 'active'
  readonly timers: BgpTimers
  /** Absent: no graceful restart with this one. */
  readonly gracefulRestart?: BgpGracefulRestart
  readonly bfd?: BfdSettings
  /** RFC 2385. Absent: none. Never empty. */
  readonly password?: string
  /** RFC 5082: packets are sent with TTL 255 and taken only if they crossed at most `hops` links. Else: TTL 1 for external peers. */
  readonly ttlSecurityHops?: number
  /** External peers that are not on a connected link: the TTL that is sent. */
  readonly multihopTtl?: number
  readonly maxPrefixes?: MaxPrefixes
  /** Absent on an external peer: nothing is taken or given (RFC 8212); on an internal one: everything. */
  readonly importPolicy?: RoutePolicy
  readonly exportPolicy?: RoutePolicy
  /** RFC 4456: the peer is a client of this route reflector. */
  readonly isReflectorClient: boolean
  /** Advertised routes get this speaker as next hop; external peers always, internal ones when set. */
  readonly nextHopSelf: boolean
  /** How often the own AS may be in a received path. 0: never (RFC 4271 section 9.1.2). */
  readonly allowOwnAsn: number
  /** Why there can be no session, such as a Secret that is missing: it is kept down and says so. */
  readonly blockedBecause?: string
}

/** A route of our own. Its next hop is this speaker's address towards each peer. */
export type OriginatedRoute = { readonly prefix: Prefix; readonly communities?: readonly string[] }

export type SpeakerConfig = {
  readonly routerId: Addr
  readonly asn: number
  /** Absent: does not listen. */
  readonly listenPort?: number
  /** RFC 4456; absent: the router id. */
  readonly clusterId?: Addr
  /** ECMP: how many equal paths of a prefix are used. */
  readonly maxPaths: number
  /** Whether paths of different neighbouring ASes can be equal ("multipath-relax"). */
  readonly multipathRelax: boolean
  /**
   * Whether the kernel kept forwarding over the restart of this speaker: its first OPENs then say so (R and F bits of RFC 4724).
   */
  readonly isRestarting: boolean
  /** This node's addresses, the preferred one of a family first: next hops of routes of another family than their session's. */
  readonly localAddrs?: readonly Addr[]
  /** What this node is connected to, sorted: next hops are looked for there. Absent: it is not known. */
  readonly subnets?: readonly Prefix[]
  readonly peers: readonly PeerConfig[]
  readonly originated: readonly OriginatedRoute[]
}

export type NextHop = { readonly addr: Addr; /** For link-local addresses. */ readonly device?: string }

/** What the speaker has chosen for a prefix that is not its own. */
export type LearnedRoute = {
  readonly prefix: Prefix
  /** Sorted; several are equal paths. */
  readonly nextHops: readonly NextHop[]
  readonly peers: readonly string[]
  /** An import policy's rule that is a grant took it: what must never come from a peer by chance may. */
  readonly isAllowed: boolean
  /** Kept over a restart of the neighbour (RFC 4724). */
  readonly isStale: boolean
}

/** undefined: there is no route to the prefix any more. */
export type LearnedRouteChange = { readonly prefix: Prefix; readonly route: LearnedRoute | undefined }

export type SessionState = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established'

export type PeerStatus = {
  readonly name: string
  readonly addr?: string
  readonly localAsn: number
  readonly remoteAsn?: number
  readonly state: SessionState
  /** Wall clock, ms since 1970, since when it is in that state. */
  readonly sinceMs: number
  /** The remote router id, once known. */
  readonly routerId?: string
  readonly holdTimeSeconds?: number
  readonly families: readonly Family[]
  readonly bfd?: 'AdminDown' | 'Down' | 'Init' | 'Up'
  readonly gracefulRestart?: 'helping' | 'restarting' | 'negotiated'
  readonly received: number
  readonly accepted: number
  readonly advertised: number
  readonly flaps: number
  /** Why it is down, or went down last, in words for the one who has to mend it. */
  readonly lastError?: string
}

/** Stands for a peer's name on the speaker's own routes. */
export const ownPathPeer = '(own)'

/** One path to a prefix as the RIB has it, with the reason for its place. */
export type PathStatus = {
  readonly prefix: string
  readonly peer: string
  readonly nextHops: readonly string[]
  readonly asPath: string
  readonly origin: 'igp' | 'egp' | 'incomplete'
  readonly localPreference?: number
  readonly med?: number
  readonly communities: readonly string[]
  readonly isBest: boolean
  readonly isMultipath: boolean
  readonly isStale: boolean
  /** Why it was chosen, or what the better one has ahead; why it was refused. */
  readonly reason: string
  /** Refused by loop check, policy or RFC 7606: never a candidate. */
  readonly isRefused: boolean
}

/** Of what to show: what is absent matches everything. */
export type RouteFilter = {
  /** In CIDR notation. */
  readonly prefix?: string | undefined
  /** A neighbour's name. */
  readonly peer?: string | undefined
  /** Of what is advertised: also what is not. */
  readonly isExplained?: boolean
}

export type AdvertisedStatus = {
  readonly prefix: string
  readonly peer: string
  readonly nextHop: string
  readonly asPath: string
  readonly communities: readonly string[]
  /** It is not told, and this is why; only where that was asked for. */
  readonly notBecause?: string
}
