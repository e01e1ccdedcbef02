// The kinds of kernel object that Causeway keeps, and what a wrong object of each kind means for this node, for the other nodes and for
// pods. Every judgement about a failure reads this table.
import { type ProblemCode } from './problem-catalogue.ts'

export type FailureMeaning = {
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
}

const ofNode = { node: 'unready', isTunnelInDoubt: false, keepsFormerWay: false } as const

/** To add a kind, add a line here and a section to docs/problems.md. */
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
/** One object: kind and key identify it on a node. */
export type ObjectName = { readonly kind: ObjectKind; readonly key: string }

/** Whether the meaning of any of these kinds satisfies `isSo`. */
export function someMean(kinds: Iterable<ObjectKind>, isSo: (meaning: FailureMeaning) => boolean): boolean {
  for (const kind of kinds) if (isSo(objectKinds[kind])) return true
  return false
}
