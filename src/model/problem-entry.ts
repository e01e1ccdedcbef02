// The form of an entry in the catalogue of problems (problem-catalogue.ts).

/** What kind of object a problem is about, which decides whom it concerns. */
export type Concern =
  /** A Node object, of this node or another: all agents see the problem. */
  | 'node'
  /** An object that applies to all nodes: all agents see the problem. */
  | 'cluster object'
  /** An object of the cluster that concerns this node alone. */
  | 'own object'
  | 'kernel'
  | 'file'
  | 'pod'
  | 'agent'

export type ProblemEntry = {
  readonly title: string
  readonly about: Concern
  /** How Causeway knows the problem: continues "known from". */
  readonly how: string
  /** The remedy, as an instruction to the reader. It must be safe to follow literally. */
  readonly remedy: string
}
