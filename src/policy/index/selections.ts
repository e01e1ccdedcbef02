// Which policies select the pods of this node, and what these policies need.
import { selects } from '#/model/label-selector.ts'
import { type PolicyPod, type SelectingPolicies } from '../cluster.ts'
import { type FormChange, type PolicyForm } from '../form.ts'
import { matchesNamespace } from '../match.ts'
import { policiesThatSelect } from '../evaluate.ts'
import { type Direction, directions, type Policy } from '../policy.ts'
import { compilePolicy } from './compile.ts'
import { type Groups } from './groups.ts'
import { type FormSets } from './sets.ts'
import { type Group, type LocalState, type NamespaceState, type PolicyState, type Selection } from './state.ts'

const none: readonly PolicyState[] = []
/** Each new connection on the node may be looked for in the sets of their classes. */
const mostKeptSelections = 32

/** Whether the policy has a say about pods that it selects. Without a rule only a NetworkPolicy has: it isolates. */
function applies({ tier, rules }: Policy, direction: Direction): boolean {
  return tier === 'NetworkPolicy' ? rules[direction] !== undefined : (rules[direction]?.length ?? 0) > 0
}

/** What classes depend on, besides which policies there are. */
const rankOf = (policy: Policy): string =>
  [policy.tier, policy.priority, ...directions.map((direction) => applies(policy, direction))].join(' ')

export class Selections {
  readonly #groups: Groups
  readonly #sets: FormSets
  readonly #states = new Map<string, PolicyState>()
  /** Those that select pods of one namespace only, which are most. */
  readonly #byNamespace = new Map<string, Set<PolicyState>>()
  readonly #anywhere = new Set<PolicyState>()
  readonly known = new Map<string, Policy>()
  readonly #selections = new Set<Selection>()
  /** Those without pods of this node; the first is the one that has been so for longest. */
  readonly #kept = new Set<Selection>()
  /** How many policies they may have in all. */
  mostKept = 0
  /** Known until the next change of policies or namespaces. */
  #selecting = new WeakMap<Group, SelectingPolicies>()
  /** What follows for their classes is found out when changes are taken. */
  readonly changed = new Set<Selection>()
  readonly movedLocals = new Set<LocalState>()
  readonly #changedPolicies = new Map<string, PolicyForm | undefined>()
  /** As of the last time. */
  readonly forms = new Map<string, PolicyForm>()

  constructor(groups: Groups, sets: FormSets) {
    this.#groups = groups
    this.#sets = sets
  }

  #candidates(namespace: string): PolicyState[] {
    return [...(this.#byNamespace.get(namespace) ?? none), ...this.#anywhere]
  }

  /** `group` is that of the pod, if it has one: what is found for one pod of a group is so for all. */
  policiesOf(pod: PolicyPod, group: Group | undefined): SelectingPolicies {
    const before = group && this.#selecting.get(group)
    if (before !== undefined) return before
    const candidates = this.#candidates(pod.namespace).map(({ policy }) => policy)
    const found = policiesThatSelect(pod, candidates, this.#groups.known)
    if (group) this.#selecting.set(group, found)
    return found
  }

  /** Puts a pod of this node among those of a group; of none when nothing is known of it, or policies do not mean it. */
  place(local: LocalState, group: Group | undefined): void {
    const before = local.selection
    if (before?.group === group) return
    if (group === undefined) delete local.selection
    else {
      local.selection = group.selection ?? this.#select(group)
      local.selection.locals.add(local)
      this.#kept.delete(local.selection)
    }
    this.movedLocals.add(local)
    if (before === undefined) return
    before.locals.delete(local)
    if (before.locals.size === 0) this.#keep(before)
  }

  #select(group: Group): Selection {
    const selection: Selection = { group, locals: new Set(), policies: new Set(), classes: {} }
    group.selection = selection
    this.#selections.add(selection)
    this.#groups.matchLocalSets(group)
    this.changed.add(selection)
    for (const policy of this.#candidates(group.namespace.name)) this.#match(policy, selection)
    return selection
  }

  #keep(selection: Selection): void {
    this.#kept.add(selection)
    this.#endOldest()
  }

  #endOldest(): void {
    let count = 0
    for (const { policies } of this.#kept) count += policies.size
    for (const selection of this.#kept) {
      const isRoom = count <= this.mostKept && this.#kept.size <= mostKeptSelections
      if (isRoom && selection.policies.size > 0) continue
      count -= selection.policies.size
      this.#endSelection(selection)
    }
  }

  #endSelection(selection: Selection): void {
    this.#kept.delete(selection)
    for (const policy of selection.policies) this.#unlink(policy, selection)
    delete selection.group.selection
    this.#selections.delete(selection)
    this.#groups.matchLocalSets(selection.group)
    this.changed.add(selection)
    this.#groups.removeIfUnused(selection.group)
  }

