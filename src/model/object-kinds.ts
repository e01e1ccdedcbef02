// The kinds of kernel object that Causeway keeps, and what it means that one of a kind is not as it should be: for this node, for
// the other nodes and for pods. Whoever judges by a failure reads it here.

export type FailureMeaning = {
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

const ofNode: FailureMeaning = { node: 'unready', isTunnelInDoubt: false, keepsFormerWay: false }

/** A new kind is a line here, and a section of docs/problems.md. */
export const objectKinds = {
  link: { ...ofNode, isTunnelInDoubt: true },
  sysctl: ofNode,
  port: { ...ofNode, node: 'pod' },
  address: ofNode,
  neighbour: { node: 'degraded', isTunnelInDoubt: true, keepsFormerWay: false },
  table: { ...ofNode, isTunnelInDoubt: true },
  forward: { ...ofNode, node: 'degraded' },
  route: { node: 'degraded', isTunnelInDoubt: false, keepsFormerWay: true },
} as const satisfies Readonly<Record<string, FailureMeaning>>

export type ObjectKind = keyof typeof objectKinds
/** One object: kind and key tell it from all others of a node. */
export type ObjectName = { readonly kind: ObjectKind; readonly key: string }

/** Whether any of these kinds has that meaning. */
export function someMean(kinds: Iterable<ObjectKind>, isSo: (meaning: FailureMeaning) => boolean): boolean {
  for (const kind of kinds) if (isSo(objectKinds[kind])) return true
  return false
}
