// Pods as the API tells of them, and as this node has them.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type PolicyPod } from '../cluster.ts'
import { type FormChange } from '../form.ts'
import { isPoliced } from '../match.ts'
import { type Addresses } from './addresses.ts'
import { type Groups } from './groups.ts'
import { PodsView } from './pods-view.ts'
import { isSameLocal, isSamePod } from './same.ts'
import { type Selections } from './selections.ts'
import { type Group, type LocalPod, type LocalState, type PodState } from './state.ts'

const noLocals: readonly LocalState[] = []

const keyOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `${namespace}/${name}`

/** Whether the runtime's pod is the API's: two pods with one name, one after the other, are not the same. */
const isThePod = ({ uid }: { readonly uid: string }, told: PolicyPod): boolean =>
  uid === told.uid || uid === told.configUid || uid === ''

/** Those that the pod has or may get back. */
const addrsOf = (state: PodState | undefined): readonly Addr[] =>
  state === undefined ? [] : [...state.pod.addrs, ...state.told.addrs]

export class Pods {
  readonly #addresses: Addresses
  readonly #groups: Groups
  readonly #selections: Selections
  readonly #states = new Map<string, PodState>()
  readonly #localsByPod = new Map<string, readonly LocalState[]>()
  /** By host device. */
  readonly locals = new Map<string, LocalState>()
  readonly known: ReadonlyMap<string, PolicyPod> = new PodsView(this.#states)
  readonly #families = new Set<Family>()
  /** As of the last time. */
  readonly families = new Set<Family>()

  constructor(addresses: Addresses, groups: Groups, selections: Selections) {
    this.#addresses = addresses
    this.#groups = groups
    this.#selections = selections
  }

  groupOf(pod: PolicyPod): Group | undefined {
    const key = keyOf(pod)
    const state = this.#states.get(key)
    if (state?.pod === pod) return state.group
    return this.#localsByPod.get(key)?.find((local) => local.pod?.pod === pod)?.pod?.group
  }

  isKnown(namespace: string, name: string, uid: string): boolean {
    return this.#stateOf({ namespace, name, uid }) !== undefined
  }

  #stateOf(local: Pick<LocalPod, 'namespace' | 'name' | 'uid'>): PodState | undefined {
    const state = this.#states.get(keyOf(local))
    return state && isThePod(local, state.told) ? state : undefined
  }

