// What policies need to know of a Pod, and the part of its object from which that is read.
import {
  annotationsOf,
  fieldsOf,
  isHostNetwork,
  isTerminal,
  labelsOf,
  nodeNameOf,
  type Pod,
  podAddressesOf,
} from '#/model/kubernetes.ts'
import { type NamedPort, type PolicyPod } from './cluster.ts'
import { isPortProtocol } from './policy.ts'

/** Set by a kubelet on the object of a static pod: the UID that the pod has on its node. */
const configHashAnnotation = 'kubernetes.io/config.hash'

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

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

/** A copy of the pod with only what `readPolicyPod` reads: some hundred bytes of the several thousand that an object has. */
export function keepOfPolicyPods(pod: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels } = pod.metadata
  const configUid = annotationsOf(pod)[configHashAnnotation]
  const { nodeName, hostNetwork } = fieldsOf(pod.spec)
  const { phase, podIP, podIPs } = fieldsOf(pod.status)
  const ports = namedPortsOf(pod).map((port) => ({
    name: port.name,
    containerPort: port.port,
    protocol: port.protocol,
  }))
  return {
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(labels !== undefined && { labels }),
      ...(configUid !== undefined && { annotations: { [configHashAnnotation]: configUid } }),
    },
    spec: {
      ...(nodeName !== undefined && { nodeName }),
      ...(hostNetwork === true && { hostNetwork }),
      ...(ports.length > 0 && { containers: [{ ports }] }),
    },
    status: {
      ...(phase !== undefined && { phase }),
      ...(podIPs === undefined ? podIP !== undefined && { podIP } : { podIPs }),
    },
  }
}
