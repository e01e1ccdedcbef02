// What keeps policies in the kernel: nftables, and the maps of eBPF programs. All are given the same form and the same changes of it.
import { type Addr } from '#/lib/addr.ts'
import { type Form, type FormChange } from '#/policy/form.ts'
import { type ObjectStatus } from '../status.ts'

/** What rules depend on besides the form. */
export type PolicyFacts = {
  /** Whether the cluster has any policy at all. */
  readonly hasPolicies: boolean
  /** The addresses of each interface of a pod of this node, by its host device; also of pods that Kubernetes does not know. */
  readonly ports: ReadonlyMap<string, readonly Addr[]>
  /** The host devices whose entry in `ports` may be another one than at the last `apply`. */
  readonly changedPorts: ReadonlySet<string>
}

export type PolicySink = {
  /** Makes a change at once. Throws when it cannot, and then makes up for it with the next `apply` or `compare`. */
  apply(form: Form, change: FormChange, facts: PolicyFacts): void
  /**
   * The form has changed, and `apply` was not told of all: what is known of the kernel holds again after the next `compare` only. Throws
   * KernelError.
   */
  noteMissed(): void
  /**
   * Reads what the kernel has, puts right what differs, and returns that, a line each. Rejects with KernelError. An `apply` that comes
   * meanwhile counts.
   */
  compare(form: Form, facts: PolicyFacts): Promise<readonly string[]>
  /** Takes out what is about one pod, while the form is not known. Throws KernelError. */
  dropLocal(hostDevice: string, addrs: readonly Addr[]): void
  /** Whether the kernel has anything of an agent before this one. Throws KernelError. */
  existsInKernel(): boolean
  readonly objects: readonly ObjectStatus[]
  /** Of the netlink socket by which it changes the kernel. */
  readonly portId?: number
}
