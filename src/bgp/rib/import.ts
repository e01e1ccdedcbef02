// What becomes of a received route: paths that are not their neighbour's (RFC 4271 section 6.3), loop checks of section 9.1.2 and RFC
// 4456 section 8, next hops that cannot be, prefixes that nobody may announce, the default of RFC 8212, and policy. Refused routes are kept with the reason: a policy that changes needs no refresh.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { type Nlri, type PathAttributes } from '#/wire/bgp/values.ts'
import { countAsn, firstAsnOf } from './attributes.ts'
import { type Martian, martianOf } from './martians.ts'
import { Path, type Received } from './path.ts'
import { applyChanges, type Outcome, Policy } from './policy.ts'

/** The part of a configuration that decides on received routes, as text: equal texts decide alike. */
export function importKey(config: SpeakerConfig, peer: PeerConfig): string {
  const { routerId, clusterId, asn } = config
  return JSON.stringify([routerId, clusterId, asn, peer.localAsn, peer.allowOwnAsn, peer.importPolicy])
}

/** Decides on one peer's routes of one family; another configuration makes another one. */
export class Importer {
  readonly #config: SpeakerConfig
  readonly #peer: PeerConfig
  readonly #family: Family
  readonly #policy: Policy

  constructor(config: SpeakerConfig, peer: PeerConfig, family: Family) {
    this.#config = config
    this.#peer = peer
    this.#family = family
    this.#policy = new Policy(peer.importPolicy, family)
  }

  pathOf(received: Received, nlri: Nlri): Path {
    if (received.decided?.by !== this) {
      received.decided = { by: this, refusal: this.#refusalOf(received), paths: [] }
    }
    const { decided } = received
    const outcome = decided.refusal === undefined ? this.#outcomeOf(received, nlri) : undefined
    for (const path of decided.paths) if (path.outcome === outcome) return path
    const path = this.#make(received, decided.refusal, outcome)
    decided.paths = decided.paths.length === 0 ? path.alone : [...decided.paths, path]
    return path
  }

  #outcomeOf({ attributes }: Received, nlri: Nlri): Martian | Outcome {
    return martianOf(nlri, this.#family) ?? this.#policy.decide(nlri, attributes)
  }

  #make(received: Received, refusal: string | undefined, outcome: Path['outcome']): Path {
    const { attributes } = received
    if (outcome === undefined) return new Path(attributes, { received, refusal })
    if ('isMartian' in outcome) return new Path(attributes, { received, outcome, refusal: outcome.text })
    if (!outcome.isAccepted)
      return new Path(attributes, { received, outcome, refusal: `import policy: ${outcome.text}` })
    const neighbourAsn = firstAsnOf(attributes.asPath) ?? received.neighbour.remoteAsn
    return new Path(applyChanges(attributes, outcome.set, neighbourAsn), { received, outcome })
  }

  #refusalOf({ neighbour, attributes, nextHop }: Received): string | undefined {
    return (
      refusedFirstAsn(attributes, neighbour) ??
      this.#loopOf(attributes, neighbour.isInternal) ??
      refusedNextHop(nextHop, neighbour) ??
      (!neighbour.isInternal && this.#peer.importPolicy === undefined
        ? 'external peer without an import policy (RFC 8212)'
        : undefined)
    )
  }

  #loopOf(attributes: PathAttributes, isInternal: boolean): string | undefined {
    const { routerId, clusterId = routerId, asn } = this.#config
    for (const own of new Set([asn, this.#peer.localAsn])) {
      const count = countAsn(attributes.asPath, own)
      if (count > this.#peer.allowOwnAsn) {
        return `AS loop: own AS ${own} is ${count} times in the path, ${this.#peer.allowOwnAsn} allowed`
      }
    }
    if (!isInternal) return undefined
    if (attributes.originatorId?.equals(routerId) === true) return `originator id ${routerId} is this router's own`
    if (attributes.clusterList?.some((id) => id.equals(clusterId)) === true) {
      return `cluster loop: own cluster id ${clusterId} is in the cluster list`
    }
    return undefined
  }
}

/**
 * RFC 4271 section 6.3: the path of an external neighbour begins with its own AS. RFC 7606 section 7.2 makes a withdrawal of what was
 * an error there.
 */
function refusedFirstAsn(
  { asPath }: PathAttributes,
  { isInternal, remoteAsn }: Received['neighbour'],
): string | undefined {
  const first = firstAsnOf(asPath)
  if (isInternal || first === remoteAsn) return undefined
  return `the AS path begins with ${first ?? 'no AS'}, not with the peer's AS ${remoteAsn} (RFC 4271 section 6.3)`
}

/** Next hops that cannot be used, as far as that shows without asking the kernel. */
function refusedNextHop(
  { addr, linkLocal }: Received['nextHop'],
  neighbour: Received['neighbour'],
): string | undefined {
  const used: Addr = addr.isUnspecified && linkLocal !== undefined ? linkLocal : addr
  if (used.isUnspecified || used.isMulticast || used.isLoopback) return `next hop ${used} is no host's address`
  const isOwn = used.equals(neighbour.localAddr) || neighbour.localAddrs.some((local) => local.equals(used))
  if (isOwn) return `next hop ${used} is this node's own address`
  if (used.family === 6 && used.isLinkLocal && neighbour.device === undefined) {
    return `next hop ${used} is link-local, and the session is on no link`
  }
  return undefined
}
