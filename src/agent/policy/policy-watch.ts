// Watches what policies are made of: pods and namespaces of the whole cluster, and the policies themselves. Each object is read and goes to the
// index at once; of itself only its identity is kept.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock } from '#/cluster/clock.ts'
import { clusterNetworkPoliciesPath, namespacesPath, networkPoliciesPath, podsPath } from '#/cluster/paths.ts'
import { Reflector, type ReflectorOptions, type ReflectorStatus } from '#/cluster/reflector.ts'
import { keepOfRead, type Received } from '#/cluster/received.ts'
import { type Change } from '#/cluster/store.ts'
import { type Logger } from '#/lib/log.ts'
import { keyOf, type KubeObject } from '#/model/kubernetes.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type PolicyIndex } from '#/policy/index/policy-index.ts'
import { type PolicyReading } from '#/policy/policy.ts'
import { clusterNetworkPolicyKey, readClusterNetworkPolicy } from '#/policy/read-cluster-network-policy.ts'
import { readPolicyNamespace } from '#/policy/read-namespace.ts'
import { networkPolicyKey, readNetworkPolicy } from '#/policy/read-network-policy.ts'
import { PolicyPodReader } from '#/policy/read-pod.ts'

/** Pods of real clusters have about 10 KiB each: parsing a page of 100 blocks the event loop only for milliseconds; so does reading 100 policies. */
const pageSize = 100

export type PolicyWatchDeps = {
  readonly client: ApiClient
  readonly index: PolicyIndex
  /** The index has changed, or a list is known for the first time; `ofPolicy`: of what rules are made of. */
  readonly onChange: (ofPolicy: boolean) => void
  readonly log: Logger
  readonly clock?: Clock
  readonly random?: () => number
}

/** A list that was never seen whole, and why not, where that is known. */
export type MissingList = { readonly name: string; readonly why?: string }

/** Answers that more rights, or another API, would change. */
const refusals: readonly (number | undefined)[] = [401, 403, 404]

type Watched = {
  readonly name: string
  /** The resource's group and name as roles have them. */
  readonly resource: string
  readonly reflector: Pick<Reflector<KubeObject>, 'start' | 'inSync' | 'status' | 'lastErrorCode'> & AsyncDisposable
  readonly mayBeUndefined: boolean
}

type Taker<V> = {
  readonly read: (object: KubeObject) => V
  readonly set: (value: V, object: KubeObject) => void
  readonly remove: (object: KubeObject) => void
  readonly ofPolicy?: boolean
}

type Reader = { readonly keyOf: (object: KubeObject) => string; readonly read: (object: KubeObject) => PolicyReading }

export class PolicyWatch implements AsyncDisposable {
  readonly #deps: PolicyWatchDeps
  readonly #watched: readonly Watched[]
  readonly #readings = new Map<string, PolicyReading>()

  constructor(deps: PolicyWatchDeps) {
    this.#deps = deps
    const { index } = deps
    this.#watched = [
      this.#watch(
        'pods',
        'pods',
        { path: podsPath(), pageSize },
        {
          read: new PolicyPodReader().read,
          set: (pod) => index.setPod(pod),
          remove: (pod) => index.removePod(keyOf(pod)),
        },
      ),
      this.#watch(
        'namespaces',
        'namespaces',
        { path: namespacesPath() },
        {
          read: readPolicyNamespace,
          set: (namespace) => index.setNamespace(namespace),
          remove: (object) => index.removeNamespace(object.metadata.name),
        },
      ),
      this.#watchPolicies('networkpolicies', 'networking.k8s.io', networkPoliciesPath(), {
        keyOf: networkPolicyKey,
        read: readNetworkPolicy,
      }),
      this.#watchPolicies(
        'clusternetworkpolicies',
        'policy.networking.k8s.io',
        clusterNetworkPoliciesPath(),
        { keyOf: clusterNetworkPolicyKey, read: readClusterNetworkPolicy },
        true,
      ),
    ]
  }

  #watchPolicies(name: string, group: string, path: string, reader: Reader, mayBeUndefined = false): Watched {
    return this.#watch(
      name,
      `${name}.${group}`,
      { path, mayBeUndefined, pageSize },
      {
        ofPolicy: true,
        read: reader.read,
        set: (reading, object) => this.#setPolicy(reader.keyOf(object), reading),
        remove: (object) => {
          this.#readings.delete(reader.keyOf(object))
          this.#deps.index.removePolicy(reader.keyOf(object))
        },
      },
    )
  }

  #setPolicy(key: string, reading: PolicyReading): void {
    this.#readings.set(key, reading)
    if (reading.policy === undefined) this.#deps.index.removePolicy(key)
    else this.#deps.index.setPolicy(reading.policy)
  }

  #watch<V>(
    name: string,
    resource: string,
    options: ReflectorOptions,
    { read, set, remove, ofPolicy = false }: Taker<V>,
  ): Watched {
    const { client, log, clock, random, onChange } = this.#deps
    const reflector = new Reflector<Received<V>>(options, {
      client,
      log: log.with({ watch: name }),
      keep: keepOfRead(read),
      ...(clock && { clock }),
      ...(random && { random }),
    })
    const take = (object: Received<V>): void => {
      const value = object.take()
      if (value !== undefined) set(value, object)
    }
    reflector.subscribe((change: Change<Received<V>>) => {
      if (change.kind === 'deleted') remove(change.object)
      else if (change.kind !== 'synced') take(change.object)
      onChange(ofPolicy)
    })
    return { name, resource, reflector, mayBeUndefined: options.mayBeUndefined === true }
  }

  start(): void {
    for (const { reflector } of this.#watched) reflector.start()
  }

  /** Whether all lists have been seen whole once; stays true from then on. */
  get inSync(): boolean {
    return this.#watched.every(({ reflector }) => reflector.inSync)
  }

  /** The lists that were never seen whole. */
  get missing(): readonly MissingList[] {
    return this.#watched
      .filter(({ reflector }) => !reflector.inSync)
      .map(({ name, reflector: { status } }) => ({
        name,
        ...(status.lastError !== undefined && { why: status.lastError }),
      }))
  }

  /** Whether the API is known not to answer: then it may take long until `inSync`. */
  get isApiAway(): boolean {
    return this.#deps.client.outage.isOn
  }

  /** What was read of each policy, by its key; also of those of which nothing can be enforced. */
  get readings(): ReadonlyMap<string, PolicyReading> {
    return this.#readings
  }

  get statuses(): readonly ReflectorStatus[] {
    return this.#watched.map(({ reflector }) => reflector.status)
  }

  /** The lists that the API refuses. */
  get problems(): readonly Problem[] {
    return this.#watched.flatMap(({ resource, mayBeUndefined, reflector: { status, lastErrorCode, inSync } }) => {
      const { lastError = '', phase } = status
      if (phase === 'watching' || !refusals.includes(lastErrorCode) || (lastErrorCode === 404 && mayBeUndefined))
        return []
      const effect = inSync ? 'what it said before holds' : 'no policy can be enforced'
      return [problem('CW3302', `resource/${resource}`, `${lastError}; ${effect}`)]
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#watched.map(({ reflector }) => reflector[Symbol.asyncDispose]()))
  }
}
