// What policies need to know of a Pod.
import {
  annotationsOf,
  fieldsOf,
  isHostNetwork,
  isTerminal,
  labelsOf,
  listOf,
  nodeNameOf,
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

/** So many different values are shared at most; then sharing begins anew. */
const mostShared = 4096

/**
 * Reads pods, of which there may be ten thousand: what many of them have is one object. Labels are not among that, since the index has pods
 * with the same labels share them.
 */
export class PolicyPodReader {
  readonly #shared = new Map<string, unknown>()

  /** As `readPolicyPod`. */
  readonly read = (pod: Pod): PolicyPod => {
    const read = readPolicyPod(pod)
    return {
      ...read,
      namespace: this.#one(read.namespace),
      node: this.#one(read.node),
      namedPorts: this.#one(read.namedPorts),
    }
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
