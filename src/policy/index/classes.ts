// The classes of this node's pods: what those with the same policies in one direction have in common.
import { type PolicyNamespace } from '../cluster.ts'
import { comparePolicies } from '../evaluate.ts'
import { type ClassForm, type FormChange, type LocalPodForm } from '../form.ts'
import { type Direction, directions, type Tier } from '../policy.ts'
import { classId } from './ids.ts'
import { type LocalState, type PolicyState, type Selection } from './state.ts'

type ClassesOf = Selection['classes']

function classOf(policies: Iterable<PolicyState>, direction: Direction, isAudited: boolean): ClassForm | undefined {
  const inOrder: Record<Tier, string[]> = { Admin: [], NetworkPolicy: [], Baseline: [] }
  const sorted = [...policies].sort((one, other) => comparePolicies(one.policy, other.policy))
  for (const { form } of sorted.flatMap(({ compiled }) => compiled))
    if (form.direction === direction) inOrder[form.tier].push(form.id)
  if (Object.values(inOrder).every((ids) => ids.length === 0)) return undefined
  const meaning = { direction, policies: inOrder, isAudited }
  return { id: classId(meaning), ...meaning }
}

function classesOf(policies: Iterable<PolicyState>, isAudited: boolean): ClassesOf {
  const classes = directions.flatMap((direction) => classOf(policies, direction, isAudited) ?? [])
  return Object.fromEntries(classes.map((each) => [each.direction, each]))
}

const isSameSet = <T>(one: ReadonlySet<T>, other: ReadonlySet<T>): boolean =>
  one.size === other.size && one.isSubsetOf(other)

function formOf({ local, selection }: LocalState): LocalPodForm {
  const { hostDevice, namespace, name, addrs } = local
  const ids = directions.flatMap((direction) => {
    const id = selection?.classes[direction]?.id
    return id === undefined ? [] : [[direction, id] as const]
  })
  return { pod: `${namespace}/${name}`, hostDevice, addrs, ...Object.fromEntries(ids) }
}

type Found = { readonly policies: ReadonlySet<PolicyState>; readonly isAudited: boolean; readonly classes: ClassesOf }

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
    const found: Found[] = []
    for (const selection of selections) this.#settle(selection, this.#classesOf(selection, found), moved, touched)
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

  /** Mostly many groups have the same policies, maybe a thousand: these are put in order once. */
  #classesOf(selection: Selection, found: Found[]): ClassesOf {
    const { group, policies } = selection
    if (group.selection !== selection) return {}
    const isAudited = this.#namespaces.get(group.namespace.name)?.isAudited === true
    const before = found.find((each) => each.isAudited === isAudited && isSameSet(each.policies, policies))
    if (before !== undefined) return before.classes
    const classes = classesOf(policies, isAudited)
    found.push({ policies, isAudited, classes })
    return classes
  }

  #settle(selection: Selection, classes: ClassesOf, moved: Set<LocalState>, touched: Set<string>): void {
    for (const direction of directions) {
      const before = selection.classes[direction]
      const after = classes[direction]
      if (before?.id === after?.id) continue
      if (after !== undefined) {
        const users = this.#users.get(after.id) ?? { form: after, count: 0 }
        this.#users.set(after.id, users)
        users.count++
        touched.add(after.id)
      }
      if (before !== undefined) {
        this.#users.get(before.id)!.count--
        touched.add(before.id)
      }
      for (const local of selection.locals) moved.add(local)
    }
    selection.classes = classes
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
