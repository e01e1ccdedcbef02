// The classes of this node's pods: what those with the same policies in one direction have in common.
import { type PolicyNamespace } from '../cluster.ts'
import { comparePolicies } from '../evaluate.ts'
import { type ClassForm, type FormChange, type LocalPodForm } from '../form.ts'
import { type Direction, directions, type Tier } from '../policy.ts'
import { classId, policyId } from './ids.ts'
import { applies } from './selections.ts'
import { type LocalState, type Selection } from './state.ts'

function classOf({ policies }: Selection, direction: Direction, isAudited: boolean): ClassForm | undefined {
  const applying = [...policies].map(({ policy }) => policy).filter((policy) => applies(policy, direction))
  if (applying.length === 0) return undefined
  const inOrder: Record<Tier, string[]> = { Admin: [], NetworkPolicy: [], Baseline: [] }
  for (const { key, tier } of applying.sort(comparePolicies)) inOrder[tier].push(policyId(key, direction))
  const meaning = { direction, policies: inOrder, isAudited }
  return { id: classId(meaning), ...meaning }
}

function formOf({ local, selection }: LocalState): LocalPodForm {
  const { hostDevice, namespace, name, addrs } = local
  const ids = directions.flatMap((direction) => {
    const id = selection?.classes[direction]?.id
    return id === undefined ? [] : [[direction, id] as const]
  })
  return { pod: `${namespace}/${name}`, hostDevice, addrs, ...Object.fromEntries(ids) }
}

export class Classes {
  readonly #namespaces: ReadonlyMap<string, PolicyNamespace>
  /** How many groups of pods are in a class. */
  readonly #users = new Map<string, { readonly form: ClassForm; count: number }>()
  /** As of the last time. */
  readonly forms = new Map<string, ClassForm>()
  readonly locals = new Map<string, LocalPodForm>()

  constructor(namespaces: ReadonlyMap<string, PolicyNamespace>) {
    this.#namespaces = namespaces
  }

  /** What follows of changed selections; their pods are among those that moved then. */
  takeClasses(selections: Set<Selection>, moved: Set<LocalState>): FormChange['classes'] {
    const touched = new Set<string>()
    for (const selection of selections) this.#settle(selection, moved, touched)
    selections.clear()
    const changes = new Map<string, ClassForm | undefined>()
    for (const id of touched) {
      const { form, count } = this.#users.get(id)!
      if (count === 0) {
        this.#users.delete(id)
        if (this.forms.delete(id)) changes.set(id, undefined)
      } else if (!this.forms.has(id)) {
        this.forms.set(id, form)
        changes.set(id, form)
      }
    }
    return changes
  }

  #settle(selection: Selection, moved: Set<LocalState>, touched: Set<string>): void {
    const { namespace } = selection.group
    const isAudited = this.#namespaces.get(namespace.name)?.isAudited === true
    for (const direction of directions) {
      const before = selection.classes[direction]
      const after = selection.locals.size === 0 ? undefined : classOf(selection, direction, isAudited)
      if (before?.id === after?.id) continue
      if (after === undefined) delete selection.classes[direction]
      else {
        const users = this.#users.get(after.id) ?? { form: after, count: 0 }
        this.#users.set(after.id, users)
        users.count++
        selection.classes[direction] = users.form
        touched.add(after.id)
      }
      if (before !== undefined) {
        this.#users.get(before.id)!.count--
        touched.add(before.id)
      }
      for (const local of selection.locals) moved.add(local)
    }
  }

  /** `states` are those of the pods that this node has; by host device. */
  takeLocals(moved: Set<LocalState>, states: ReadonlyMap<string, LocalState>): FormChange['locals'] {
    const changes = new Map<string, LocalPodForm | undefined>()
    for (const { local } of moved) {
      const { hostDevice } = local
      const state = states.get(hostDevice)
      const form = state && formOf(state)
      if (JSON.stringify(form) === JSON.stringify(this.locals.get(hostDevice))) continue
      if (form === undefined) this.locals.delete(hostDevice)
      else this.locals.set(hostDevice, form)
      changes.set(hostDevice, form)
    }
    moved.clear()
    return changes
  }
}
