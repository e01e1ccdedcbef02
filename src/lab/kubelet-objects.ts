// The API objects that the lab's kubelet writes: registered nodes and running pods. Pure, except that it reads the time of day.
import { fieldsOf, type Pod } from '#/model/kubernetes.ts'
import { type Sandbox } from './sandboxes.ts'
import { type LabNode } from './spec.ts'

const version = 'v1.34.0-causeway-lab'

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z')
}

/** The status of a node. `reason` says why the node is not ready: '' when it is ready, undefined while unknown. */
export function nodeStatus(node: LabNode, reason: string | undefined) {
  const ready = reason === undefined ? 'Unknown' : reason === '' ? 'True' : 'False'
  return {
    addresses: [
      ...node.addrs.map((addr) => ({ type: 'InternalIP', address: String(addr) })),
      { type: 'Hostname', address: node.name },
    ],
    conditions: [
      {
        type: 'Ready',
        status: ready,
        reason: ready === 'True' ? 'KubeletReady' : 'NetworkPluginNotReady',
        message: reason || 'the Causeway agent is ready',
        lastHeartbeatTime: now(),
        lastTransitionTime: now(),
      },
    ],
    nodeInfo: {
      kubeletVersion: version,
      kubeProxyVersion: '',
      osImage: 'network namespace',
      operatingSystem: 'linux',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      kernelVersion: '',
      containerRuntimeVersion: 'netns://1',
      machineID: '',
      systemUUID: '',
      bootID: '',
    },
  }
}

/** The label with a node's rack, by which BGPPeers select nodes. */
export const rackLabel = 'causeway.dev/rack'

export function nodeObject(node: LabNode) {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      labels: {
        'kubernetes.io/hostname': node.name,
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/zone': node.rack === undefined ? `subnet-${node.subnet}` : `rack-${node.rack}`,
        ...(node.rack !== undefined && { [rackLabel]: String(node.rack) }),
      },
    },
    status: nodeStatus(node, undefined),
  }
}

function containersOf(pod: Pod): { name: string; image: string }[] {
  const containers = fieldsOf(pod.spec)['containers']
  if (!Array.isArray(containers)) return []
  return containers.map((each) => {
    const { name, image } = fieldsOf(each)
    return { name: String(name), image: String(image) }
  })
}

export function runningStatus(pod: Pod, sandbox: Sandbox, node: LabNode) {
  const at = now()
  const condition = (type: string) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: at })
  return {
    phase: 'Running',
    hostIP: String(node.addrs[0]),
    hostIPs: node.addrs.map((addr) => ({ ip: String(addr) })),
    podIP: sandbox.addrs[0],
    podIPs: sandbox.addrs.map((ip) => ({ ip })),
    startTime: at,
    conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map(condition),
    containerStatuses: containersOf(pod).map(({ name, image }) => ({
      name,
      image,
      imageID: '',
      containerID: `netns://${sandbox.uid}`,
      ready: true,
      started: true,
      restartCount: 0,
      lastState: {},
      state: { running: { startedAt: at } },
    })),
  }
}

/** What the scheduler says on a pod for which there is no node, to be merged into its status. */
export function unschedulableStatus(message: string) {
  const scheduled = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }
  return { conditions: [{ ...scheduled, lastProbeTime: null, lastTransitionTime: now() }] }
}

/** A pod that the lab makes: it answers on TCP port 8080 with its name and the client's address as it sees it. */
export function demoPod(name: string, nodeName: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'web' } },
    spec: {
      nodeName,
      containers: [{ name: 'echo', image: 'causeway-lab/echo', ports: [{ containerPort: 8080 }] }],
    },
  }
}
