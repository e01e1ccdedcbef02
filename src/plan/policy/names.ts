// How objects of the policy tables are called. Names follow from the form's ids, so that an agent without memory finds its own again, and a
// person who reads `nft list table inet causeway-policy` finds the policy.
import { type Family } from '#/lib/addr.ts'
import { fnv1a } from '#/model/names.ts'
import { type ClassId, type NamedPortSetId, type PeerSetId } from '#/policy/form.ts'
import { type Direction, directions, type RuleRef, ruleRefText } from '#/policy/policy.ts'

const classPrefixes = { ingress: 'in', egress: 'out' } as const satisfies Record<Direction, string>

/** The chains that lead from the address of a pod of this node to the chain of its class. */
export const toClassesChain = (direction: Direction, family: Family): string => `${direction}${family}`
/** The part of it for classes whose ids begin with a digit. */
export const toSomeClassesChain = (direction: Direction, family: Family, digit: string): string =>
  `${toClassesChain(direction, family)}-${digit}`
/** The sets of addresses of the pods of a class. */
export const classSet = (direction: Direction, id: ClassId, family: Family): string =>
  `${classPrefixes[direction]}${family}-${id}`
/** The set of addresses of all pods of this node that are in any class. */
export const policedAddrSet = (direction: Direction, family: Family): string =>
  `policed-${classPrefixes[direction]}${family}`
/** The family of a set of either kind, also of a class that is not known; undefined for other sets. */
export function familyOfLocalSet(set: string): Family | undefined {
  const [, family] =
    /^(?:policed-(?:in|out)([46])$|(?:in|out)([46])-)/.exec(set)?.filter((part) => part !== undefined) ?? []
  return family === undefined ? undefined : family === '4' ? 4 : 6
}
/** The set of pairs of addresses of one pod. */
export const itselfSet = (family: Family): string => `itself${family}`
/** The set of answers of connections that policies have ended. */
export const endedSet = (family: Family): string => `ended${family}`
export const podSet = (id: PeerSetId, family: Family): string => `peers${family}-${id}`
export const blockSet = (id: PeerSetId, family: Family): string => `blocks${family}-${id}`
export const portSet = (id: NamedPortSetId, family: Family): string => `ports${family}-${id}`
/** The set of the bridge table with the host device of each pod and its addresses. */
export const sourceSet = (family: Family): string => `sources${family}`

/** The sets of the bridge table with the host devices of pods to which policies apply. */
export const policedSet = (direction: Direction): string => `policed-${classPrefixes[direction]}`

export const policyChain = (id: string): string => `np-${id}`

export const classChain = (direction: Direction, id: ClassId): string => `${classPrefixes[direction]}-${id}`
/** The chains in which a class goes on when a tier has not decided. */
export const tierChain = (direction: Direction, id: ClassId, tier: 'NetworkPolicy' | 'Baseline'): string =>
  `${classChain(direction, id)}-${tier === 'Baseline' ? 'baseline' : 'np'}`
/** The chain that tells of what a rule of a class denies, and drops it. */
export const denyChain = (direction: Direction, id: ClassId, policy: string, index: number): string =>
  `${classChain(direction, id)}-deny-${policy}-${index}`

/** The class to which a chain belongs; undefined for other chains. */
export function classOfChain(chain: string): { readonly direction: Direction; readonly id: ClassId } | undefined {
  const [, prefix, id] = /^(in|out)-([^-]+)/.exec(chain) ?? []
  const direction = directions.find((each) => classPrefixes[each] === prefix)
  return direction && id !== undefined ? { direction, id } : undefined
}

/** The text of a rule's place, cut to `most` characters; what is cut off is replaced by a hash over all of it. */
function shortRef(ref: RuleRef, most: number): string {
  const text = ruleRefText(ref)
  if (text.length <= most) return text
  const tail = `~${fnv1a(text).toString(16)} ${ref.direction} ${ref.index}`
  return `${ref.policy.slice(0, most - tail.length)}${tail}`
}

const longestComment = 110
export function shortened(comment: string): string {
  return comment.length <= longestComment ? comment : `${comment.slice(0, longestComment - 1)}~`
}

const commentLimit = 96
/** A name of a policy may have 253 characters, and a rule's comment 128. */
export const ruleComment = (ref: RuleRef): string => shortRef(ref, commentLimit)

const refLimit = 80
/** How a rule is called in the prefix of what is told of a denied packet, which has room for 127 characters. */
export const ruleInPrefix = (ref: RuleRef): string => shortRef(ref, refLimit)

const prefixStart = 'causeway'

/** What an nflog message says of a denied packet. `rule`: as ruleInPrefix has it; absent where NetworkPolicies isolate the pod. */
export type Denial = {
  readonly direction: Direction
  readonly class: ClassId
  readonly isAudited: boolean
  readonly rule?: string
}

export function denialPrefix({ direction, class: id, isAudited, rule }: Denial): string {
  return [prefixStart, direction, id, isAudited ? 'audited' : 'denied', ...(rule === undefined ? [] : [rule])].join(' ')
}

/** Undefined for a prefix that is not ours: anybody may log to the same group. */
export function readDenialPrefix(prefix: string): Denial | undefined {
  const [, direction, id, verdict, rule] = /^causeway (\w+) (\S+) (denied|audited)(?: (.+))?$/.exec(prefix) ?? []
  const known = directions.find((each) => each === direction)
  if (known === undefined || id === undefined) return undefined
  return { direction: known, class: id, isAudited: verdict === 'audited', ...(rule !== undefined && { rule }) }
}
