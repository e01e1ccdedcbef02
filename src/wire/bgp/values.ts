// The values that BGP messages are decoded to and encoded from.
import { type Addr, type Family } from '#/lib/addr.ts'

/**
 * A prefix in the exact bytes of an UPDATE (RFC 4271 section 4.3): a length octet and as many octets of the prefix as it needs, with the
 * bits beyond the length zero, each octet as a character of code 0 to 255. Speakers hold hundreds of thousands: short strings can be
 * compared and hashed directly, and copied into messages without decoding. The context says which family an Nlri is of.
 */
export type Nlri = string & { readonly nlri: unique symbol }

/** 0 IGP, 1 EGP, 2 INCOMPLETE. */
export type Origin = 0 | 1 | 2

export type AsSegment = {
  readonly kind: 'sequence' | 'set' | 'confedSequence' | 'confedSet'
  readonly asns: readonly number[]
}

/** An unknown optional transitive attribute: it is passed on unchanged, with the partial bit (RFC 4271 section 5). */
export type UnknownAttribute = { readonly flags: number; readonly type: number; readonly value: Uint8Array }

/** All path attributes except next hops, which belong to each family's routes. AS numbers have four octets throughout (RFC 6793). */
export type PathAttributes = {
  readonly origin: Origin
  readonly asPath: readonly AsSegment[]
  readonly med?: number
  readonly localPreference?: number
  readonly isAtomicAggregate?: boolean
  readonly aggregator?: { readonly asn: number; readonly addr: Addr }
  /** Communities (RFC 1997) of four octets each, sorted. */
  readonly communities?: readonly number[]
  /** Extended communities (RFC 4360) of eight octets each. */
  readonly extendedCommunities?: readonly bigint[]
  /** Large communities (RFC 8092): global administrator and two parts. */
  readonly largeCommunities?: readonly (readonly [number, number, number])[]
  /** ORIGINATOR_ID (RFC 4456). */
  readonly originatorId?: Addr
  readonly clusterList?: readonly Addr[]
  readonly unknown?: readonly UnknownAttribute[]
}

/**
 * The destination of packets. An IPv6 next hop may come with a link-local one (RFC 2545 section 3); IPv4 routes may have either (RFC 8950).
 */
export type PathNextHop = { readonly addr: Addr; readonly linkLocal?: Addr }

export type Announcement = { readonly family: Family; readonly nextHop: PathNextHop; readonly nlri: readonly Nlri[] }
export type Withdrawal = { readonly family: Family; readonly nlri: readonly Nlri[] }

export type Update = {
  readonly withdrawn: readonly Withdrawal[]
  readonly announced: readonly Announcement[]
  /** Those of `withdrawn` that were announced, with a fault that makes a withdrawal of it (RFC 7606); `because` names the attribute. */
  readonly treatedAsWithdrawn?: { readonly routes: readonly Withdrawal[]; readonly because: string }
  /** Present whenever `announced` is not empty. */
  readonly attributes?: PathAttributes
  /** The family of an End-of-RIB marker (RFC 4724 section 2). */
  readonly endOfRib?: Family
  /** Faults handled by RFC 7606: "attribute discard" or "treat as withdraw", in words for the log. */
  readonly faults: readonly string[]
}

/** One family of the graceful restart capability (RFC 4724), and whether the sender kept forwarding for it. */
export type RestartFamily = { readonly family: Family; readonly keptForwarding: boolean }
export type GracefulRestartCapability = {
  readonly isRestarting: boolean
  /** The N bit of RFC 8538: graceful restart also applies after a NOTIFICATION. */
  readonly onNotification: boolean
  readonly restartTimeSeconds: number
  readonly families: readonly RestartFamily[]
}
export type LongLivedFamily = RestartFamily & { readonly staleTimeSeconds: number }

/** The capabilities that an OPEN offers. Unknown ones are ignored (RFC 5492 section 3). */
export type Capabilities = {
  readonly families: readonly Family[]
  readonly routeRefresh: boolean
  readonly enhancedRouteRefresh: boolean
  /** The real AS number (RFC 6793); absent on an old speaker. */
  readonly asn?: number
  /** Families whose routes may have an IPv6 next hop (RFC 8950); only 4 makes sense. */
  readonly extendedNextHop: readonly Family[]
  readonly gracefulRestart?: GracefulRestartCapability
  readonly longLivedRestart?: readonly LongLivedFamily[]
  /** The codes of unknown capabilities, for the log. */
  readonly unknown: readonly number[]
}

export type Open = {
  /** The real AS number: from the capability if present, else from the two-octet field. */
  readonly asn: number
  readonly holdTimeSeconds: number
  readonly routerId: Addr
  readonly capabilities: Capabilities
}

export type Notification = { readonly code: number; readonly subcode: number; readonly data: Uint8Array }

/** A ROUTE-REFRESH (RFC 7313 section 3). */
export type RouteRefresh = { readonly family: Family; readonly kind: 'request' | 'begin' | 'end' }

export type BgpMessage =
  | { readonly kind: 'open'; readonly open: Open }
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'notification'; readonly notification: Notification }
  | { readonly kind: 'keepalive' }
  /** `refresh` is absent for an unknown family. */
  | { readonly kind: 'refresh'; readonly refresh?: RouteRefresh }

/** What both sides agreed on, as far as the encoding depends on it. */
export type WireSettings = {
  /** AS_PATH and AGGREGATOR have four octets per AS number (RFC 6793); else two, with AS4_PATH. */
  readonly fourOctetAsn: boolean
  /** The negotiated families; an UPDATE of another family is ignored. */
  readonly families: readonly Family[]
  /** Whether IPv4 routes may have an IPv6 next hop (RFC 8950). */
  readonly extendedNextHop: boolean
  /** The neighbour is in our own AS: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST count (RFC 7606 section 7). */
  readonly isInternal: boolean
}
