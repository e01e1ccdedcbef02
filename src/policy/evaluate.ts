// What decides about a packet: the order of tiers and policies, as docs/policy.md ("What applies to a packet") says it.
import { type PolicyCluster, type PolicyPod, type PolicyView, type SelectingPolicies } from './cluster.ts'
import { type Ends, isPoliced, matchesPod, matchesRule } from './match.ts'
import { type Direction, type Policy, type RuleRef, type Tier } from './policy.ts'
import { type Decision, type DirectionVerdict, type PolicyPacket, type PolicyVerdict } from './verdict.ts'

/** The order in which policies of one tier are asked. NetworkPolicies only allow, so theirs counts for which rule is named. */
export function comparePolicies(one: Policy, other: Policy): number {
  return one.priority - other.priority || (one.key < other.key ? -1 : one.key > other.key ? 1 : 0)
}

/** The policies that select the pod; `policies` are those that may, in any order. */
export function policiesThatSelect(
  pod: PolicyPod,
  policies: Iterable<Policy>,
  namespaces: PolicyCluster['namespaces'],
): SelectingPolicies {
  const found: Record<Tier, Policy[]> = { Admin: [], NetworkPolicy: [], Baseline: [] }
  for (const policy of policies) if (matchesPod(policy.subject, pod, namespaces)) found[policy.tier].push(policy)
  for (const ofTier of Object.values(found)) ofTier.sort(comparePolicies)
  return found
}

/** A view of a cluster that does not change. */
export function viewOf(cluster: PolicyCluster): PolicyView {
  const byAddr = new Map<string, PolicyPod>()
  for (const pod of cluster.pods.values()) if (isPoliced(pod)) for (const addr of pod.addrs) byAddr.set(`${addr}`, pod)
  // most policies are of one namespace: pods of the others need not ask them
  const anywhere: Policy[] = []
  const byNamespace = new Map<string, Policy[]>()
  for (const policy of cluster.policies.values()) {
    const { namespaces } = policy.subject
    if (namespaces.kind === 'labels') anywhere.push(policy)
    else byNamespace.set(namespaces.name, [...(byNamespace.get(namespaces.name) ?? []), policy])
  }
  const known = new WeakMap<PolicyPod, SelectingPolicies>()
  return {
    ...cluster,
    podAt: (addr) => byAddr.get(`${addr}`),
    policiesOf: (pod) => {
      const before = known.get(pod)
      if (before !== undefined) return before
      const candidates = [...anywhere, ...(byNamespace.get(pod.namespace) ?? [])]
      const found = policiesThatSelect(pod, candidates, cluster.namespaces)
      known.set(pod, found)
      return found
    },
  }
}

/** The policies that select the pod, from the view's memory when it has one. */
export function policiesOf(view: PolicyView, pod: PolicyPod): SelectingPolicies {
  return view.policiesOf?.(pod) ?? policiesThatSelect(pod, view.policies.values(), view.namespaces)
}

/** The two ends as the direction's policies see them; undefined when the end whose policies these are is no pod. */
export function endsOf(view: PolicyView, { src, dst }: PolicyPacket, direction: Direction): Ends | undefined {
  const sender = view.podAt(src)
  const receiver = view.podAt(dst)
  const own = direction === 'egress' ? sender : receiver
  if (own === undefined) return undefined
  const other = direction === 'egress' ? { addr: dst, pod: receiver } : { addr: src, pod: sender }
  return { own, other, receiver }
}

/** The first rule that matches, in the order of policies and rules. */
function firstMatch(
  policies: readonly Policy[],
  direction: Direction,
  matches: (rule: NonNullable<Policy['rules'][Direction]>[number]) => boolean,
): { readonly ref: RuleRef; readonly action: 'accept' | 'deny' | 'pass' } | undefined {
  for (const { key, rules } of policies)
    for (const rule of rules[direction] ?? [])
      if (matches(rule)) return { ref: { policy: key, direction, index: rule.index }, action: rule.action }
  return undefined
}

const isSamePod = (pod: PolicyPod, other: PolicyPod | undefined): boolean =>
  pod.namespace === other?.namespace && pod.name === other.name

function decide(view: PolicyView, packet: PolicyPacket, ends: Ends, direction: Direction): Decision {
  const { own, other } = ends
  if (view.nodes.get(own.node)?.some((addr) => addr.equals(other.addr)) === true) return { kind: 'ownNode' }
  const policies = policiesOf(view, own)
  const ruleOf = (tier: Tier): Decision | undefined => {
    const match = firstMatch(policies[tier], direction, (rule) => matchesRule(rule, packet, ends, view.namespaces))
    if (match === undefined || match.action === 'pass') return undefined
    return { kind: 'rule', tier, rule: match.ref, action: match.action }
  }
  const admin = ruleOf('Admin')
  if (admin !== undefined) return admin
  const isolating = policies.NetworkPolicy.filter(({ rules }) => rules[direction] !== undefined)
  if (isolating.length === 0) return ruleOf('Baseline') ?? { kind: 'default' }
  const allowing = ruleOf('NetworkPolicy')
  if (allowing !== undefined) return allowing
  return isSamePod(own, other.pod) ? { kind: 'itself' } : { kind: 'isolated', by: isolating.map(({ key }) => key) }
}

export function isDenial(decision: Decision): boolean {
  return decision.kind === 'isolated' || (decision.kind === 'rule' && decision.action === 'deny')
}

export function evaluateDirection(view: PolicyView, packet: PolicyPacket, direction: Direction): DirectionVerdict {
  const ends = endsOf(view, packet, direction)
  if (ends === undefined) return { direction, decision: { kind: 'noPod' }, isDenied: false, isAudited: false }
  const decision = decide(view, packet, ends, direction)
  const isDenied = isDenial(decision)
  const { namespace, name } = ends.own
  return {
    direction,
    pod: `${namespace}/${name}`,
    decision,
    isDenied,
    isAudited: isDenied && view.namespaces.get(namespace)?.isAudited === true,
  }
}

/** Says of the first packet of a connection what decides about it at both ends, and whether it gets through. */
export function evaluate(view: PolicyView, packet: PolicyPacket): PolicyVerdict {
  const egress = evaluateDirection(view, packet, 'egress')
  const ingress = evaluateDirection(view, packet, 'ingress')
  return { egress, ingress, isDropped: [egress, ingress].some(({ isDenied, isAudited }) => isDenied && !isAudited) }
}
