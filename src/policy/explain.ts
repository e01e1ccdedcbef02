// Why a packet passes or does not: what `causeway policy why` shows, as a value without anything that JSON cannot carry.
import { type Addr } from '#/lib/addr.ts'
import { type SuggestedChange } from './change.ts'
import { type Labels, type PolicyView } from './cluster.ts'
import { endsOf, evaluate, policiesOf } from './evaluate.ts'
import { type Ends, matchesRule } from './match.ts'
import {
  type Direction,
  type Policy,
  type PolicyRule,
  type RuleAction,
  type RuleRef,
  type Tier,
  tiers,
} from './policy.ts'
import { changesOf } from './suggest.ts'
import { type Decision, type DirectionVerdict, type PolicyPacket } from './verdict.ts'
import { type Check, decisionText, nodeAt, peerChecks, portChecks } from './words.ts'

export type RuleExplanation = {
  readonly rule: RuleRef
  readonly name?: string
  readonly action: RuleAction
  /** Whether evaluation came to it. */
  readonly isAsked: boolean
  readonly isMatch: boolean
  /** One for each peer, of which one must match. */
  readonly peers: readonly Check[]
  /** One for each port, of which one must match. */
  readonly ports: readonly Check[]
}

export type PolicyExplanation = {
  /** Its key. */
  readonly policy: string
  readonly tier: Tier
  /** Of tiers Admin and Baseline. */
  readonly priority?: number
  /** Whether evaluation came to it. */
  readonly isAsked: boolean
  readonly rules: readonly RuleExplanation[]
}

export type EndExplanation = {
  readonly addr: string
  /** "NAMESPACE/NAME" of the pod that has the address and to which policies can apply. */
  readonly pod?: string
  readonly labels?: Labels
  readonly namespaceLabels?: Labels
  /** The node that has the address. */
  readonly node?: string
}

export type DirectionExplanation = {
  readonly direction: Direction
  /** "NAMESPACE/NAME" of the pod whose policies these are. */
  readonly pod?: string
  readonly decision: Decision
  /** The decision in words. */
  readonly text: string
  readonly isDenied: boolean
  readonly isAudited: boolean
  /** Those that select the pod for this direction, in the order of evaluation. */
  readonly policies: readonly PolicyExplanation[]
  /** Each gives the opposite outcome in this direction, the smallest first. None where the other direction alone is what denies. */
  readonly changes: readonly SuggestedChange[]
}

export type Explanation = {
  readonly from: EndExplanation
  readonly to: EndExplanation
  readonly protocol: number
  readonly port?: number
  readonly egress: DirectionExplanation
  readonly ingress: DirectionExplanation
  readonly isDropped: boolean
}

function explainEnd(view: PolicyView, addr: Addr): EndExplanation {
  const pod = view.podAt(addr)
  const node = nodeAt(view, addr)
  return {
    addr: `${addr}`,
    ...(pod !== undefined && {
      pod: `${pod.namespace}/${pod.name}`,
      labels: pod.labels,
      namespaceLabels: view.namespaces.get(pod.namespace)?.labels ?? {},
    }),
    ...(node !== undefined && { node }),
  }
}

function explainRule(
  view: PolicyView,
  packet: PolicyPacket,
  ends: Ends,
  ref: RuleRef,
  rule: PolicyRule,
): Omit<RuleExplanation, 'isAsked'> {
  return {
    rule: ref,
    ...(rule.name !== undefined && { name: rule.name }),
    action: rule.action,
    isMatch: matchesRule(rule, packet, ends, view.namespaces),
    peers: peerChecks(view, rule.peers, ends.other),
    ports: portChecks(rule.ports, packet, ends.receiver),
  }
}

/** The policies of a direction with what matches in them. */
function explainPolicies(
  view: PolicyView,
  packet: PolicyPacket,
  ends: Ends,
  { direction, decision }: { readonly direction: Direction; readonly decision: Decision },
): PolicyExplanation[] {
  const selecting = policiesOf(view, ends.own)
  const ofTier = (tier: Tier): readonly Policy[] =>
    selecting[tier].filter(({ rules }) => rules[direction] !== undefined)
  const explained: PolicyExplanation[] = []
  let isOver = decision.kind === 'ownNode'
  for (const tier of tiers) {
    let isAsked = !isOver && (tier !== 'Baseline' || ofTier('NetworkPolicy').length === 0)
    for (const { key, priority, rules } of ofTier(tier)) {
      const isPolicyAsked = isAsked
      const ofPolicy = (rules[direction] ?? []).map((rule) => {
        const ref = { policy: key, direction, index: rule.index }
        const explainedRule = { ...explainRule(view, packet, ends, ref, rule), isAsked }
        // what matches ends its tier, and all but Pass ends the evaluation
        if (isAsked && explainedRule.isMatch) {
          isAsked = false
          isOver = rule.action !== 'pass'
        }
        return explainedRule
      })
      const ofTiers = tier !== 'NetworkPolicy' && { priority }
      explained.push({ policy: key, tier, ...ofTiers, isAsked: isPolicyAsked, rules: ofPolicy })
    }
  }
  return explained
}

/** Says of the first packet of a connection what decides about it at both ends, why, and what would change that. */
export function explain(view: PolicyView, packet: PolicyPacket): Explanation {
  const { egress, ingress, isDropped } = evaluate(view, packet)
  // to let the packet through takes changes where it is denied; to deny it, one anywhere
  const isDenied = egress.isDenied || ingress.isDenied
  const explained = (verdict: DirectionVerdict): DirectionExplanation => {
    const ends = endsOf(view, packet, verdict.direction)
    const isToChange = ends !== undefined && verdict.isDenied === isDenied
    return {
      ...verdict,
      text: decisionText(view, packet, verdict),
      policies: ends === undefined ? [] : explainPolicies(view, packet, ends, verdict),
      changes: isToChange ? changesOf(view, packet, ends, verdict) : [],
    }
  }
  return {
    from: explainEnd(view, packet.src),
    to: explainEnd(view, packet.dst),
    protocol: packet.protocol,
    ...(packet.port !== undefined && { port: packet.port }),
    egress: explained(egress),
    ingress: explained(ingress),
    isDropped,
  }
}
