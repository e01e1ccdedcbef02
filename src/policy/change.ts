// A change of one thing in a cluster, as it is offered to a user and as it is tried out.
import { type PolicyNamespace, type PolicyPod, type PolicyView } from './cluster.ts'
import { type Policy } from './policy.ts'

/** A change after which a direction has the opposite outcome for a packet; the evaluator said so of a copy with the change. */
export type SuggestedChange = {
  /** "add label role=client to pod shop/web" */
  readonly what: string
  /** What else comes of it. */
  readonly note?: string
  /** A command that makes the change. */
  readonly command?: string
  /** An object to apply, or the rule to add. */
  readonly yaml?: string
}

/** What is different after a change: each in place of what has the same name, or new. */
export type Changed = {
  readonly pod?: PolicyPod
  readonly namespace?: PolicyNamespace
  readonly policy?: Policy
}

/** A change that may do; `size` says how much it touches, compared with others. */
export type Candidate = { readonly size: number; readonly change: SuggestedChange; readonly changed: Changed }

/** The view of a cluster in which something is different. */
export function viewWith(view: PolicyView, { pod, namespace, policy }: Changed): PolicyView {
  const isChanged = (other: PolicyPod): boolean => other.namespace === pod?.namespace && other.name === pod.name
  return {
    pods: pod === undefined ? view.pods : new Map(view.pods).set(`${pod.namespace}/${pod.name}`, pod),
    namespaces: namespace === undefined ? view.namespaces : new Map(view.namespaces).set(namespace.name, namespace),
    policies: policy === undefined ? view.policies : new Map(view.policies).set(policy.key, policy),
    nodes: view.nodes,
    podAt: (addr) => {
      const found = view.podAt(addr)
      return pod !== undefined && found !== undefined && isChanged(found) ? pod : found
    },
  }
}
