// Which classes the pods of this node had before a change, and what the rules of these did: the form no longer has it then.
import { put } from '#/lib/put.ts'
import { type ClassForm, type Form, type FormChange, type LocalPodForm, type PolicyForm } from '#/policy/form.ts'
import { type Direction, directions, type RuleAction } from '#/policy/policy.ts'

/** What rules of a policy of the tiers Admin and Baseline do, by the id of its form; undefined for one that is not known. */
export type ActionsOf = (policy: string) => ReadonlySet<RuleAction> | undefined

/** A pod, and its class in each direction in which it has one. */
export type PodBefore = {
  readonly local: LocalPodForm
  readonly classes: Readonly<Partial<Record<Direction, ClassForm>>>
}

export type ClassesBefore = {
  /** By host device; undefined for a pod that was not known. */
  readonly podOf: (device: string) => PodBefore | undefined
  readonly actionsOf: ActionsOf
}

/** The classes of a pod in the form. */
export function classesOf(form: Form, local: LocalPodForm): PodBefore['classes'] {
  const found = directions.flatMap((direction) => {
    const one = form.classes.get(local[direction] ?? '')
    return one === undefined ? [] : [[direction, one] as const]
  })
  return Object.fromEntries(found)
}

/** Of NetworkPolicies, whose rules are all alike, nothing is to be known. */
export function actionsOf(policy: PolicyForm | undefined): ReadonlySet<RuleAction> | undefined {
  if (policy === undefined || policy.tier === 'NetworkPolicy') return undefined
  return new Set(policy.rules.map(({ action }) => action))
}

export class ClassMemory implements ClassesBefore {
  readonly #pods = new Map<string, PodBefore>()
  readonly #actions = new Map<string, ReadonlySet<RuleAction>>()

  readonly podOf = (device: string): PodBefore | undefined => this.#pods.get(device)
  readonly actionsOf = (policy: string): ReadonlySet<RuleAction> | undefined => this.#actions.get(policy)

  /** Notes the change that led to the form. */
  note(form: Form, { locals, policies }: Pick<FormChange, 'locals' | 'policies'>): void {
    for (const [device, local] of locals) put(this.#pods, device, local && { local, classes: classesOf(form, local) })
    for (const [id, policy] of policies) put(this.#actions, id, actionsOf(policy))
  }

  /** Forgets everything but the form. */
  reset(form: Form): void {
    this.#pods.clear()
    this.#actions.clear()
    this.note(form, form)
  }
}
