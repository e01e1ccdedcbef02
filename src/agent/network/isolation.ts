// Whether this node can reach any other node. One unreachable node may itself be at fault; if all are unreachable, this node is.
import { families } from '#/lib/addr.ts'
import { type Problem, problemText } from '#/model/problems.ts'
import { verdictKey } from '#/model/verdict.ts'
import { type RemotePlan } from '#/plan/remote-plan.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'

export type Surroundings = {
  /** The plan for each other node, by the node's name. */
  readonly plans: ReadonlyMap<string, Pick<RemotePlan, 'verdicts' | 'isMissed'>>
  /** Whether a device has an address of this node. */
  readonly hasUnderlay: boolean
  readonly problems: readonly Problem[]
  /** Kernel objects that could not be made. */
  readonly failures: readonly ObjectStatus[]
  /** Whether all nodes are known, and BGP has had the time to tell all ways that there are. */
  readonly isSettled: boolean
  /** Whether any neighbour of BGP's is there. */
  readonly hasSession: boolean
}

/** So long may there be no way to any other node: sessions with nodes that have just joined, or came back, take a while. */
export const isolatedAfterMs = 30_000

export class Isolation {
  readonly #nowMs: () => number
  /** Since when there has been no way. */
  #sinceMs: number | undefined

  constructor(deps: { readonly nowMs: () => number }) {
    this.#nowMs = deps.nowMs
  }

  /**
   * Why this node reaches no other node; undefined when it may reach one, or there is no other node. Nodes to which no way is known do not
   * count while BGP has a session: they are drained, or do not tell their ways, and it is not this node's fault. Neither do nodes that are
   * off or have no network yet. That other nodes are not Ready says nothing: they are not because of this.
   */
  of(surroundings: Surroundings): string | undefined {
    const { plans, hasUnderlay, problems, isSettled, hasSession } = surroundings
    const ways = waysOf(surroundings)
    const isCutOff = ways === 'none' && isSettled && !hasSession && plans.values().some(({ isMissed }) => isMissed)
    if (plans.size > 0 && !hasUnderlay)
      return problems[0] ? problemText(problems[0]) : 'the Node object of this node has no address'
    if (!isCutOff) this.#sinceMs = undefined
    else if (this.#nowMs() - (this.#sinceMs ??= this.#nowMs()) >= isolatedAfterMs)
      return 'no way leads to any other node, and BGP has no session that could tell one: "causeway bgp peers" says why'
    return typeof ways === 'object' ? ways.failure : undefined
  }
}

/**
 * Whether there is any way. The kernel may refuse routes: where it takes less than half of those of one family, that is told with the first
 * of them, because pods of a dual-stack cluster are promised both families.
 */
function waysOf({ plans, failures }: Surroundings): 'some' | 'none' | { readonly failure: string } {
  const failed = new Map(failures.flatMap(({ kind, key, message }) => (kind === 'route' ? [[key, message]] : [])))
  const counts = { 4: { asked: 0, failed: 0, first: '' }, 6: { asked: 0, failed: 0, first: '' } }
  for (const { verdicts } of plans.values())
    for (const verdict of verdicts) {
      if (verdict.way === 'none') continue
      const count = counts[verdict.dst.family]
      count.asked++
      if (failed.size === 0) return 'some'
      const key = verdictKey(verdict)
      if (!failed.has(key)) continue
      count.failed++
      count.first ||= `${key}: ${failed.get(key) ?? ''}`
    }
  for (const family of families) {
    const { asked, failed: missing, first } = counts[family]
    if (missing * 2 > asked)
      return {
        failure: `${missing} of ${asked} IPv${family} routes to pod CIDRs of other nodes cannot be made: ${first}`,
      }
  }
  return counts[4].asked + counts[6].asked === 0 ? 'none' : 'some'
}
