// What the evaluator says of a packet, and why.
import { type Addr } from '#/lib/addr.ts'
import { type Direction, type RuleRef, type Tier } from './policy.ts'

/** The first packet of a connection, after its destination was translated (Services) and before its source is. */
export type PolicyPacket = {
  readonly src: Addr
  readonly dst: Addr
  /** IP protocol number: 6, 17, 132, 1, 58 or another. */
  readonly protocol: number
  /** Destination port, of protocols that have ports. */
  readonly port?: number
}

/** What decides in one direction: egress of the sender, ingress of the receiver. */
export type Decision =
  /** The address belongs to no pod to which policies apply. */
  | { readonly kind: 'noPod' }
  /** The other end is the node on which the pod runs: always allowed. */
  | { readonly kind: 'ownNode' }
  /** The pod itself: no NetworkPolicy can forbid it. */
  | { readonly kind: 'itself' }
  | { readonly kind: 'rule'; readonly tier: Tier; readonly rule: RuleRef; readonly action: 'accept' | 'deny' }
  /** NetworkPolicies select the pod, and none of their rules allows the packet. */
  | { readonly kind: 'isolated'; readonly by: readonly string[] }
  /** No policy decides: allowed. */
  | { readonly kind: 'default' }

export type DirectionVerdict = {
  readonly direction: Direction
  /** "NAMESPACE/NAME" of the pod whose policies these are; absent with `noPod`. */
  readonly pod?: string
  readonly decision: Decision
  readonly isDenied: boolean
  /** Denied, but let through: its namespace is audited. */
  readonly isAudited: boolean
}

/** The packet passes when neither direction drops it: `isDenied && !isAudited`. */
export type PolicyVerdict = {
  readonly egress: DirectionVerdict
  readonly ingress: DirectionVerdict
  readonly isDropped: boolean
}
