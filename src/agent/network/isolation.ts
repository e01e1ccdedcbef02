// Whether this node can reach any other node. One unreachable node may itself be at fault; if all are unreachable, this node is. Pure.
import { type Problem, problemText } from '#/model/problems.ts'
import { type Verdict, verdictKey } from '#/model/verdict.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'

export type Surroundings = {
  /** The plan for each other node, by the node's name. */
  readonly plans: ReadonlyMap<string, { readonly verdicts: readonly Verdict[] }>
  /** Whether a device has an address of this node. */
  readonly hasUnderlay: boolean
  readonly problems: readonly Problem[]
  /** Kernel objects that could not be made. */
  readonly failures: readonly ObjectStatus[]
}

/**
 * Why this node reaches no other node; undefined when it may reach one, or there is no other node. Nodes to which no way is known,
 * such as nodes that are down or drained, do not count: they are not this node's fault.
 */
export function isolationOf({ plans, hasUnderlay, problems, failures }: Surroundings): string | undefined {
  if (plans.size === 0) return undefined
  if (!hasUnderlay) return problems[0] ? problemText(problems[0]) : 'the Node object of this node has no address'
  const failed = new Map(failures.flatMap(({ kind, key, message }) => (kind === 'route' ? [[key, message]] : [])))
  let first: string | undefined
  for (const { verdicts } of plans.values())
    for (const verdict of verdicts) {
      if (verdict.way === 'none') continue
      const key = verdictKey(verdict)
      if (!failed.has(key)) return undefined
      first ??= `no route to another node can be made: ${key}: ${failed.get(key) ?? ''}`
    }
  return first
}
