// Policies made ready to be asked for many routes. What a rule decides is one object, so that routes which one rule took the same
// way are known to be alike by identity.
import { type Family } from '#/lib/addr.ts'
import { type PolicyRule, type RouteChanges, type RouteMatch, type RoutePolicy } from '#/model/bgp.ts'
import { type Community, parseCommunity } from '#/wire/bgp/index.ts'
import { type Nlri, type PathAttributes } from '#/wire/bgp/values.ts'
import { firstAsnOf, hasCommunity, originAsnOf, prepend } from './attributes.ts'
import { PrefixSet } from './prefix-set.ts'

export type Outcome = {
  readonly isAccepted: boolean
  /** The rule that decided has a list of prefixes. */
  readonly hasPrefixes: boolean
  /** PolicyRule.isGrant. */
  readonly isGrant: boolean
  /** Which rule it was, in words. */
  readonly text: string
  readonly set: RouteChanges | undefined
}

const acceptAll: Outcome = { isAccepted: true, hasPrefixes: false, isGrant: false, text: 'no policy', set: undefined }

type Matcher = (nlri: Nlri, attributes: PathAttributes) => boolean
type Rule = { readonly matches: Matcher; readonly outcome: Outcome }

function hasEvery(attributes: PathAttributes, communities: readonly Community[]): boolean {
  return communities.every((community) =>
    typeof community === 'number'
      ? hasCommunity(attributes, community)
      : attributes.largeCommunities?.some((one) => one.every((part, index) => part === community[index])) === true,
  )
}

/** A community that cannot be read matches nothing and is not set: a policy must never take more than it says. */
function matcherOf(match: RouteMatch, family: Family): Matcher {
  const { firstAsn, originAsn } = match
  const prefixes = match.prefixes && new PrefixSet(match.prefixes, family)
  const read = (match.communities ?? []).map(parseCommunity)
  const communities = read.filter((community) => community !== undefined)
  if (communities.length < read.length) return () => false
  return (nlri, attributes) =>
    (firstAsn === undefined || firstAsnOf(attributes.asPath) === firstAsn) &&
    (originAsn === undefined || originAsnOf(attributes.asPath) === originAsn) &&
    (communities.length === 0 || hasEvery(attributes, communities)) &&
    (prefixes === undefined || prefixes.matches(nlri))
}

function ruleOf(rule: PolicyRule, index: number, family: Family): Rule {
  const name = rule.name === undefined ? `rule ${index + 1}` : `rule "${rule.name}"`
  const isAccepted = rule.action === 'accept'
  const outcome = {
    isAccepted,
    hasPrefixes: rule.match.prefixes !== undefined,
    isGrant: rule.isGrant === true,
    text: `${name} ${isAccepted ? 'accepts' : 'rejects'} it`,
    set: rule.set,
  }
  return { matches: matcherOf(rule.match, family), outcome }
}

/** One family's view of a policy. */
export class Policy {
  readonly #rules: readonly Rule[]
  readonly #otherwise: Outcome
  readonly #dependsOnPrefix: boolean
  #last: { readonly attributes: PathAttributes; readonly outcome: Outcome } | undefined

  /** Without a policy everything is accepted. */
  constructor(policy: RoutePolicy | undefined, family: Family) {
    this.#rules = (policy?.rules ?? []).map((rule, index) => ruleOf(rule, index, family))
    this.#dependsOnPrefix = this.#rules.some(({ outcome }) => outcome.hasPrefixes)
    const isAccepted = policy?.otherwise === 'accept'
    const text = policy?.otherwiseBecause ?? `no rule matches, and others are ${isAccepted ? 'accepted' : 'rejected'}`
    this.#otherwise =
      policy === undefined ? acceptAll : { isAccepted, hasPrefixes: false, isGrant: false, text, set: undefined }
  }

  decide(nlri: Nlri, attributes: PathAttributes): Outcome {
    if (this.#last?.attributes === attributes) return this.#last.outcome
    const outcome = this.#rules.find(({ matches }) => matches(nlri, attributes))?.outcome ?? this.#otherwise
    if (!this.#dependsOnPrefix) this.#last = { attributes, outcome }
    return outcome
  }
}

function changedCommunities(
  attributes: PathAttributes,
  { addCommunities, removeCommunities }: RouteChanges,
): PathAttributes {
  if (addCommunities === undefined && removeCommunities === undefined) return attributes
  const standard = new Set(attributes.communities)
  const large = new Map((attributes.largeCommunities ?? []).map((community) => [community.join(':'), community]))
  for (const text of removeCommunities ?? []) {
    const community = parseCommunity(text)
    if (typeof community === 'number') standard.delete(community)
    else if (community !== undefined) large.delete(community.join(':'))
  }
  for (const text of addCommunities ?? []) {
    const community = parseCommunity(text)
    if (typeof community === 'number') standard.add(community)
    else if (community !== undefined) large.set(community.join(':'), community)
  }
  const { communities: _, largeCommunities: __, ...others } = attributes
  return {
    ...others,
    ...(standard.size > 0 && { communities: [...standard].sort((a, b) => a - b) }),
    ...(large.size > 0 && { largeCommunities: [...large.values()] }),
  }
}

/** What a rule sets. `asn` is prepended as often as it says. */
export function applyChanges(attributes: PathAttributes, set: RouteChanges | undefined, asn: number): PathAttributes {
  if (set === undefined) return attributes
  const { localPreference, med, prependTimes = 0 } = set
  return {
    ...changedCommunities(attributes, set),
    ...(localPreference !== undefined && { localPreference }),
    ...(med !== undefined && { med }),
    ...(prependTimes > 0 && { asPath: prepend(attributes.asPath, asn, prependTimes) }),
  }
}
