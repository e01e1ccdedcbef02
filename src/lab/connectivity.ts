// The pod-to-pod connectivity of a lab, probed with real packets.
import { isHostNetwork, type Pod, nodeNameOf, podAddressesOf } from '#/model/kubernetes.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { netnsPath } from '#/sys/netns.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import { deniedBy } from './policies.ts'
import { probeMatrix } from './probe/matrix.ts'
import { type ProbePod, type ProbeResult } from './probe/types.ts'
import { podNetns, podTitle } from './spec.ts'

const probeTimeoutMs = 3000
const tcpPort = 8080

/** The pods that have a network of their own, with all that a probe needs to know of them. */
export function probePods(lab: string, pods: readonly Pod[]): ProbePod[] {
  return pods
    .filter((pod) => !isHostNetwork(pod))
    .map((pod) => ({
      name: podTitle(pod.metadata),
      node: nodeNameOf(pod),
      netnsPath: netnsPath(podNetns(lab, pod.metadata.namespace ?? 'default', pod.metadata.name)),
      addrs: podAddressesOf(pod).addrs,
    }))
    .filter(({ addrs }) => addrs.length > 0)
    .toSorted((a, b) => byNumberedName(a.name, b.name))
}

/** Probes every pair of pods; what the policies of the view forbid must not arrive. */
export async function probeLab(pods: readonly ProbePod[], view: PolicyView): Promise<ProbeResult[]> {
  return probeMatrix(pods, {
    timeoutMs: probeTimeoutMs,
    tcpPort,
    ...(view.policies.size > 0 && { deniedBy: (pair, protocol) => deniedBy(view, pair, protocol, tcpPort) }),
  })
}
