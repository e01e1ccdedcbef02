// One term as leader: tells on each NetworkPolicy and ClusterNetworkPolicy what of it cannot be enforced as it is written. Agents see the same,
// but one mistake must not become as many Events as the cluster has nodes.
import { clusterNetworkPoliciesPath, networkPoliciesPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import type { Change } from '#/cluster/store.ts'
import { type KubeObject, referenceTo } from '#/model/kubernetes.ts'
import { oneOfEach, type Problem, problemText } from '#/model/problems.ts'
import { faultProblems } from '#/policy/fault-problems.ts'
import { type PolicyReading } from '#/policy/policy.ts'
import { clusterNetworkPolicyKey, readClusterNetworkPolicy } from '#/policy/read-cluster-network-policy.ts'
import { networkPolicyKey, readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { generationOf } from './status/object-status.ts'
import { type TermDeps } from './term-deps.ts'

type Kind = {
  readonly kind: string
  readonly apiVersion: string
  readonly path: string
  readonly read: (object: KubeObject) => PolicyReading
  readonly keyOf: (object: KubeObject) => string
}

const kinds: readonly Kind[] = [
  {
    kind: 'NetworkPolicy',
    apiVersion: 'networking.k8s.io/v1',
    path: networkPoliciesPath(),
    read: readNetworkPolicy,
    keyOf: networkPolicyKey,
  },
  {
    kind: 'ClusterNetworkPolicy',
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    path: clusterNetworkPoliciesPath(),
    read: readClusterNetworkPolicy,
    keyOf: clusterNetworkPolicyKey,
  },
]

const reason = 'NotEnforcedAsWritten'

export class PolicyTerm implements AsyncDisposable {
  readonly #deps: TermDeps
  readonly #reflectors: readonly Reflector<KubeObject>[]
  /** By the policies' keys; those without a fault have none. */
  readonly #problems = new Map<string, readonly Problem[]>()
  /** What was told: the UID and generation of each policy with a fault, by its key. */
  readonly #told = new Map<string, string>()

  constructor(deps: TermDeps) {
    const { client, log, clock, random } = deps
    this.#deps = deps
    this.#reflectors = kinds.map((kind) => {
      // undefined: ClusterNetworkPolicy is not installed in every cluster
      const reflector = new Reflector<KubeObject>(
        { path: kind.path, mayBeUndefined: true },
        { client, log, clock, random },
      )
      reflector.subscribe((change) => this.#onChange(kind, change))
      return reflector
    })
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start()
  }

  get problems(): readonly Problem[] {
    return [...this.#problems.values()].flat()
  }

  #onChange(kind: Kind, change: Change<KubeObject>): void {
    if (change.kind === 'synced') return
    const { object } = change
    const key = kind.keyOf(object)
    const problems = change.kind === 'deleted' ? [] : faultProblems(key, kind.read(object).faults)
    if (problems.length > 0) this.#problems.set(key, problems)
    else this.#problems.delete(key)
    if (change.kind === 'deleted') this.#told.delete(key)
    else if (problems.length > 0) this.#tell(kind, key, object, problems)
  }

  /** Once for each generation, as far as this leader knows: an Event is gone after an hour, and another leader tells anew. */
  #tell(kind: Kind, key: string, object: KubeObject, problems: readonly Problem[]): void {
    const version = `${object.metadata.uid} ${generationOf(object)}`
    if (this.#told.get(key) === version || !this.#deps.isLeader()) return
    this.#told.set(key, version)
    const [told] = oneOfEach(problems)
    const { code, object: about, message, how, remedy } = told!
    this.#deps.log.warn('policy problem', { reason, code, object: about, problem: message, how, remedy })
    this.#deps.recorder.record(referenceTo(kind.apiVersion, kind.kind, object), 'Warning', reason, problemText(told!))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector[Symbol.asyncDispose]()))
  }
}
