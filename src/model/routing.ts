// How a node's packets cross to others, as annotations of its Node object say: the routing it is told to use, and the routing it uses.
// Nodes switch one by one, and each reads from the others' states what it may still send and must still accept (docs/routing.md).
import { annotationsOf, fieldsOf, type KubeNode } from './kubernetes.ts'
import { type Problem, problem } from './problems.ts'

export const routings = ['vxlan', 'native', 'auto'] as const
export type Routing = (typeof routings)[number]

export const ways = ['vxlan', 'native'] as const
/** How a packet crosses: in VXLAN, or without encapsulation. */
export type Way = (typeof ways)[number]

export type RoutingState = {
  readonly mode: Routing
  /** The ways by which the node sends packets. */
  readonly sends: readonly Way[]
  /** The ways by which the node accepts packets. */
  readonly accepts: readonly Way[]
}

/** The state of a node that announces none. Any node with an address accepts native packets without further set-up. */
export const plainVxlan: RoutingState = { mode: 'vxlan', sends: ['vxlan'], accepts: ['vxlan', 'native'] }

/** The annotation with one node's routing, which takes precedence over the cluster's. */
export const routingAnnotation = 'causeway.dev/routing'
/** The annotation with a node's RoutingState as JSON. */
export const routingStateAnnotation = 'causeway.dev/routing-state'

/** How many characters of a malformed value a problem shows. */
const toldLength = 80

function isOneOf<T extends string>(choices: readonly T[], value: unknown): value is T {
  return (choices as readonly unknown[]).includes(value)
}

/** Reads the annotation `causeway.dev/routing`; a malformed one counts as absent and is reported in `problem`. */
export function routingOf(node: KubeNode): { readonly routing?: Routing; readonly problem?: Problem } {
  const text = annotationsOf(node)[routingAnnotation]
  if (text === undefined) return {}
  if (isOneOf(routings, text)) return { routing: text }
  const message = `annotation ${routingAnnotation}: "${text.slice(0, toldLength)}" is none of ${routings.join(', ')}`
  return { problem: problem('CW1003', `node/${node.metadata.name}`, message) }
}

function waysIn(value: unknown): Way[] | undefined {
  if (!Array.isArray(value)) return undefined
  // Unknown ways, which a later version may add, are ignored.
  return ways.filter((way) => value.includes(way))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reads the annotation `causeway.dev/routing-state`; a malformed one counts as absent and is reported in `problem`. */
export function routingStateOf(node: KubeNode): { readonly state?: RoutingState; readonly problem?: Problem } {
  const text = annotationsOf(node)[routingStateAnnotation]
  if (text === undefined) return {}
  const { mode, sends, accepts } = fieldsOf(parse(text))
  const [sent, accepted] = [waysIn(sends), waysIn(accepts)]
  if (isOneOf(routings, mode) && sent && accepted) return { state: { mode, sends: sent, accepts: accepted } }
  const message = `annotation ${routingStateAnnotation}: "${text.slice(0, toldLength)}" cannot be read; the node counts as one with plain VXLAN`
  return { problem: problem('CW1004', `node/${node.metadata.name}`, message) }
}

/** The text of the annotation; equal states have equal texts. */
export function routingStateText({ mode, sends, accepts }: RoutingState): string {
  const sorted = (some: readonly Way[]): Way[] => ways.filter((way) => some.includes(way))
  return JSON.stringify({ mode, sends: sorted(sends), accepts: sorted(accepts) })
}
