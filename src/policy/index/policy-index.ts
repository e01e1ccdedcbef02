// The cluster as policies see it, and the form that this node's rules are compiled from, kept up to date change by change.
import { type Addr } from '#/lib/addr.ts'
import { type PolicyNamespace, type PolicyPod, type PolicyView, type SelectingPolicies } from '../cluster.ts'
import { type Form, type FormChange } from '../form.ts'
import { type Policy } from '../policy.ts'
import { Addresses } from './addresses.ts'
import { Classes } from './classes.ts'
import { Groups } from './groups.ts'
import { Pods } from './pods.ts'
import { isSameNamespace } from './same.ts'
import { Selections } from './selections.ts'
import { FormSets } from './sets.ts'
import { type LocalPod } from './state.ts'
export { type LocalPod }

/**
 * Changes are noted at once, and cost what they touch. `form` is as of the last `take`, and `take` says what is different now: whoever
 * applies each change to what he has made of the form before is level with `form`. As a view, which `evaluate` asks, the index is always
 * as of now.
 *
 * What is known of a pod of this node stays when the API tells of it no more, until its interface goes.
 */
export class PolicyIndex implements PolicyView {
  readonly #addresses = new Addresses()
  readonly #groups = new Groups()
  readonly #sets = new FormSets(this.#addresses, this.#groups)
  readonly #selections = new Selections(this.#groups, this.#sets)
  readonly #classes = new Classes(this.#groups.known)
  readonly #pods = new Pods(this.#addresses, this.#groups, this.#selections)
  readonly #nodes = new Map<string, readonly Addr[]>()

  readonly pods: ReadonlyMap<string, PolicyPod> = this.#pods.known
  readonly namespaces: ReadonlyMap<string, PolicyNamespace> = this.#groups.known
  readonly policies: ReadonlyMap<string, Policy> = this.#selections.known
  readonly nodes: ReadonlyMap<string, readonly Addr[]> = this.#nodes

  readonly form: Form = {
    families: this.#pods.families,
    locals: this.#classes.locals,
    classes: this.#classes.forms,
    policies: this.#selections.forms,
    peerSets: this.#sets.peerSets,
    namedPortSets: this.#sets.namedPortSets,
    membersOf: this.#sets.membersOf,
    namedPortsOf: this.#sets.namedPortsOf,
  }

  /**
   * `mostKept`: classes of which this node has no pod any more stay in the form as long as they have no more policies in all. So the next pod of
   * a deployment finds its rules there.
   */
  constructor(mostKept = 2048) {
    this.#selections.mostKept = mostKept
  }

  readonly podAt = (addr: Addr): PolicyPod | undefined => this.#addresses.podAt(addr)?.pod
  readonly policiesOf = (pod: PolicyPod): SelectingPolicies => this.#selections.policiesOf(pod, this.#pods.groupOf(pod))

  /** Whether the cluster has any, wherever their pods are. */
  get hasPolicies(): boolean {
    return this.policies.size > 0
  }

  /** How many elements each set of the form has; found as they are asked for, each set as of the last `take`. */
  setSizes(): Iterable<number> {
    return this.#sets.sizes()
  }

  /** Whether the labels of the pod and of its namespace are known, and so what applies to it. */
  hasLabelsOf(namespace: string, name: string, uid: string): boolean {
    return this.namespaces.has(namespace) && this.#pods.isKnown(namespace, name, uid)
  }

  setPod(pod: PolicyPod): void {
    this.#pods.setPod(pod)
  }

  /** "NAMESPACE/NAME" */
  removePod(key: string): void {
    this.#pods.removePod(key)
  }

  setLocal(local: LocalPod): void {
    this.#pods.setLocal(local)
  }

  removeLocal(hostDevice: string): void {
    this.#pods.removeLocal(hostDevice)
  }

  setNamespace(namespace: PolicyNamespace): void {
    const before = this.namespaces.get(namespace.name)
    if (before !== undefined && isSameNamespace(before, namespace)) return
    this.#selections.namespaceChanged(this.#groups.setNamespace(namespace))
  }

  removeNamespace(name: string): void {
    const state = this.#groups.removeNamespace(name)
    if (state !== undefined) this.#selections.namespaceChanged(state)
  }

  setPolicy(policy: Policy): void {
    this.#selections.setPolicy(policy)
  }

  removePolicy(key: string): void {
    this.#selections.removePolicy(key)
  }

  setNode(name: string, addrs: readonly Addr[]): void {
    this.#nodes.set(name, addrs)
  }

  removeNode(name: string): void {
    this.#nodes.delete(name)
  }

  take(): FormChange {
    const { changed, movedLocals } = this.#selections
    const classes = this.#classes.takeClasses(changed, movedLocals)
    const locals = this.#classes.takeLocals(movedLocals, this.#pods.locals)
    return {
      newFamilies: this.#pods.takeFamilies(),
      locals,
      classes,
      policies: this.#selections.take(),
      ...this.#sets.take(),
    }
  }
}
