// What programs of the eBPF datapath denied before the rules of the stack saw it, added to what those have counted. Pure.
import { denialNumber } from '#/plan/policy-maps/denial.ts'
import { type PolicyCounters } from '#/plan/policy/counters.ts'
import { type ClassForm, type Form } from '#/policy/form.ts'

/** By the number of what denied, of whatever device. */
export type DeniedEarly = { readonly rule: number; readonly packets: number; readonly bytes: number }

type Counted = PolicyCounters['rules'][number]
type Denied = PolicyCounters['denied'][number]

function isolationOf(form: Form, { direction, policies }: ClassForm): number | undefined {
  const by = policies.NetworkPolicy.flatMap((id) => form.policies.get(id)?.policy ?? [])
  return by.length === 0 ? undefined : denialNumber({ kind: 'isolated', direction, by })
}

/**
 * Programs count by what denies and not by class: where several classes have it, its packets are told of the first. What no policy of now denies
 * is left out: its rules are gone from the stack too.
 */
export function withEarlyDenials(form: Form, counters: PolicyCounters, early: readonly DeniedEarly[]): PolicyCounters {
  if (early.length === 0) return counters
  const left = new Map<number, { packets: number; bytes: number }>()
  for (const { rule, packets, bytes } of early) {
    const sum = left.get(rule)
    left.set(rule, { packets: packets + (sum?.packets ?? 0), bytes: bytes + (sum?.bytes ?? 0) })
  }
  const take = (number: number): { packets: number; bytes: number } | undefined => {
    const found = left.get(number)
    left.delete(number)
    return found
  }
  const rules: Counted[] = []
  const denied: Denied[] = []
  for (const one of form.classes.values()) {
    // programs leave to the stack what is let through
    if (one.isAudited) continue
    const { id, direction } = one
    const number = isolationOf(form, one)
    const isolated = number === undefined ? undefined : take(number)
    if (isolated) denied.push({ class: id, direction, isAudited: false, ...isolated })
    for (const policy of [...one.policies.Admin, ...one.policies.Baseline])
      for (const { ref, action } of form.policies.get(policy)?.rules ?? []) {
        const byRule = action === 'deny' ? take(denialNumber({ kind: 'rule', rule: ref })) : undefined
        if (byRule === undefined) continue
        rules.push({ ref, class: id, ...byRule })
        denied.push({ class: id, direction, isAudited: false, ...byRule })
      }
  }
  return { ...counters, rules: [...counters.rules, ...rules], denied: [...counters.denied, ...denied] }
}
