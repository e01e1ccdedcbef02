// What the catalogue of problems (problem-catalogue.ts) says of each code.

/** What the object of a problem is, which decides whose trouble it is. */
export type Concern =
  /** A Node object, of this node or of another one: all agents see it. */
  | 'node'
  /** An object that holds for all nodes: all agents see it. */
  | 'cluster object'
  /** An object of the cluster that is of this node alone. */
  | 'own object'
  | 'kernel'
  | 'file'
  | 'pod'
  | 'agent'

export type ProblemEntry = {
  readonly title: string
  readonly about: Concern
  /** How Causeway knows: continues "known from". */
  readonly how: string
  /** What to do, as a command to the reader. Safe to follow as it stands. */
  readonly remedy: string
}
