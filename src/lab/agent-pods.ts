// The pods of agents, as a cluster has them by its DaemonSet: in the lab objects alone, whose processes `lab up` starts. By them the command
// line finds whom to ask through the API. The lab's kubelet makes them and tells how they are, as a kubelet does of static pods.
import { agentContainer, agentName, labelsOf } from '#/install/settings.ts'
import { fieldsOf, labelsOf as labelsOfObject, listOf, type Pod } from '#/model/kubernetes.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { type LabNode } from './spec.ts'

/** Where a cluster has them too. */
export const agentNamespace = nodeSettings.namespace.default

export function agentPodName(node: string): string {
  return `${agentName}-${node}`
}

export function isAgentPod(pod: Pod): boolean {
  const { namespace } = pod.metadata
  return namespace === agentNamespace && labelsOfObject(pod)['app.kubernetes.io/name'] === agentName
}

export function agentPod(node: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: agentPodName(node), namespace: agentNamespace, labels: labelsOf(agentName) },
    spec: {
      nodeName: node,
      hostNetwork: true,
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: agentContainer, image: 'causeway-lab/agent', args: ['agent'] }],
    },
  }
}

/** Whether the pod's status says that its agent answers; undefined: it says nothing yet. */
export function toldAnswering(pod: Pod): boolean | undefined {
  const [status] = listOf(fieldsOf(pod.status)['containerStatuses']).map(fieldsOf)
  return status === undefined ? undefined : fieldsOf(status['state'])['running'] !== undefined
}

/** The status of an agent's pod; `at` is the time as the API writes it. */
export function agentPodStatus(node: LabNode, isAnswering: boolean, at: string) {
  const condition = (type: string, isTrue: boolean) => ({
    type,
    status: isTrue ? 'True' : 'False',
    lastProbeTime: null,
    lastTransitionTime: at,
  })
  const state = isAnswering ? { running: { startedAt: at } } : { terminated: { exitCode: 137, reason: 'Error' } }
  return {
    phase: 'Running',
    hostIP: String(node.addrs[0]),
    podIP: String(node.addrs[0]),
    podIPs: node.addrs.map((addr) => ({ ip: String(addr) })),
    conditions: [
      condition('PodScheduled', true),
      condition('Initialized', true),
      condition('ContainersReady', isAnswering),
      condition('Ready', isAnswering),
    ],
    containerStatuses: [
      {
        name: agentContainer,
        image: 'causeway-lab/agent',
        imageID: '',
        ready: isAnswering,
        started: isAnswering,
        restartCount: 0,
        lastState: {},
        state,
      },
    ],
  }
}
