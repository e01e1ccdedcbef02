// Which nodes of a lab do not have the datapath that they are to have, by what their agents tell. Pure.
import { datapathOf, type DatapathState, datapathStateOf, plainBridge } from '#/model/datapath.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { clusterDatapath, type LabSpec } from './spec.ts'

/** The nodes whose pods have another datapath than they are to have. */
export function otherDatapaths(
  spec: LabSpec,
  nodes: readonly KubeNode[],
): { readonly name: string; readonly state: DatapathState }[] {
  return nodes.flatMap((node) => {
    const state = datapathStateOf(node) ?? plainBridge
    const wanted = datapathOf(node).datapath ?? clusterDatapath(spec)
    return state.name === wanted ? [] : [{ name: node.metadata.name, state }]
  })
}
