// Why a packet passes or does not: what `causeway policy why` shows, as a value without anything that JSON cannot carry.
import { type Addr } from '#/lib/addr.ts'
import { type SuggestedChange } from './change.ts'
import { type Labels, type PolicyView } from './cluster.ts'
import { endsOf, evaluateDirection, policiesOf } from './evaluate.ts'
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
import { type Decision, type PolicyPacket } from './verdict.ts'
import { type Check, decisionText, nodeAt, peerChecks, portChecks } from './words.ts'

export type RuleExplanation = {
  readonly rule: RuleRef
  readonly name?: string
  readonly action: RuleAction
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
  /** How to get the opposite outcome in this direction, the smallest first. */
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
): RuleExplanation {
  return {
    rule: ref,
    ...(rule.name !== undefined && { name: rule.name }),
    action: rule.action,
    isMatch: matchesRule(rule, packet, ends, view.namespaces),
    peers: peerChecks(view, rule.peers, ends.other),
    ports: portChecks(rule.ports, packet, ends.receiver),
  }
}

/** The policies of a direction with what matches in them. One is asked when its tier is, and no rule of the tier's earlier ones matched. */
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
      const ofPolicy = (rules[direction] ?? []).map((rule) =>
        explainRule(view, packet, ends, { policy: key, direction, index: rule.index }, rule),
      )
      explained.push({ policy: key, tier, ...(tier !== 'NetworkPolicy' && { priority }), isAsked, rules: ofPolicy })
      const match = isAsked ? ofPolicy.find(({ isMatch }) => isMatch) : undefined
      if (match === undefined) continue
      isAsked = false
      isOver ||= match.action !== 'pass'
    }
  }
  return explained
}

function explainDirection(view: PolicyView, packet: PolicyPacket, direction: Direction): DirectionExplanation {
  const verdict = evaluateDirection(view, packet, direction)
  const ends = endsOf(view, packet, direction)
  return {
    ...verdict,
    text: decisionText(view, packet, verdict),
    policies: ends === undefined ? [] : explainPolicies(view, packet, ends, verdict),
    changes: ends === undefined ? [] : changesOf(view, packet, ends, verdict),
  }
}

/** Says of the first packet of a connection what decides about it at both ends, why, and what would change that. */
export function explain(view: PolicyView, packet: PolicyPacket): Explanation {
  const egress = explainDirection(view, packet, 'egress')
  const ingress = explainDirection(view, packet, 'ingress')
  const isDropped = [egress, ingress].some(({ isDenied, isAudited }) => isDenied && !isAudited)
  return {
    from: explainEnd(view, packet.src),
    to: explainEnd(view, packet.dst),
    protocol: packet.protocol,
    ...(packet.port !== undefined && { port: packet.port }),
    egress,
    ingress,
    isDropped,
  }
}
