// OPENs: what we offer a peer, whether what it offers will do, and what comes of both (RFC 4271 sections 4.2 and 6.2, RFC 5492).
// Pure.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { ErrorCode, notificationOf, OpenSubcode } from '#/wire/bgp/index.ts'
import { type Capabilities, type Notification, type Open, type WireSettings } from '#/wire/bgp/values.ts'

export type OpenTerms = {
  readonly routerId: Addr
  /** Of the TCP connection: over IPv6 an IPv4 route has an IPv6 next hop, unless the peer cannot (RFC 8950). */
  readonly isOverIpv6: boolean
  /** R bit of RFC 4724: this speaker has restarted, and the peer is not to wait for its End-of-RIB. */
  readonly isRestarting: boolean
  /** F bit: what the peer keeps of our routes still leads somewhere. */
  readonly keptForwarding: boolean
}

/** What a peer and we agreed on for the case that it restarts. */
export type RestartTerms = {
  readonly restartTimeSeconds: number
  /** RFC 8538: NOTIFICATIONs but Hard Reset start a graceful restart too. */
  readonly onNotification: boolean
  /** Its routes of these are kept when the session breaks. */
  readonly families: readonly Family[]
  /** How long as routes of last resort, after the restart time (RFC 9494). */
  readonly longLivedSeconds: ReadonlyMap<Family, number>
}

export type Negotiated = {
  readonly remote: Open
  readonly wire: WireSettings
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  readonly isInternal: boolean
  readonly restart?: RestartTerms
}

export type OpenVerdict =
  | { readonly kind: 'agreed'; readonly negotiated: Negotiated }
  /** `why`: for the operator, what does not fit. */
  | { readonly kind: 'refused'; readonly notification: Notification; readonly why: string }

export function openOf(config: PeerConfig, terms: OpenTerms): Open {
  const { gracefulRestart: restart, families } = config
  const { keptForwarding } = terms
  const longLived = restart?.longLivedStaleTimeSeconds
  const capabilities: Capabilities = {
    families,
    routeRefresh: true,
    enhancedRouteRefresh: true,
    asn: config.localAsn,
    extendedNextHop: offersExtendedNextHop(config, terms) ? [4] : [],
    ...(restart && {
      gracefulRestart: {
        isRestarting: terms.isRestarting,
        onNotification: true,
        restartTimeSeconds: restart.restartTimeSeconds,
        families: families.map((family) => ({ family, keptForwarding })),
      },
    }),
    ...(longLived !== undefined && {
      longLivedRestart: families.map((family) => ({ family, keptForwarding, staleTimeSeconds: longLived })),
    }),
    unknown: [],
  }
  return {
    asn: config.localAsn,
    holdTimeSeconds: config.timers.holdTimeSeconds,
    routerId: terms.routerId,
    capabilities,
  }
}

function offersExtendedNextHop(config: PeerConfig, { isOverIpv6 }: Pick<OpenTerms, 'isOverIpv6'>): boolean {
  return isOverIpv6 && config.families.includes(4)
}

/** What the decoder refuses (versions, AS 0, hold times of 1 and 2 s, malformed capabilities) has not come here. */
export function judgeOpen(
  config: PeerConfig,
  terms: Pick<OpenTerms, 'routerId' | 'isOverIpv6'>,
  remote: Open,
): OpenVerdict {
  const { localAsn, remoteAsn } = config
  const isInternal = remote.asn === localAsn
  const isExpected = remoteAsn === 'external' ? !isInternal : remote.asn === remoteAsn
  if (!isExpected) {
    const expected = remoteAsn === 'external' ? `any but ${localAsn}` : remoteAsn
    return refused(OpenSubcode.badPeerAs, `the peer is of AS ${remote.asn}, expected ${expected}`)
  }
  // RFC 6286 section 2.2: another AS may use the same one
  if (isInternal && remote.routerId.equals(terms.routerId))
    return refused(OpenSubcode.badBgpId, `the peer has our own router id ${remote.routerId}`)
  const offered = remote.capabilities
  const families = config.families.filter((family) => offered.families.includes(family))
  if (families.length === 0) {
    const theirs = offered.families.map((family) => `IPv${family}`).join(', ') || 'none that we know'
    const ours = config.families.map((family) => `IPv${family}`).join(', ')
    const data = multiprotocolCapabilities(config.families)
    return refused(
      OpenSubcode.unsupportedCapability,
      `no common address family: ours ${ours}; the peer's ${theirs}`,
      data,
    )
  }
  return { kind: 'agreed', negotiated: negotiate(config, terms, remote, families) }
}

function refused(subcode: number, why: string, data?: Uint8Array): OpenVerdict {
  return { kind: 'refused', notification: notificationOf(ErrorCode.open, subcode, data), why }
}

/** RFC 5492 section 5: the capabilities that are missed (RFC 4760 section 8), as they stand in an OPEN. */
function multiprotocolCapabilities(families: readonly Family[]): Uint8Array {
  return Uint8Array.from(families.flatMap((family) => [1, 4, 0, family === 4 ? 1 : 2, 0, 1]))
}

function negotiate(
  config: PeerConfig,
  terms: Pick<OpenTerms, 'isOverIpv6'>,
  remote: Open,
  families: readonly Family[],
): Negotiated {
  const isInternal = remote.asn === config.localAsn
  const holdTimeSeconds = Math.min(config.timers.holdTimeSeconds, remote.holdTimeSeconds)
  const restart = restartTerms(config, remote.capabilities, families)
  return {
    remote,
    wire: {
      fourOctetAsn: remote.capabilities.asn !== undefined,
      families,
      extendedNextHop: offersExtendedNextHop(config, terms) && remote.capabilities.extendedNextHop.includes(4),
      isInternal,
    },
    holdTimeSeconds,
    keepaliveSeconds: keepaliveOf(config.timers.keepaliveSeconds, holdTimeSeconds),
    isInternal,
    ...(restart && { restart }),
  }
}

/** A third of the hold time, or less where that was asked for (section 4.4). */
function keepaliveOf(configuredSeconds: number, holdTimeSeconds: number): number {
  const third = holdTimeSeconds / 3
  return configuredSeconds > 0 ? Math.min(configuredSeconds, third) : third
}

function restartTerms(
  config: PeerConfig,
  { gracefulRestart: theirs, longLivedRestart }: Capabilities,
  families: readonly Family[],
): RestartTerms | undefined {
  const ours = config.gracefulRestart
  if (ours === undefined || theirs === undefined) return undefined
  const longLivedSeconds = new Map<Family, number>()
  const ourLongLived = ours.longLivedStaleTimeSeconds
  if (ourLongLived !== undefined)
    for (const { family, staleTimeSeconds } of longLivedRestart ?? [])
      // RFC 9494 section 4.2: either side may ask for less
      if (families.includes(family)) longLivedSeconds.set(family, Math.min(staleTimeSeconds, ourLongLived))
  const kept = families.filter(
    (family) => theirs.families.some((each) => each.family === family) || longLivedSeconds.has(family),
  )
  return {
    restartTimeSeconds: theirs.restartTimeSeconds,
    onNotification: theirs.onNotification,
    families: kept,
    longLivedSeconds,
  }
}
