// What policies need to know of a Pod.
import {
  annotationsOf,
  fieldsOf,
  isHostNetwork,
  isTerminal,
  labelsOf,
  listOf,
  nodeNameOf,
  type ObjectMeta,
  type Pod,
  podAddressesOf,
} from '#/model/kubernetes.ts'
import { type NamedPort, type PolicyPod } from './cluster.ts'
import { isPortProtocol } from './policy.ts'

/** Set by a kubelet on the object of a static pod: the UID that the pod has on its node. */
const configHashAnnotation = 'kubernetes.io/config.hash'

/** Containers that run as long as the pod: init containers that are started for good (sidecars) are among them. */
function lastingContainersOf(pod: Pod): readonly Readonly<Record<string, unknown>>[] {
  const spec = fieldsOf(pod.spec)
  const sidecars = listOf(spec['initContainers'])
    .map(fieldsOf)
    .filter((each) => each['restartPolicy'] === 'Always')
  return [...listOf(spec['containers']).map(fieldsOf), ...sidecars]
}

function namedPortsOf(pod: Pod): NamedPort[] {
  return lastingContainersOf(pod).flatMap((container) =>
    listOf(container['ports'])
      .map(fieldsOf)
      .flatMap(({ name, containerPort, protocol = 'TCP' }) =>
        typeof name === 'string' && name !== '' && typeof containerPort === 'number' && isPortProtocol(protocol)
          ? [{ name, protocol, port: containerPort }]
          : [],
      ),
  )
}

/** Never throws. A pod that is being deleted still counts: it has its network until it has ended. */
export function readPolicyPod(pod: Pod): PolicyPod {
  const { namespace = '', name, uid = '' } = pod.metadata
  const configUid = annotationsOf(pod)[configHashAnnotation]
  return {
    namespace,
    name,
    uid,
    ...(configUid !== undefined && { configUid }),
    node: nodeNameOf(pod),
    labels: labelsOf(pod),
    addrs: podAddressesOf(pod).addrs,
    namedPorts: namedPortsOf(pod),
    isHostNetwork: isHostNetwork(pod),
    hasEnded: isTerminal(pod),
  }
}

/** What a reflector keeps of a pod: its identity, and what policies need to know. */
export class KeptPolicyPod {
  readonly metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid' | 'resourceVersion'>
  readonly policyPod: PolicyPod

  constructor(pod: Pod, policyPod: PolicyPod) {
    const { resourceVersion } = pod.metadata
    const { namespace, name, uid } = policyPod
    this.metadata = { namespace, name, uid, ...(resourceVersion !== undefined && { resourceVersion }) }
    this.policyPod = policyPod
  }
}

/** So many different values are shared at most; then sharing begins anew. */
const mostShared = 16_384

/**
 * Reduces pods to what is kept of them. Pods of one application have the same labels and ports, and there are few nodes and namespaces: equal
 * values are one object, which is most of what ten thousand pods would take.
 */
export class PolicyPodKeeper {
  readonly #shared = new Map<string, unknown>()

  /** As the `Keep` of a reflector: leaves alone what is reduced already. */
  readonly keep = (pod: Pod | KeptPolicyPod): KeptPolicyPod => {
    if (pod instanceof KeptPolicyPod) return pod
    const read = readPolicyPod(pod)
    return new KeptPolicyPod(pod, {
      ...read,
      namespace: this.#one(read.namespace),
      node: this.#one(read.node),
      labels: this.#one(read.labels),
      namedPorts: this.#one(read.namedPorts),
    })
  }

  #one<T>(value: T): T {
    const key = JSON.stringify(value)
    const known = this.#shared.get(key)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of values with this text, of which all have this type
    if (known !== undefined) return known as T
    if (this.#shared.size >= mostShared) this.#shared.clear()
    this.#shared.set(key, value)
    return value
  }
}
