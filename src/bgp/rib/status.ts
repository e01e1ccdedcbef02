// What the RIB tells people of paths, with the reason for each one's place.
import { type Family, type Prefix } from '#/lib/addr.ts'
import { type AdvertisedStatus, ownPathPeer, type PathStatus } from '#/model/bgp.ts'
import { asPathText, communityText, prefixOf } from '#/wire/bgp/index.ts'
import { type Nlri, type PathAttributes, type PathNextHop } from '#/wire/bgp/values.ts'
import { explain, type DecisionOptions, select } from './decision.ts'
import { type FaultyRoute } from './faulty-routes.ts'
import { type Path } from './path.ts'
import { type UpdateGroup } from './update-group.ts'

/** Each neighbour gets a next hop of its own. */
const ownNextHop = 'self'
const origins = ['igp', 'egp', 'incomplete'] as const

function communitiesOf({ communities = [], largeCommunities = [] }: PathAttributes): readonly string[] {
  return [...communities, ...largeCommunities].map(communityText)
}

function nextHopTexts({ nextHop: { addr, linkLocal } }: { readonly nextHop: PathNextHop }): readonly string[] {
  return linkLocal === undefined ? [`${addr}`] : [`${addr}`, `${linkLocal}`]
}

/** All paths to a prefix: candidates with the best one first, then those that were refused. */
export function pathStatuses(
  nlri: Nlri,
  family: Family,
  { candidates, refused }: { readonly candidates: readonly Path[]; readonly refused: readonly Path[] },
  options: DecisionOptions,
): PathStatus[] {
  const prefix = prefixOf(nlri, family).toString()
  const selection = candidates.length === 0 ? undefined : select(candidates, options)
  const reasons = candidates.length === 0 ? undefined : explain(candidates, options)
  const { best } = selection ?? {}
  const sorted = candidates.toSorted((one, other) => Number(other === best) - Number(one === best))
  return [...sorted, ...refused].map((path) => {
    const { attributes, received } = path
    const { localPreference, med } = attributes
    return {
      prefix,
      peer: path.source?.peer ?? ownPathPeer,
      nextHops: received === undefined ? [ownNextHop] : nextHopTexts(received),
      asPath: asPathText(attributes.asPath),
      origin: origins[attributes.origin],
      ...(localPreference !== undefined && { localPreference }),
      ...(med !== undefined && { med }),
      communities: communitiesOf(attributes),
      isBest: path === best,
      isMultipath: selection?.multipath.includes(path) === true,
      isStale: path.isStale,
      ...(path.isStale && { stale: staleOf(path) }),
      reason: path.refusal ?? reasons?.get(path) ?? '',
      isRefused: path.refusal !== undefined,
    }
  })
}

function staleOf({ isLongLivedStale, source }: Path): NonNullable<PathStatus['stale']> {
  const untilMs = source?.staleUntilMs
  return { kind: isLongLivedStale ? 'long-lived' : 'graceful', ...(untilMs !== undefined && { untilMs }) }
}

/** A path that a peer announced with a fault for which RFC 7606 makes a withdrawal of it. */
export function faultyStatus(nlri: Nlri, family: Family, peer: string, { because, atMs }: FaultyRoute): PathStatus {
  return {
    prefix: prefixOf(nlri, family).toString(),
    peer,
    nextHops: [],
    asPath: '',
    communities: [],
    isBest: false,
    isMultipath: false,
    isStale: false,
    reason: `treated as withdrawn (RFC 7606): ${because}`,
    isRefused: true,
    treatedAsWithdrawnMs: atMs,
  }
}

/** What members of a group are told of a path, but for whom; or why they are not. */
export function advertisedStatus({ rules }: UpdateGroup, nlri: Nlri, path: Path): Omit<AdvertisedStatus, 'peer'> {
  const outcome = rules.decide(path, nlri)
  if (outcome === undefined) return notAdvertised(rules.settings.family, nlri, path, rules.whyNot(path, nlri) ?? '')
  const attributes = rules.attributesOf(path, outcome)
  return {
    prefix: prefixOf(nlri, rules.settings.family).toString(),
    nextHop: `${rules.nextHopOf(path)?.addr}`,
    asPath: asPathText(attributes.asPath),
    communities: communitiesOf(attributes),
  }
}

/** A prefix of this node's own that nobody is told of. */
export function untoldStatus(prefix: Prefix, peer: string, notBecause: string): AdvertisedStatus {
  return { prefix: prefix.toString(), peer, nextHop: ownNextHop, asPath: '', communities: [], notBecause }
}

export function notAdvertised(
  family: Family,
  nlri: Nlri,
  { attributes, received }: Path,
  notBecause: string,
): Omit<AdvertisedStatus, 'peer'> {
  return {
    prefix: prefixOf(nlri, family).toString(),
    nextHop: received === undefined ? ownNextHop : nextHopTexts(received).join(' '),
    asPath: asPathText(attributes.asPath),
    communities: communitiesOf(attributes),
    notBecause,
  }
}
