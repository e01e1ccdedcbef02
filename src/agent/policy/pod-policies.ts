// What CNI calls need of network policy.
import { type Endpoint } from '../endpoints/endpoint-store.ts'

/** A pod as the runtime names it; `uid` is "" where it does not tell. */
export type AddedPod = { readonly namespace: string; readonly name: string; readonly uid: string }

/** What policies need to know of an endpoint. */
export type LocalEndpoint = Pick<Endpoint, 'hostDevice' | 'pod' | 'podUid' | 'addrs'>

/** What policies say of a pod cannot be enforced from its first packet on, now; the message says why. */
export class PolicyError extends Error {
  override name = 'PolicyError'
}

export type PodPolicies = {
  /**
   * Resolves when the pod can be wired, at once or after a wait: undefined, or why it cannot. `signal`: nobody waits for the answer any more.
   */
  admit(pod: AddedPod, signal: AbortSignal): Promise<string | undefined>
  /**
   * Writes the rules for a pod whose addresses are reserved; `pod` is undefined for one that Kubernetes does not know. Throws PolicyError and
   * KernelError: the endpoint must not be wired then.
   */
  enforce(endpoint: LocalEndpoint, pod: AddedPod | undefined): void
  /** Endpoints have come or gone. Does not throw. */
  noteEndpoints(): void
}
