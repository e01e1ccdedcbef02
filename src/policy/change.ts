// A change of one thing in a cluster, as it is offered to a user and as it is tried out.
import { type PolicyNamespace, type PolicyPod, type PolicyView, type SelectingPolicies } from './cluster.ts'
import { policiesOf, policiesThatSelect } from './evaluate.ts'
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
  const namespaces = namespace === undefined ? view.namespaces : new Map(view.namespaces).set(namespace.name, namespace)
  const policies = policy === undefined ? view.policies : new Map(view.policies).set(policy.key, policy)
  /** What selects other pods than before is asked anew, and nothing else: there may be thousands, and a pod has a few. */
  const selectingOf = (asked: PolicyPod): SelectingPolicies => {
    if (isChanged(asked) || asked.namespace === namespace?.name)
      return policiesThatSelect(asked, policies.values(), namespaces)
    const before = policiesOf(view, asked)
    if (policy === undefined) return before
    const others = Object.values(before)
      .flat()
      .filter(({ key }) => key !== policy.key)
    return policiesThatSelect(asked, [...others, policy], namespaces)
  }
  return {
    // tens of thousands, which hardly any question is about
    get pods() {
      return pod === undefined ? view.pods : new Map(view.pods).set(`${pod.namespace}/${pod.name}`, pod)
    },
    namespaces,
    policies,
    policiesOf: selectingOf,
    nodes: view.nodes,
    podAt: (addr) => {
      const found = view.podAt(addr)
      return pod !== undefined && found !== undefined && isChanged(found) ? pod : found
    },
  }
}
