// Tells flannel nodes where this node's tunnel ends, in the annotations that flannel's own nodes use for that.
import { nodeStatusPath } from '#/cluster/paths.ts'
import { flannelAnnotationsFor } from '#/model/flannel.ts'
import { annotationsOf, internalAddressesOf, type KubeNode } from '#/model/kubernetes.ts'
import { deviceMac, vxlanName } from '#/model/names.ts'
import { type NodePatch, NodePatcher, type NodePatcherDeps } from './node-patcher.ts'

/** Makes the patcher that keeps the annotations up to date. */
export function flannelPublisher(vni: number, deps: NodePatcherDeps): NodePatcher {
  const patchFor = (node: KubeNode): NodePatch | undefined => {
    const { name } = node.metadata
    const live = annotationsOf(node)
    const wanted = flannelAnnotationsFor({
      vni,
      mac: deviceMac(vxlanName, name),
      addrs: internalAddressesOf(node).addrs,
    })
    const different = Object.entries(wanted).filter(([key, value]) => live[key] !== value)
    if (different.length === 0) return undefined
    return {
      // flannel patches the status too; the agent needs the right to do so for the node's condition anyway
      path: nodeStatusPath(name),
      type: 'strategic',
      body: { metadata: { annotations: Object.fromEntries(different) } },
      afterMs: 0,
      fields: Object.fromEntries(different),
    }
  }
  return new NodePatcher("flannel's annotations", patchFor, deps)
}