  setPod(told: PolicyPod): void {
    for (const { family } of told.addrs) this.#families.add(family)
    const key = keyOf(told)
    const before = this.#states.get(key)
    if (before?.told.uid === told.uid && before.told.configUid === told.configUid) {
      if (isSamePod(before.told, told)) return
      const addrs = [...addrsOf(before), ...told.addrs]
      return this.#addresses.change(addrs, () => {
        before.told = told
        this.#settle(before)
      })
    }
    this.removePod(key)
    const state: PodState = { told, pod: told, isGone: false, locals: noLocals, group: undefined, place: 0 }
    this.#states.set(key, state)
    const locals = (this.#localsByPod.get(key) ?? noLocals).filter(({ local }) => isThePod(local, told))
    const addrs = [...told.addrs, ...locals.flatMap(({ local, pod }) => [...local.addrs, ...addrsOf(pod)])]
    this.#addresses.change(addrs, () => {
      for (const local of locals) this.#attach(local, state)
      this.#settle(state)
    })
  }

  removePod(key: string): void {
    const state = this.#states.get(key)
    if (state === undefined) return
    this.#states.delete(key)
    this.#addresses.change(addrsOf(state), () => {
      state.isGone = true
      this.#settle(state)
    })
  }

  setLocal(local: LocalPod): void {
    for (const { family } of local.addrs) this.#families.add(family)
    const before = this.locals.get(local.hostDevice)
    if (before !== undefined && isSameLocal(before.local, local)) return
    // a pod that is gone from the API is still known by an interface that it has here
    const others = this.#localsByPod.get(keyOf(local)) ?? noLocals
    const pod = this.#stateOf(local) ?? others.find((other) => other.local.uid === local.uid)?.pod
    const state: LocalState = { local }
    const addrs = [...local.addrs, ...(before?.local.addrs ?? []), ...addrsOf(pod), ...addrsOf(before?.pod)]
    this.#addresses.change(addrs, () => {
      this.#list(state)
      if (pod !== undefined) this.#attach(state, pod)
      if (before !== undefined) {
        this.#unlist(before)
        this.#detach(before)
      }
      this.locals.set(local.hostDevice, state)
    })
  }

  removeLocal(hostDevice: string): void {
    const state = this.locals.get(hostDevice)
    if (state === undefined) return
    this.#addresses.change([...state.local.addrs, ...addrsOf(state.pod)], () => {
      this.locals.delete(hostDevice)
      this.#unlist(state)
      this.#detach(state)
    })
  }

  #list(state: LocalState): void {
    for (const addr of state.local.addrs) this.#addresses.addLocal(addr)
    const key = keyOf(state.local)
    this.#localsByPod.set(key, [...(this.#localsByPod.get(key) ?? noLocals), state])
    this.#selections.movedLocals.add(state)
  }

  #unlist(state: LocalState): void {
    for (const addr of state.local.addrs) this.#addresses.removeLocal(addr)
    const key = keyOf(state.local)
    const rest = this.#localsByPod.get(key)!.filter((each) => each !== state)
    if (rest.length > 0) this.#localsByPod.set(key, rest)
    else this.#localsByPod.delete(key)
    this.#selections.movedLocals.add(state)
  }

  #attach(local: LocalState, pod: PodState): void {
    const before = local.pod
    local.pod = pod
    pod.locals = [...pod.locals, local]
    this.#settle(pod)
    if (before === undefined) return
    before.locals = before.locals.filter((each) => each !== local)
    this.#settle(before)
  }

  #detach(local: LocalState): void {
    const before = local.pod
    this.#selections.place(local, undefined)
    if (before === undefined) return
    delete local.pod
    before.locals = before.locals.filter((each) => each !== local)
    this.#settle(before)
  }

  takeFamilies(): FormChange['newFamilies'] {
    const added = this.#families.difference(this.families)
    for (const family of added) this.families.add(family)
    return added
  }

  /** Makes everything that follows of what is told of a pod and of its interfaces here. */
  #settle(state: PodState): void {
    const { isGone, locals } = state
    const isHere = locals.length > 0
    // it may still run: the API server calls pods of a node that it has lost failed
    const hasEnded = state.told.hasEnded && !isHere
    const isMeant = isPoliced({ ...state.told, hasEnded }) && !(isGone && !isHere)
    const group = isMeant ? this.#groups.groupOf(state.told) : undefined
    const claimed = state.group === undefined ? [] : state.pod.addrs
    if (group !== undefined && state.told.labels !== group.labels) state.told = inGroup(state.told, group)
    const { told } = state
    state.pod = isHere ? { ...told, hasEnded, addrs: locals.flatMap(({ local }) => local.addrs) } : told
    const claims = group === undefined ? [] : state.pod.addrs
    for (const addr of claims) this.#addresses.claim(state, addr)
    for (const addr of claimed) if (!claims.some((each) => each.equals(addr))) this.#addresses.release(state, addr)
    // a group is left in every way before it goes
    for (const local of locals) this.#selections.place(local, group)
    this.#move(state, group)
  }

  #move(state: PodState, group: Group | undefined): void {
    const before = state.group
    if (group === before) return
    const { place } = state
    state.group = group
    if (group !== undefined) enter(group, state)
    if (before === undefined) return
    const last = before.pods.pop()!
    if (last !== state) {
      before.pods[place] = last
      last.place = place
    }
    this.#groups.removeIfUnused(before)
  }
}

/** Mostly it is the only one, and an array that is made with it has no room for more, as one that grows has. */
function enter(group: Group, state: PodState): void {
  state.place = group.pods.length
  if (group.pods.length === 0) group.pods = [state]
  else group.pods.push(state)
}

/** With what its group has in common, so that thousands of pods remember it once. */
function inGroup(told: PolicyPod, { namespace, labels, namedPorts }: Group): PolicyPod {
  return { ...told, namespace: namespace.name, labels, namedPorts }
}
