// What neighbours of one kind are told of a chosen path: who is told at all (RFC 4271 section 9.2, RFC 4456 section 6, RFC 1997,
// RFC 8212, RFC 9494 section 4.5), with which attributes (RFC 4271 section 5.1) and which next hop (section 5.1.3, RFC 2545, RFC 8950).
import { type Addr, type Family } from '#/lib/addr.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { WellKnownCommunity } from '#/wire/bgp/index.ts'
import { type Nlri, type PathAttributes, type PathNextHop, type WireSettings } from '#/wire/bgp/values.ts'
import { type Neighbour } from '../contract.ts'
import { hasCommunity, prepend } from './attributes.ts'
import { localPreferenceOf } from './decision.ts'
import { type Path } from './path.ts'
import { applyChanges, type Outcome, Policy } from './policy.ts'

/** Our own address as next hop; undefined: there is none that the neighbour could use. */
export function ownNextHop({ localAddr, localAddrs, wire }: Neighbour, family: Family): PathNextHop | undefined {
  const addrs = [localAddr, ...localAddrs]
  const global = (wanted: Family): Addr | undefined =>
    addrs.find((addr) => addr.family === wanted && !(wanted === 6 && addr.isLinkLocal))
  const isOverLink = localAddr.family === 6 && localAddr.isLinkLocal
  // IPv4 addresses of the node need not be on the link of an unnumbered session
  const v4 = isOverLink && wire.extendedNextHop ? undefined : global(4)
  if (family === 4 && v4 !== undefined) return { addr: v4 }
  if (family === 4 && !wire.extendedNextHop) return undefined
  const v6 = global(6)
  if (!isOverLink) return v6 && { addr: v6 }
  return v6 === undefined ? { addr: localAddr } : { addr: v6, linkLocal: localAddr }
}

/** What neighbours of one update group have in common. */
export type ExportSettings = {
  readonly family: Family
  readonly routerId: Addr
  readonly clusterId: Addr
  readonly localAsn: number
  readonly isInternal: boolean
  readonly isClient: boolean
  readonly nextHopSelf: boolean
  readonly ownNextHop: PathNextHop | undefined
  /** Knows what to do with long-lived stale routes (RFC 9494). */
  readonly hasLongLived: boolean
  readonly policy: PeerConfig['exportPolicy']
  readonly fourOctetAsn: boolean
  readonly extendedNextHop: boolean
}

export function exportSettings(
  config: SpeakerConfig,
  peer: PeerConfig,
  neighbour: Neighbour,
  family: Family,
): ExportSettings {
  const { isInternal, wire, remote } = neighbour
  return {
    family,
    routerId: config.routerId,
    clusterId: config.clusterId ?? config.routerId,
    localAsn: peer.localAsn,
    isInternal,
    isClient: isInternal && peer.isReflectorClient,
    nextHopSelf: !isInternal || peer.nextHopSelf,
    ownNextHop: ownNextHop(neighbour, family),
    hasLongLived: remote.longLivedRestart?.some((one) => one.family === family) === true,
    policy: peer.exportPolicy,
    fourOctetAsn: wire.fourOctetAsn,
    extendedNextHop: wire.extendedNextHop,
  }
}

/** RFC 4360 section 3.1: the T bit, set on extended communities that stay within an AS (section 6). */
const nonTransitive = 1n << 62n

/** As they leave the AS. */
function crossing(attributes: PathAttributes): PathAttributes {
  if (attributes.extendedCommunities === undefined) return attributes
  const { extendedCommunities, ...others } = attributes
  const kept = extendedCommunities.filter((community) => (community & nonTransitive) === 0n)
  return kept.length === 0 ? others : { ...others, extendedCommunities: kept }
}

export class ExportRules {
  readonly settings: ExportSettings
  readonly wire: WireSettings
  readonly #policy: Policy

  constructor(settings: ExportSettings) {
    const { family, isInternal, policy, fourOctetAsn, extendedNextHop } = settings
    this.settings = settings
    this.wire = { fourOctetAsn, extendedNextHop, isInternal, families: [family] }
    this.#policy = new Policy(policy, family)
  }

  /** What the policy says of a path that may be advertised; undefined: it is not. */
  decide(path: Path, nlri: Nlri): Outcome | undefined {
    if (this.#refusal(path) !== undefined) return undefined
    const outcome = this.#policy.decide(nlri, path.attributes)
    return outcome.isAccepted ? outcome : undefined
  }

  /** Why a path is not advertised; undefined: it is. */
  whyNot(path: Path, nlri: Nlri): string | undefined {
    const refusal = this.#refusal(path)
    if (refusal !== undefined) return refusal
    const outcome = this.#policy.decide(nlri, path.attributes)
    return outcome.isAccepted ? undefined : `export policy: ${outcome.text}`
  }

  #refusal(path: Path): string | undefined {
    const { isInternal, isClient, hasLongLived, policy } = this.settings
    const { attributes } = path
    if (!isInternal && policy === undefined) return 'there is no export policy for this external peer (RFC 8212)'
    if (isInternal && path.isInternal && !isClient && path.source?.isClient !== true)
      return 'an internal peer told it, and only reflectors pass that on to others (RFC 4456)'
    if (attributes.communities !== undefined) {
      if (hasCommunity(attributes, WellKnownCommunity['no-advertise'])) return 'its community no-advertise'
      const isKeptIn =
        hasCommunity(attributes, WellKnownCommunity['no-export']) ||
        hasCommunity(attributes, WellKnownCommunity['no-export-subconfed'])
      if (!isInternal && isKeptIn) return 'its community no-export'
      if (!hasLongLived && path.isLongLivedStale)
        return 'it is long-lived stale, of which the peer knows nothing (RFC 9494)'
    }
    return this.nextHopOf(path) === undefined ? 'there is no next hop of its family' : undefined
  }

  nextHopOf(path: Path): PathNextHop | undefined {
    const { family, nextHopSelf, extendedNextHop } = this.settings
    if (path.received === undefined || nextHopSelf) return this.settings.ownNextHop
    const { addr } = path.received.nextHop
    // a link-local address means nothing on another link
    if (addr.isUnspecified || (addr.family === 6 && addr.isLinkLocal)) return this.settings.ownNextHop
    if (family === 4 && addr.family === 6 && !extendedNextHop) return undefined
    return { addr }
  }

  attributesOf(path: Path, outcome: Outcome): PathAttributes {
    const { isInternal, localAsn, routerId, clusterId } = this.settings
    const { localPreference: _, med, originatorId, clusterList, ...kept } = path.attributes
    if (!isInternal) {
      const { localPreference: __, ...changed } = applyChanges(crossing(kept), outcome.set, localAsn)
      return { ...changed, asPath: prepend(changed.asPath, localAsn, 1) }
    }
    const isReflected = path.isInternal
    const given: PathAttributes = {
      ...kept,
      localPreference: localPreferenceOf(path),
      ...(med !== undefined && { med }),
      ...(isReflected && {
        originatorId: originatorId ?? path.received?.neighbour.remoteRouterId ?? routerId,
        clusterList: [clusterId, ...(clusterList ?? [])],
      }),
    }
    return applyChanges(given, outcome.set, localAsn)
  }
}
