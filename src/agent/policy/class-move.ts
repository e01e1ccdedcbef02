// Whether a pod that goes from one class to another may lose a connection by that. Pure. In doubt it may.
import { type ClassForm } from '#/policy/form.ts'
import { type RuleAction } from '#/policy/policy.ts'
import { type ActionsOf } from './class-memory.ts'

type Actions = { readonly before: ActionsOf; readonly after: ActionsOf }

/** Both in one direction; undefined: no policy applies. Whether the rules of policies that both have are others now is not asked here. */
export function mayForbid(before: ClassForm | undefined, after: ClassForm | undefined, actions: Actions): boolean {
  // what would be denied in an audited namespace is let through
  if (after === undefined || after.isAudited || before?.id === after.id) return false
  if (before?.isAudited === true) return true
  const [had, has] = [before?.policies, after.policies]
  if (mayForbidInOrder(had?.Admin ?? [], has.Admin, actions)) return true
  const isolatedBy = had?.NetworkPolicy ?? []
  // allowed is what any of them allows, and nothing goes on from them to Baseline
  if (has.NetworkPolicy.length > 0)
    return isolatedBy.length === 0 || isolatedBy.some((id) => !has.NetworkPolicy.includes(id))
  if (isolatedBy.length > 0) return has.Baseline.length > 0
  return mayForbidInOrder(had?.Baseline ?? [], has.Baseline, actions)
}

/** The first rule that matches decides: what was not denied still is not, if all rules that are gone deny, and all that are new accept. */
function mayForbidInOrder(had: readonly string[], has: readonly string[], actions: Actions): boolean {
  const [gone, fresh] = [had.filter((id) => !has.includes(id)), has.filter((id) => !had.includes(id))]
  const [stayed, stays] = [had.filter((id) => has.includes(id)), has.filter((id) => had.includes(id))]
  return (
    stayed.some((id, place) => id !== stays[place]) ||
    !gone.every((id) => isOnly('deny', actions.before(id))) ||
    !fresh.every((id) => isOnly('accept', actions.after(id)))
  )
}

function isOnly(action: RuleAction, found: ReadonlySet<RuleAction> | undefined): boolean {
  return found !== undefined && [...found].every((each) => each === action)
}
