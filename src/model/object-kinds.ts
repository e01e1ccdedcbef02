// The kinds of kernel object that Causeway keeps, and what it means that one of a kind is not as it should be: for this node, for
// the other nodes and for pods. Whoever judges by a failure reads it here.
import { type ProblemCode } from './problem-catalogue.ts'

export type FailureMeaning = {
  /** By which it is told. */
  readonly code: ProblemCode
  /**
   * For this node: `unready` is that its pods may not have the network they were promised; `degraded` is that some other node, or
   * somebody else's firewall, is in the way; `pod` is one pod's own trouble (its namespace is gone).
   */
  readonly node: 'unready' | 'degraded' | 'pod'
  /** For the other nodes: whether packets that they send through the tunnel may not be taken in here. */
  readonly isTunnelInDoubt: boolean
  /** For the other nodes: whether packets may still leave by the way they took before. */
  readonly keepsFormerWay: boolean
}

const ofNode = { node: 'unready', isTunnelInDoubt: false, keepsFormerWay: false } as const

/** A new kind is a line here, and a section of docs/problems.md. */
export const objectKinds = {
  link: { ...ofNode, code: 'CW2001', isTunnelInDoubt: true },
  sysctl: { ...ofNode, code: 'CW2002' },
  port: { ...ofNode, code: 'CW2003', node: 'pod' },
  address: { ...ofNode, code: 'CW2004' },
  neighbour: { ...ofNode, code: 'CW2005', node: 'degraded', isTunnelInDoubt: true },
  table: { ...ofNode, code: 'CW2006', isTunnelInDoubt: true },
  forward: { ...ofNode, code: 'CW2007', node: 'degraded' },
  route: { ...ofNode, code: 'CW2008', node: 'degraded', keepsFormerWay: true },
} as const satisfies Readonly<Record<string, FailureMeaning>>

export type ObjectKind = keyof typeof objectKinds
/** One object: kind and key tell it from all others of a node. */
export type ObjectName = { readonly kind: ObjectKind; readonly key: string }

/** Whether any of these kinds has that meaning. */
export function someMean(kinds: Iterable<ObjectKind>, isSo: (meaning: FailureMeaning) => boolean): boolean {
  for (const kind of kinds) if (isSo(objectKinds[kind])) return true
  return false
}
