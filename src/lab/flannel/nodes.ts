// Gives a lab's nodes flannel's kernel state, and their Node objects what flannel writes on them.
import { type ApiClient } from '#/cluster/client.ts'
import { nodeStatusPath } from '#/cluster/paths.ts'
import { type KubeNode, podCIDRsOf } from '#/model/kubernetes.ts'
import { labNodes, type LabSpec, nodeNetns } from '../spec.ts'
import {
  flannelAnnotationsOf,
  type FlannelBackend,
  type FlannelHost,
  type FlannelPlan,
  nodeCommands,
} from './commands.ts'
import { runAll } from './run.ts'

/** Undefined: the lab's nodes have Causeway. */
export function flannelPlanOf({ network, clusterCIDRs, underlayMtuBytes }: LabSpec): FlannelPlan | undefined {
  if (network === undefined) return undefined
  const backend: FlannelBackend = network === 'flannel-vxlan' ? 'vxlan' : 'host-gw'
  return { backend, clusterCIDRs, underlayMtuBytes }
}

/** Makes sure of it on all nodes, each of which has its pod CIDRs. */
export async function ensureFlannel(
  spec: LabSpec,
  plan: FlannelPlan,
  { client, nodes }: { readonly client: ApiClient; readonly nodes: readonly KubeNode[] },
): Promise<void> {
  const objects = new Map(nodes.map((node) => [node.metadata.name, node]))
  const hosts = labNodes(spec).map(({ name, addrs }): FlannelHost => {
    const node = objects.get(name)
    return { name, addrs, podCIDRs: node === undefined ? [] : podCIDRsOf(node).prefixes }
  })
  for (const host of hosts) {
    const others = hosts.filter(({ name }) => name !== host.name)
    runAll(nodeNetns(spec.name, host.name), nodeCommands(host, others, plan))
    const annotations = flannelAnnotationsOf(host, plan.backend)
    // flannel writes them through the status as well
    await client.patch(nodeStatusPath(host.name), { metadata: { annotations } }, 'strategic')
  }
}
