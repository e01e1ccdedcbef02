// BGP as values: a speaker's configuration and its status. plan/bgp.ts makes the configuration from objects of the cluster, and the speaker
// (src/bgp) uses nothing else, so either side can run without the other.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'

/** All times are in seconds; 0 in `holdTimeSeconds` asks for a session without keepalives (RFC 4271 section 4.2). */
export type BgpTimers = {
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  /** The pause before the next attempt to connect; each pause is stretched by up to a quarter (RFC 4271 section 10). */
  readonly connectRetrySeconds: number
}

export type BgpGracefulRestart = {
  /** The restart time of RFC 4724: how long the neighbour waits for us to come back. 0 to 4095. */
  readonly restartTimeSeconds: number
  /** How long at most the routes of a neighbour that restarted are kept after it is back, until its End-of-RIB. */
  readonly stalePathTimeSeconds: number
  /** The long-lived stale time of RFC 9494; absent: routes are not kept that long. */
  readonly longLivedStaleTimeSeconds?: number
}

export type BfdSettings = {
  /** Both the desired min TX and the required min RX interval. */
  readonly intervalMs: number
  readonly detectMultiplier: number
}

/** The condition of a policy's rule; an absent field matches everything. */
export type RouteMatch = {
  /** The route's prefix must match one of these; `minLength` and `maxLength` default to the prefix's own length: exactly that prefix. */
  readonly prefixes?: readonly { readonly prefix: Prefix; readonly minLength?: number; readonly maxLength?: number }[]
  /** The route must have all of these: "65000:1" (RFC 1997), "65000:1:2" (RFC 8092), or a name such as "no-export". */
  readonly communities?: readonly string[]
  /** The AS that the path must begin with (`firstAsn`, the neighbour) or end with (the origin). */
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
  /**
   * The rule's author named these prefixes explicitly, so it may accept routes that are otherwise never accepted from a neighbour
   * (LearnedRoute.isAllowed).
   */
  readonly isGrant?: boolean
}

/** The first rule that matches decides; `otherwise` applies when none does. */
export type RoutePolicy = {
  readonly rules: readonly PolicyRule[]
  readonly otherwise: 'accept' | 'reject'
  /** The reason to show for routes that no rule matches; absent: "no rule matches" is the reason. */
  readonly otherwiseBecause?: string
}

export type MaxPrefixes = {
  /** How many prefixes the neighbour may send; with `receivedCount`: how many of them the import policy may take. */
  readonly count: number
  /** How many prefixes it may send, taken or not: refused ones fill memory as well. */
  readonly receivedCount?: number
  /** A warning is logged from this share of the limit on. */
  readonly warningPercent: number
  /** How long the session stays down after it exceeded the limit; absent: until it is reset by hand. */
  readonly restartSeconds?: number
}

/** One neighbour. `name` is unique among a speaker's neighbours and does not change as long as it is the same neighbour. */
export type PeerConfig = {
  readonly name: string
  /** Absent: the peer is at the other end of `device` and is found by its link-local address (unnumbered; RFC 8950 with RFC 4861). */
  readonly addr?: Addr
  readonly device?: string
  readonly port: number
  readonly localAddr?: Addr
  readonly localAsn: number
  /** 'external': any AS but the local one. */
  readonly remoteAsn: number | 'external'
  readonly families: readonly Family[]
  /** 'passive' never connects, 'active' never accepts, 'both' does both. */
  readonly mode: 'both' | 'passive' | 'active'
  readonly timers: BgpTimers
  /** Absent: no graceful restart with this peer. */
  readonly gracefulRestart?: BgpGracefulRestart
  readonly bfd?: BfdSettings
  /** The TCP MD5 password (RFC 2385); never empty. Absent: none. */
  readonly password?: string
  /**
   * TTL security (RFC 5082): packets are sent with TTL 255 and accepted only if they crossed at most this many links. Absent: TTL 1 for
   * external peers.
   */
  readonly ttlSecurityHops?: number
  /** The TTL to send to external peers that are not on a connected link. */
  readonly multihopTtl?: number
  readonly maxPrefixes?: MaxPrefixes
  /** When a policy is absent, an external peer gets and gives no routes (RFC 8212), an internal one all. */
  readonly importPolicy?: RoutePolicy
  readonly exportPolicy?: RoutePolicy
  /** The peer is a client of this route reflector (RFC 4456). */
  readonly isReflectorClient: boolean
  /** The peer is a node of the cluster. Next hops of what it tells are used only on a link: routers between need not know nodes' pods. */
  readonly isNode?: boolean
  /** Advertised routes get this speaker as next hop. External peers always get it, internal ones when this is set. */
  readonly nextHopSelf: boolean
  /** How often our own AS may be in a received path; 0: never (RFC 4271 section 9.1.2). */
  readonly allowOwnAsn: number
  /** Why there can be no session, such as a missing Secret: the peer is kept down and shows this reason. */
  readonly blockedBecause?: string
}

/** A route that this speaker originates. Its next hop is this speaker's address towards each peer. */
export type OriginatedRoute = { readonly prefix: Prefix; readonly communities?: readonly string[] }

/** `because` completes the sentence "not told, because". */
export type UntoldRoute = { readonly prefix: Prefix; readonly because: string }

/** What a node reaches by the routes of its kernel that BGP did not bring; both lists are sorted. */
export type Reach = {
  /** Prefixes on a link of the node. */
  readonly links: readonly Prefix[]
  /** Prefixes that are reached over routers, without those within others. */
  readonly routed: readonly Prefix[]
}

