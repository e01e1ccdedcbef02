// What the choice of the datapath means for an installation.
import { type ApiClient } from '#/cluster/client.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { someOf } from '#/lib/some-of.ts'
import { datapathStateAnnotation, datapathStateOf } from '#/model/datapath.ts'
import { type KubeNode, withAnnotationsOnly } from '#/model/kubernetes.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { passedOn } from '#/settings/passing.ts'
import { type InstallSettings } from './settings.ts'

/** Whether agents are installed with what the eBPF datapath needs. */
export function hasEbpf({ given }: Pick<InstallSettings, 'given'>): boolean {
  return passedOn(nodeSettings.datapath, given) === 'ebpf'
}

/** Throws where agents would lose the bpffs while programs of theirs are at work, which they could not take away then. */
export async function requireNoPrograms(client: ApiClient, settings: InstallSettings): Promise<void> {
  if (hasEbpf(settings)) return
  const keep = (node: KubeNode): KubeNode => withAnnotationsOnly(node, [datapathStateAnnotation])
  const { items } = await client.list<KubeNode>(nodesPath(), { keep })
  const nodes = items.filter((node) => datapathStateOf(node)?.name === 'ebpf').map(({ metadata }) => metadata.name)
  if (nodes.length === 0) return
  throw new Error(
    `pods of ${someOf(nodes)} have the eBPF datapath: use --datapath ebpf as before, or give them the bridge first, by spec.datapath of Routing "default" or the annotations of these nodes, and wait until the nodes have told that they have it (docs/install.md); the Node object of a machine that is gone can be deleted`,
  )
}
