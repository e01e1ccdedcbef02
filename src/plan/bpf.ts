// The plan of the eBPF datapath: which pods and nodes its programs have to know, and where they are attached. Pure.
import { type BpfAttachment, type BpfNode, type BpfPod, type DesiredBpf } from '#/model/bpf.ts'
import { vxlanName } from '#/model/names.ts'
import { type NetworkSettings, type PortState } from '#/model/network.ts'
import { type Prefix } from '#/lib/addr.ts'
import { bpfNodeOf, bpfSelfOf } from './bpf-nodes.ts'
import { type RemoteNodes } from './remote-nodes.ts'

export type BpfInput = {
  readonly remoteNodes: RemoteNodes
  readonly served: readonly Prefix[]
  readonly ports: readonly PortState[]
  readonly podDevice: string
  readonly hasOverlay: boolean
  /** The devices by which packets come from other nodes. */
  readonly underlayDevices: () => readonly string[]
  readonly deviceMtuBytes: number
  readonly settings: NetworkSettings
}

function podOf({ name, pod, addrs, mac, datapath, ingress }: PortState): BpfPod {
  const isBridged = datapath === 'bridge'
  return { device: name, pod, addrs, mac, isBridged, isLimited: ingress !== undefined }
}

/** Programs for every pod, also for one that still has the bridge datapath: it gets the other one once they are attached. */
function attachmentsOf({ ports, hasOverlay, underlayDevices }: BpfInput): BpfAttachment[] {
  return [
    ...ports.flatMap(({ name: device }): BpfAttachment[] => [
      { device, hook: 'egress', program: 'cw_to_pod' },
      { device, hook: 'ingress', program: 'cw_from_pod' },
    ]),
    ...(hasOverlay ? [{ device: vxlanName, hook: 'ingress', program: 'cw_from_tunnel' } as const] : []),
    ...underlayDevices().map((device): BpfAttachment => ({
      device,
      hook: 'ingress',
      program: 'cw_from_underlay',
      isEthernetOnly: true,
    })),
  ]
}

function nodesOf({ remoteNodes, served, hasOverlay }: BpfInput): Pick<DesiredBpf, 'nodes' | 'ends'> {
  const others = [...remoteNodes.plans].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const all = [...others.map(([name, plan]) => bpfNodeOf(name, plan, hasOverlay)), bpfSelfOf(remoteNodes.self, served)]
  return { nodes: all.flatMap(({ nodes }) => nodes), ends: all.flatMap(({ ends }) => ends) }
}

export function planBpf(input: BpfInput): DesiredBpf {
  const { ports, podDevice, settings, deviceMtuBytes } = input
  // made for the driver that asks for it: a pass for a pod that comes or goes does not, and there may be thousands of nodes
  let ofNodes: Pick<DesiredBpf, 'nodes' | 'ends'> | undefined
  const made = (): Pick<DesiredBpf, 'nodes' | 'ends'> => (ofNodes ??= nodesOf(input))
  return {
    podDevice,
    tunnel: { device: vxlanName, vni: settings.vni, port: settings.vxlanPort },
    deviceMtuBytes,
    pods: ports.map(podOf),
    get nodes(): readonly BpfNode[] {
      return made().nodes
    },
    get ends() {
      return made().ends
    },
    get attachments() {
      return attachmentsOf(input)
    },
  }
}
