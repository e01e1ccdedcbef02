// The kinds of kernel object that Causeway keeps, and what a wrong object of each kind means for this node, for the other nodes and for
// pods. Every judgement about a failure reads this table. It also says which kinds hang on which.
import { type ProblemCode } from './problem-catalogue.ts'

export type KindMeaning = {
  /** The code of the problem that reports it. */
  readonly code: ProblemCode
  /**
   * The meaning for this node: `unready`: its pods may not have the network they were promised; `degraded`: some other node, or another
   * program's firewall, is in the way; `pod`: only one pod is affected (its namespace is gone).
   */
  readonly node: 'unready' | 'degraded' | 'pod'
  /** The meaning for the other nodes: whether packets that they send through the tunnel may be dropped here. */
  readonly isTunnelInDoubt: boolean
  /** The meaning for the other nodes: whether packets may still leave by the way they took before. */
  readonly keepsFormerWay: boolean
  /**
   * The kinds of object that the kernel takes along, mostly without a notification, when an object of this kind goes or is made anew: after
   * a change of this kind, they have to be compared too.
   */
  readonly takes: readonly string[]
}

const ofNode = { node: 'unready', isTunnelInDoubt: false, keepsFormerWay: false, takes: [] } as const

/** To add a kind, add a line here and a section to docs/problems.md. */
export const objectKinds = {
  link: {
    ...ofNode,
    code: 'CW2001',
    isTunnelInDoubt: true,
    takes: ['sysctl', 'port', 'address', 'neighbour', 'route', 'pod-map', 'attachment'],
  },
  // without IPv6 a device has no addresses of it, and no routes
  sysctl: { ...ofNode, code: 'CW2002', takes: ['address', 'neighbour', 'route'] },
  // a device that was made anew has another index, and no program
  port: { ...ofNode, code: 'CW2003', node: 'pod', takes: ['pod-map', 'attachment'] },
  // with a device's last address its IPv4 routes go, and with an address those that name it as their source
  address: { ...ofNode, code: 'CW2004', takes: ['route'] },
  neighbour: { ...ofNode, code: 'CW2005', node: 'degraded', isTunnelInDoubt: true },
  table: { ...ofNode, code: 'CW2006', isTunnelInDoubt: true },
  forward: { ...ofNode, code: 'CW2007', node: 'degraded' },
  route: { ...ofNode, code: 'CW2008', node: 'degraded', keepsFormerWay: true },
  // what programs do not know, or are not attached for, goes by the node's own stack
  program: { ...ofNode, code: 'CW3202', node: 'degraded', takes: ['pod-map', 'node-map', 'attachment'] },
  'pod-map': { ...ofNode, code: 'CW3203', node: 'degraded' },
  'node-map': { ...ofNode, code: 'CW3204', node: 'degraded' },
  attachment: { ...ofNode, code: 'CW3205', node: 'degraded' },
  // what is not denied here is denied by the rules in the stack
  'policy-map': { ...ofNode, code: 'CW3206', node: 'degraded' },
  // a pod whose rules cannot be written gets no network
  'policy-table': { ...ofNode, code: 'CW3303' },
} as const satisfies Readonly<Record<string, KindMeaning>>

export type ObjectKind = keyof typeof objectKinds

/** The kinds of object that may be gone when an object of this kind was changed (KindMeaning.takes). */
export function takenWith(kind: ObjectKind): readonly ObjectKind[] {
  return objectKinds[kind].takes
}

/** One object: kind and key identify it on a node. */
export type ObjectName = { readonly kind: ObjectKind; readonly key: string }

/** Whether the meaning of any of these kinds satisfies `isSo`. */
export function someMean(kinds: Iterable<ObjectKind>, isSo: (meaning: KindMeaning) => boolean): boolean {
  for (const kind of kinds) if (isSo(objectKinds[kind])) return true
  return false
}
