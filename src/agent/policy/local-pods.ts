// The pods of this node as policies know them: their endpoints, told to the index, and the addresses of each host device.
import { type Addr } from '#/lib/addr.ts'
import { type PolicyIndex } from '#/policy/index/policy-index.ts'
import { type LocalEndpoint } from './pod-policies.ts'

/** Namespace and name of the endpoint's pod; undefined when its runtime is not of Kubernetes. */
function kubernetesPodOf({ pod }: Pick<LocalEndpoint, 'pod'>): { namespace: string; name: string } | undefined {
  const [namespace, name, ...more] = pod.split('/')
  return namespace && name && more.length === 0 ? { namespace, name } : undefined
}

export class LocalPods {
  readonly #index: Pick<PolicyIndex, 'setLocal' | 'removeLocal'>
  readonly #ports = new Map<string, readonly Addr[]>()
  readonly #known = new Map<string, LocalEndpoint>()

  constructor(index: Pick<PolicyIndex, 'setLocal' | 'removeLocal'>) {
    this.#index = index
  }

  /** The addresses of each host device. A live view. */
  get ports(): ReadonlyMap<string, readonly Addr[]> {
    return this.#ports
  }

  *addrs(): Iterable<Addr> {
    for (const addrs of this.#ports.values()) yield* addrs
  }

  set(endpoint: LocalEndpoint): void {
    const { hostDevice, podUid: uid } = endpoint
    const addrs = endpoint.addrs.map(({ addr }) => addr)
    const pod = kubernetesPodOf(endpoint)
    this.#ports.set(hostDevice, addrs)
    this.#known.set(hostDevice, endpoint)
    if (pod) this.#index.setLocal({ hostDevice, ...pod, uid, addrs })
  }

  remove(hostDevice: string): void {
    this.#ports.delete(hostDevice)
    this.#known.delete(hostDevice)
    this.#index.removeLocal(hostDevice)
  }

  /** The host devices that are gone, or whose endpoint is another one, among all endpoints of now. */
  differences(endpoints: readonly LocalEndpoint[]): {
    readonly gone: readonly string[]
    readonly other: readonly LocalEndpoint[]
  } {
    const now = new Set(endpoints.map(({ hostDevice }) => hostDevice))
    return {
      gone: [...this.#known.keys()].filter((device) => !now.has(device)),
      other: endpoints.filter((endpoint) => !isSame(endpoint, this.#known.get(endpoint.hostDevice))),
    }
  }
}

function isSame(one: LocalEndpoint, other: LocalEndpoint | undefined): boolean {
  if (one.pod !== other?.pod || one.podUid !== other.podUid) return false
  // mostly the list itself is the same: each pod that comes or goes has all of them compared
  return one.addrs === other.addrs || textOf(one) === textOf(other)
}

function textOf({ addrs }: LocalEndpoint): string {
  return addrs.map(({ addr }) => String(addr)).join(' ')
}
