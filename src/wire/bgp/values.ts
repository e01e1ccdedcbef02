// The values that BGP messages are decoded to and encoded from.
import { type Addr, type Family } from '#/lib/addr.ts'

/**
 * A prefix in the very bytes that an UPDATE has for it (RFC 4271 section 4.3): a length octet and as many octets of the prefix as
 * that needs, bits beyond the length zero, each as a character of code 0 to 255. Speakers hold hundreds of thousands; as short
 * strings they are compared and hashed as they are, and copied into messages without being taken apart. Which family one is of is
 * told by where it stands.
 */
export type Nlri = string & { readonly nlri: unique symbol }

/** 0 IGP, 1 EGP, 2 INCOMPLETE. */
export type Origin = 0 | 1 | 2

export type AsSegment = {
  readonly kind: 'sequence' | 'set' | 'confedSequence' | 'confedSet'
  readonly asns: readonly number[]
}

/** An optional transitive attribute that we do not know: it is passed on as it is, with the partial bit (RFC 4271 section 5). */
export type UnknownAttribute = { readonly flags: number; readonly type: number; readonly value: Uint8Array }

/** Path attributes but for next hops, which belong to each family's routes. Four-octet AS numbers throughout (RFC 6793). */
export type PathAttributes = {
  readonly origin: Origin
  readonly asPath: readonly AsSegment[]
  readonly med?: number
  readonly localPreference?: number
  readonly isAtomicAggregate?: boolean
  readonly aggregator?: { readonly asn: number; readonly addr: Addr }
  /** RFC 1997: four octets each, sorted. */
  readonly communities?: readonly number[]
  /** RFC 4360, eight octets each. */
  readonly extendedCommunities?: readonly bigint[]
  /** RFC 8092: global administrator and two parts. */
  readonly largeCommunities?: readonly (readonly [number, number, number])[]
  /** RFC 4456. */
  readonly originatorId?: Addr
  readonly clusterList?: readonly Addr[]
  readonly unknown?: readonly UnknownAttribute[]
}

/** Where packets go. An IPv6 next hop may come with a link-local one (RFC 2545 section 3); IPv4 routes may have either (RFC 8950). */
export type PathNextHop = { readonly addr: Addr; readonly linkLocal?: Addr }

export type Announcement = { readonly family: Family; readonly nextHop: PathNextHop; readonly nlri: readonly Nlri[] }
export type Withdrawal = { readonly family: Family; readonly nlri: readonly Nlri[] }

export type Update = {
  readonly withdrawn: readonly Withdrawal[]
  readonly announced: readonly Announcement[]
  /** There whenever `announced` is not empty. */
  readonly attributes?: PathAttributes
  /** RFC 4724 section 2. */
  readonly endOfRib?: Family
  /** What RFC 7606 made of faults: "attribute discard" or "treat as withdraw", in words for the log. */
  readonly faults: readonly string[]
}

/** RFC 4724: the flags of one family, and whether the sender kept forwarding. */
export type RestartFamily = { readonly family: Family; readonly keptForwarding: boolean }
export type GracefulRestartCapability = {
  readonly isRestarting: boolean
  /** N bit of RFC 8538. */
  readonly onNotification: boolean
  readonly restartTimeSeconds: number
  readonly families: readonly RestartFamily[]
}
export type LongLivedFamily = RestartFamily & { readonly staleTimeSeconds: number }

/** What an OPEN offers. Capabilities that we do not know are ignored (RFC 5492 section 3). */
export type Capabilities = {
  readonly families: readonly Family[]
  readonly routeRefresh: boolean
  readonly enhancedRouteRefresh: boolean
  /** RFC 6793: the real AS number; absent on an old speaker. */
  readonly asn?: number
  /** RFC 8950: families whose routes may have an IPv6 next hop; only 4 makes sense. */
  readonly extendedNextHop: readonly Family[]
  readonly gracefulRestart?: GracefulRestartCapability
  readonly longLivedRestart?: readonly LongLivedFamily[]
  /** Codes of the others, for the log. */
  readonly unknown: readonly number[]
}

export type Open = {
  /** The real one: of the capability where there is one, else of the two-octet field. */
  readonly asn: number
  readonly holdTimeSeconds: number
  readonly routerId: Addr
  readonly capabilities: Capabilities
}

export type Notification = { readonly code: number; readonly subcode: number; readonly data: Uint8Array }

/** RFC 7313 section 3. */
export type RouteRefresh = { readonly family: Family; readonly kind: 'request' | 'begin' | 'end' }

export type BgpMessage =
  | { readonly kind: 'open'; readonly open: Open }
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'notification'; readonly notification: Notification }
  | { readonly kind: 'keepalive' }
  /** `refresh` is absent for a family that we do not know. */
  | { readonly kind: 'refresh'; readonly refresh?: RouteRefresh }

/** What both sides agreed on, as far as bytes depend on it. */
export type WireSettings = {
  /** Four octets in AS_PATH and AGGREGATOR (RFC 6793); else two, with AS4_PATH. */
  readonly fourOctetAsn: boolean
  /** Families negotiated; an UPDATE of another is ignored. */
  readonly families: readonly Family[]
  /** Whether IPv4 routes may come with an IPv6 next hop (RFC 8950). */
  readonly extendedNextHop: boolean
  /** The neighbour is of our own AS: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST count (RFC 7606 section 7). */
  readonly isInternal: boolean
}
