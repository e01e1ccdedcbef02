// What a fault needs to know of a running lab: its nodes and pods, as the API tells of them.
import { type ApiClient } from '#/cluster/client.ts'
import { nodesPath, podsPath } from '#/cluster/paths.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import {
  isHostNetwork,
  type KubeNode,
  labelsOf,
  nodeNameOf,
  type Pod,
  podAddressesOf,
  podCIDRsOf,
} from '#/model/kubernetes.ts'
import { LabError, labNodes, type LabSpec, nodeNetns, podNetns, podTitle } from '../spec.ts'
import { type FaultNode, type FaultPod } from './fault.ts'

export type Facts = { readonly nodes: readonly FaultNode[]; readonly pods: readonly FaultPod[] }

export async function readFacts(spec: LabSpec, client: ApiClient): Promise<Facts> {
  const { items: nodes } = await client.list<KubeNode>(nodesPath())
  const { items: pods } = await client.list<Pod>(podsPath())
  const cidrs = new Map(nodes.map((node) => [node.metadata.name, podCIDRsOf(node).prefixes]))
  return {
    nodes: labNodes(spec).map((node) => ({
      ...node,
      netns: nodeNetns(spec.name, node.name),
      podCIDRs: cidrs.get(node.name) ?? [],
    })),
    pods: pods
      .filter((pod) => !isHostNetwork(pod) && podAddressesOf(pod).addrs.length > 0)
      .map((pod) => {
        const { namespace = 'default', name } = pod.metadata
        return {
          namespace,
          name,
          title: podTitle(pod.metadata),
          node: nodeNameOf(pod),
          netns: podNetns(spec.name, namespace, name),
          addrs: podAddressesOf(pod).addrs,
          labels: labelsOf(pod),
        }
      })
      .toSorted((a, b) => byNumberedName(a.title, b.title)),
  }
}

/** What the options choose: --node, --pod (NAME or NAMESPACE/NAME). */
export type Choice = { readonly node?: string | undefined; readonly pod?: string | undefined }

export type Target = { readonly node: FaultNode; readonly pod: FaultPod | undefined }

/** The node and the pod to strike: what is chosen, else the first. Throws LabError for what there is not. */
export function targetOf({ nodes, pods }: Facts, choice: Choice): Target {
  const chosen =
    choice.pod === undefined
      ? undefined
      : pods.find(({ title, namespace, name }) => {
          return title === choice.pod || `${namespace}/${name}` === choice.pod
        })
  if (choice.pod !== undefined && chosen === undefined)
    throw new LabError(`--pod ${choice.pod}: the lab's pods are ${pods.map(({ title }) => title).join(', ')}`)
  const nodeName = choice.node ?? chosen?.node ?? nodes[0]!.name
  const node = nodes.find(({ name }) => name === nodeName)
  if (node === undefined)
    throw new LabError(`--node ${nodeName}: the lab's nodes are ${nodes.map(({ name }) => name).join(', ')}`)
  if (chosen !== undefined && chosen.node !== node.name)
    throw new LabError(`--pod ${choice.pod} is on ${chosen.node}, not on ${node.name}: leave out one of the two`)
  return { node, pod: chosen ?? pods.find((pod) => pod.node === node.name) }
}
