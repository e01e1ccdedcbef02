// Decides which value counts for a setting that a node's own object, the cluster's objects and the agent's environment can all set.
// No other module decides this. Pure.
import { datapathAnnotation } from '#/model/datapath.ts'
import { singletonName } from '#/model/bgp-objects.ts'

export type Sayings<T> = {
  /** What this node's own Node object sets. */
  readonly node: T | undefined
  /** What the cluster's object sets; undefined when it sets nothing or is not known yet. */
  readonly cluster: T | undefined
  readonly isClusterKnown: boolean
  /** What counted before this agent started: it does until the cluster's object is known, so that a start changes nothing. */
  readonly before: T | undefined
  /** What the agent's environment sets. */
  readonly agent: T
}

/** Which of the sayings counts. */
export type Source = keyof Omit<Sayings<unknown>, 'isClusterKnown'>

/** The value that counts, and who says so. */
export type Said<T> = { readonly value: T; readonly by: Source }

/** The node's object counts first, then the cluster's, then the agent's environment. */
export function effective<T>({ node, cluster, isClusterKnown, before, agent }: Sayings<T>): Said<T> {
  if (node !== undefined) return { value: node, by: 'node' }
  if (cluster !== undefined) return { value: cluster, by: 'cluster' }
  if (!isClusterKnown && before !== undefined) return { value: before, by: 'before' }
  return { value: agent, by: 'agent' }
}

const datapathSources: Readonly<Record<Source, string>> = {
  node: `annotation ${datapathAnnotation} of the Node object`,
  cluster: `spec.datapath of Routing ${singletonName}`,
  before: 'what held before the agent started',
  agent: 'CAUSEWAY_DATAPATH',
}

/** Who wants a node's datapath, in the words of messages. */
export function datapathSource(by: Source): string {
  return datapathSources[by]
}
