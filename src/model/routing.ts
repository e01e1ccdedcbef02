// How a node's packets cross to others, as its Node object tells it in annotations: what it is told to do, and what it does.
// Nodes switch one by one, and each reads from the others' states what it may still send and must still take (docs/routing.md).
import { annotationsOf, fieldsOf, type KubeNode } from './kubernetes.ts'
import { type Problem, problem } from './problems.ts'

export const routings = ['vxlan', 'native', 'auto'] as const
export type Routing = (typeof routings)[number]

export const ways = ['vxlan', 'native'] as const
/** How a packet crosses: in VXLAN, or as it is. */
export type Way = (typeof ways)[number]

export type RoutingState = {
  readonly mode: Routing
  /** The ways that its packets take. */
  readonly sends: readonly Way[]
  /** The ways by which it takes packets. */
  readonly accepts: readonly Way[]
}

/** Of a node that tells nothing. Whoever has an address takes native packets; nothing must be made for them. */
export const plainVxlan: RoutingState = { mode: 'vxlan', sends: ['vxlan'], accepts: ['vxlan', 'native'] }

/** The routing of one node, before that of the cluster. */
export const routingAnnotation = 'causeway.dev/routing'
/** A RoutingState as JSON. */
export const routingStateAnnotation = 'causeway.dev/routing-state'

/** As much of a bad value as is told. */
const toldLength = 80

function isOneOf<T extends string>(choices: readonly T[], value: unknown): value is T {
  return (choices as readonly unknown[]).includes(value)
}

/** The annotation `causeway.dev/routing`; a bad one is told in `problem` and counts as none. */
export function routingOf(node: KubeNode): { readonly routing?: Routing; readonly problem?: Problem } {
  const text = annotationsOf(node)[routingAnnotation]
  if (text === undefined) return {}
  if (isOneOf(routings, text)) return { routing: text }
  const message = `annotation ${routingAnnotation}: "${text.slice(0, toldLength)}" is none of ${routings.join(', ')}`
  return { problem: problem('CW1003', `node/${node.metadata.name}`, message) }
}

function waysIn(value: unknown): Way[] | undefined {
  if (!Array.isArray(value)) return undefined
  // what a later version may have is no way for us
  return ways.filter((way) => value.includes(way))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The annotation `causeway.dev/routing-state`; a bad one is told in `problem` and counts as none. */
export function routingStateOf(node: KubeNode): { readonly state?: RoutingState; readonly problem?: Problem } {
  const text = annotationsOf(node)[routingStateAnnotation]
  if (text === undefined) return {}
  const { mode, sends, accepts } = fieldsOf(parse(text))
  const [sent, accepted] = [waysIn(sends), waysIn(accepts)]
  if (isOneOf(routings, mode) && sent && accepted) return { state: { mode, sends: sent, accepts: accepted } }
  const message = `annotation ${routingStateAnnotation}: "${text.slice(0, toldLength)}" cannot be read; the node counts as one with plain VXLAN`
  return { problem: problem('CW1004', `node/${node.metadata.name}`, message) }
}

/** The annotation's value; equal states have equal texts. */
export function routingStateText({ mode, sends, accepts }: RoutingState): string {
  const sorted = (some: readonly Way[]): Way[] => ways.filter((way) => some.includes(way))
  return JSON.stringify({ mode, sends: sorted(sends), accepts: sorted(accepts) })
}