  #isSelected({ policy: { subject } }: PolicyState, { namespace, labels }: Group): boolean {
    return selects(subject.pods, labels) && matchesNamespace(subject, namespace.name, this.#groups.known)
  }

  #match(policy: PolicyState, selection: Selection): void {
    const isSelected = this.#isSelected(policy, selection.group)
    if (isSelected === selection.policies.has(policy)) return
    if (isSelected) this.#link(policy, selection)
    else this.#unlink(policy, selection)
    this.changed.add(selection)
  }

  #link(policy: PolicyState, selection: Selection): void {
    selection.policies.add(policy)
    policy.selections.add(selection)
    if (policy.selections.size === 1) this.#compile(policy)
  }

  #unlink(policy: PolicyState, selection: Selection): void {
    selection.policies.delete(policy)
    policy.selections.delete(selection)
    if (policy.selections.size === 0) this.#dropCompiled(policy)
  }

  #compile(state: PolicyState): void {
    const before = state.compiled
    state.compiled = directions.flatMap((direction) =>
      applies(state.policy, direction) ? [compilePolicy(state.policy, direction)] : [],
    )
    for (const { form } of before) this.#changedPolicies.set(form.id, undefined)
    for (const { form } of state.compiled) this.#changedPolicies.set(form.id, form)
    // what both need stays in use
    for (const compiled of state.compiled) this.#sets.acquire(compiled)
    for (const compiled of before) this.#sets.release(compiled)
  }

  #dropCompiled(state: PolicyState): void {
    for (const compiled of state.compiled) {
      this.#changedPolicies.set(compiled.form.id, undefined)
      this.#sets.release(compiled)
    }
    state.compiled = []
  }

  setPolicy(policy: Policy): void {
    const before = this.#states.get(policy.key)
    const rank = before && rankOf(before.policy)
    const state = before ?? { policy, selections: new Set<Selection>(), compiled: [] }
    if (before) this.#unlist(before)
    state.policy = policy
    this.#list(state)
    for (const selection of this.#selections) this.#match(state, selection)
    this.#endOldest()
    if (before === undefined || state.selections.size === 0) return
    this.#compile(state)
    if (rank !== rankOf(policy)) for (const selection of state.selections) this.changed.add(selection)
  }

  removePolicy(key: string): void {
    const state = this.#states.get(key)
    if (state === undefined) return
    this.#unlist(state)
    for (const selection of state.selections) {
      this.#unlink(state, selection)
      this.changed.add(selection)
    }
    this.#endOldest()
  }

  #list(state: PolicyState): void {
    this.#selecting = new WeakMap()
    const { key, subject } = state.policy
    this.#states.set(key, state)
    this.known.set(key, state.policy)
    if (subject.namespaces.kind === 'labels') this.#anywhere.add(state)
    else {
      const { name } = subject.namespaces
      const listed = this.#byNamespace.get(name) ?? new Set()
      this.#byNamespace.set(name, listed.add(state))
    }
  }

  #unlist(state: PolicyState): void {
    this.#selecting = new WeakMap()
    const { key, subject } = state.policy
    this.#states.delete(key)
    this.known.delete(key)
    this.#anywhere.delete(state)
    if (subject.namespaces.kind === 'labels') return
    const { name } = subject.namespaces
    const listed = this.#byNamespace.get(name)
    if (listed?.delete(state) && listed.size === 0) this.#byNamespace.delete(name)
  }

  /** After its labels or its mode have changed. */
  namespaceChanged({ groups }: NamespaceState): void {
    this.#selecting = new WeakMap()
    for (const { selection } of groups.values()) {
      if (selection === undefined) continue
      this.changed.add(selection)
      for (const policy of this.#anywhere) this.#match(policy, selection)
    }
    this.#endOldest()
  }

  take(): FormChange['policies'] {
    const changes = new Map<string, PolicyForm | undefined>()
    for (const [id, form] of this.#changedPolicies) {
      if (JSON.stringify(form) === JSON.stringify(this.forms.get(id))) continue
      if (form === undefined) this.forms.delete(id)
      else this.forms.set(id, form)
      changes.set(id, form)
    }
    this.#changedPolicies.clear()
    return changes
  }
}
