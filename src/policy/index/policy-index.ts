// The cluster as policies see it, and the form that this node's rules are compiled from, kept up to date change by change.
import { type Addr } from '#/lib/addr.ts'
import { type PolicyNamespace, type PolicyPod, type PolicyView, type SelectingPolicies } from '../cluster.ts'
import { type Form, type FormChange } from '../form.ts'
import { type Policy } from '../policy.ts'

/** A pod's interface on this node. Its addresses count, not those in the pod's status, which comes later. */
export type LocalPod = {
  readonly hostDevice: string
  readonly namespace: string
  readonly name: string
  /** As the runtime says it; "" when it does not: then the name alone counts. */
  readonly uid: string
  readonly addrs: readonly Addr[]
}

/**
 * Changes are noted at once, and cost what they touch. `form` is as of the last `take`, and `take` says what is different now: so whoever
 * applies each change to what he has made of the form before is always level with `form`.
 */
export class PolicyIndex implements PolicyView {
  get pods(): ReadonlyMap<string, PolicyPod> {
    throw new Error('to come')
  }
  get namespaces(): ReadonlyMap<string, PolicyNamespace> {
    throw new Error('to come')
  }
  get policies(): ReadonlyMap<string, Policy> {
    throw new Error('to come')
  }
  get nodes(): ReadonlyMap<string, readonly Addr[]> {
    throw new Error('to come')
  }
  podAt(_addr: Addr): PolicyPod | undefined {
    throw new Error('to come')
  }
  policiesOf(_pod: PolicyPod): SelectingPolicies {
    throw new Error('to come')
  }
  get hasPolicies(): boolean {
    throw new Error('to come')
  }
  /** Whether the labels of the pod and of its namespace are known: then its class is that which policies give it. */
  hasLabelsOf(_namespace: string, _name: string, _uid: string): boolean {
    throw new Error('to come')
  }
  setPod(_pod: PolicyPod): void {
    throw new Error('to come')
  }
  /** "NAMESPACE/NAME" */
  removePod(_key: string): void {
    throw new Error('to come')
  }
  setNamespace(_namespace: PolicyNamespace): void {
    throw new Error('to come')
  }
  removeNamespace(_name: string): void {
    throw new Error('to come')
  }
  setPolicy(_policy: Policy): void {
    throw new Error('to come')
  }
  removePolicy(_key: string): void {
    throw new Error('to come')
  }
  setNode(_name: string, _addrs: readonly Addr[]): void {
    throw new Error('to come')
  }
  removeNode(_name: string): void {
    throw new Error('to come')
  }
  setLocal(_local: LocalPod): void {
    throw new Error('to come')
  }
  removeLocal(_hostDevice: string): void {
    throw new Error('to come')
  }
  get form(): Form {
    throw new Error('to come')
  }
  take(): FormChange {
    throw new Error('to come')
  }
}