export type SpeakerConfig = {
  readonly routerId: Addr
  readonly asn: number
  /** Absent: the speaker does not listen. */
  readonly listenPort?: number
  /** The cluster id of a route reflector (RFC 4456); absent: the router id. */
  readonly clusterId?: Addr
  /** How many equal paths of a prefix are used (ECMP). */
  readonly maxPaths: number
  /** Whether paths through different neighbouring ASes can be equal ("multipath-relax"). */
  readonly multipathRelax: boolean
  /** Whether the kernel kept forwarding while this speaker restarted: its first OPENs then say so (R and F bits of RFC 4724). */
  readonly isRestarting: boolean
  /** This node's addresses, the preferred one of a family first: the next hops for routes whose family is not that of their session. */
  readonly localAddrs?: readonly Addr[]
  /** Where next hops are reached from this node. Absent: not known. */
  readonly reach?: Reach
  readonly peers: readonly PeerConfig[]
  readonly originated: readonly OriginatedRoute[]
  /** What this speaker would originate and does not; absent: nothing. */
  readonly untold?: readonly UntoldRoute[]
}

export type NextHop = {
  readonly addr: Addr
  /** The device, for link-local addresses. */
  readonly device?: string
  /** A router of the own AS told the route without becoming its next hop (RFC 4271 section 5.1.3). */
  readonly isPassedOn?: boolean
}

/** What to do about a next hop that is not reached and `isPassedOn`. */
export const nextHopSelfRemedy =
  'have the neighbour of the own AS that passed it on make itself the next hop (next-hop-self), or give this node a route to it'

/** The route that the speaker has chosen for a prefix that it does not originate. */
export type LearnedRoute = {
  readonly prefix: Prefix
  /** Sorted; several next hops are equal paths. */
  readonly nextHops: readonly NextHop[]
  readonly peers: readonly string[]
  /** A grant in an import policy accepted the route, so it may cover prefixes that are otherwise never accepted from a peer. */
  readonly isAllowed: boolean
  /** The route is kept over a restart of the neighbour (RFC 4724). */
  readonly isStale: boolean
}

/** `route` is undefined when there is no route to the prefix any more. */
export type LearnedRouteChange = { readonly prefix: Prefix; readonly route: LearnedRoute | undefined }

export type SessionState = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established'

export type PeerFaults = {
  readonly updates: number
  /** How many prefixes were treated as withdrawn. */
  readonly prefixes: number
  readonly last: string
  /** The wall clock, in ms since 1970, of the last. */
  readonly lastMs: number
}

export type PeerStatus = {
  readonly name: string
  readonly addr?: string
  readonly localAsn: number
  readonly remoteAsn?: number
  readonly state: SessionState
  /** The wall clock, in ms since 1970, when the session entered its state. */
  readonly sinceMs: number
  /** The neighbour's router id, once known. */
  readonly routerId?: string
  readonly holdTimeSeconds?: number
  readonly families: readonly Family[]
  readonly bfd?: 'AdminDown' | 'Down' | 'Init' | 'Up'
  readonly gracefulRestart?: 'helping' | 'restarting' | 'negotiated'
  readonly received: number
  readonly accepted: number
  readonly advertised: number
  readonly flaps: number
  /**
   * Present while no session is tried, after one ended: until then, in ms since 1970 by the wall clock; without a time until the peer is
   * reset by hand.
   */
  readonly pause?: { readonly untilMs?: number }
  /** What RFC 7606 had to handle in the peer's UPDATEs since the speaker started; absent: nothing. */
  readonly faults?: PeerFaults
  /** Why the session is or last went down, in words for the operator. */
  readonly lastError?: string
}

/** The name in the place of a peer's on the speaker's own routes. */
export const ownPathPeer = '(own)'

/** One path to a prefix as the RIB has it, with the reason for its rank. */
export type PathStatus = {
  readonly prefix: string
  readonly peer: string
  readonly nextHops: readonly string[]
  readonly asPath: string
  /** Absent on a path that is treated as withdrawn: nothing of its attributes is relied on. */
  readonly origin?: 'igp' | 'egp' | 'incomplete'
  readonly localPreference?: number
  readonly med?: number
  readonly communities: readonly string[]
  readonly isBest: boolean
  readonly isMultipath: boolean
  readonly isStale: boolean
  /** Of a stale path: by which RFC it is kept, 4724 or 9494, and until when at most, in ms since 1970 by the wall clock. */
  readonly stale?: { readonly kind: 'graceful' | 'long-lived'; readonly untilMs?: number }
  /** Why the path was chosen, what makes the better one better, or why it was refused. */
  readonly reason: string
  /** A loop check, a policy or RFC 7606 refused the path: it is never a candidate. */
  readonly isRefused: boolean
  /** The wall clock, in ms since 1970, when the path came, if RFC 7606 made a withdrawal of it. */
  readonly treatedAsWithdrawnMs?: number
}

/** Which routes to show; an absent field matches all. */
export type RouteFilter = {
  /** A prefix in CIDR notation: what is shown is about the longest prefix there is that contains it. */
  readonly prefix?: string | undefined
  /** A neighbour's name. */
  readonly peer?: string | undefined
  /** For advertised routes: also show those that are not advertised, with the reason. */
  readonly isExplained?: boolean
}

export type AdvertisedStatus = {
  readonly prefix: string
  readonly peer: string
  readonly nextHop: string
  readonly asPath: string
  readonly communities: readonly string[]
  /** Why the route is not advertised; present only with `isExplained`. */
  readonly notBecause?: string
}
