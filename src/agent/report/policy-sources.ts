// Where everything comes from that the agent tells of network policy.
import { type PolicyStateReport } from '#/api/schemas/policy.ts'
import { type Addr } from '#/lib/addr.ts'
import { type PolicyCounters } from '#/plan/policy/counters.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { type Form } from '#/policy/form.ts'
import { type PolicyReading } from '#/policy/policy.ts'
import { type PodInKernel } from '#/reconcile/policy/pod-in-kernel.ts'

export type PolicySources = {
  readonly nodeName: string
  /** The cluster as this agent knows it. */
  readonly view: PolicyView
  readonly form: () => Form
  /** All policies of the API by their keys, also those of which nothing can be enforced. */
  readonly readings: () => ReadonlyMap<string, PolicyReading>
  readonly state: () => PolicyStateReport
  /** Why rules do not tell of what they deny; undefined: they do. */
  readonly untold: () => string | undefined
  /** Reads the rules of the kernel. Rejects with KernelError. */
  readonly counters: () => Promise<PolicyCounters>
  /** Rejects with KernelError. */
  readonly podInKernel: (addrs: readonly Addr[]) => Promise<PodInKernel>
}
