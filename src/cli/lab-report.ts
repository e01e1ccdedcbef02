// What `lab up` and `lab status` show of a lab: nodes, pods, and whether every pod reaches every other that policies
// let it reach.
import { table } from '#/lib/table.ts'
import { probeLab, probePods } from '#/lab/connectivity.ts'
import { renderMatrix } from '#/lab/probe/render.ts'
import { isAsItShouldBe } from '#/lab/probe/types.ts'
import { podTitle } from '#/lab/spec.ts'
import { type LabState } from '#/lab/up.ts'
import { datapathStateOf, plainBridge } from '#/model/datapath.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import {
  conditionOf,
  internalAddressesOf,
  type KubeNode,
  nodeNameOf,
  type Pod,
  podAddressesOf,
  podCIDRsOf,
  podPhaseOf,
} from '#/model/kubernetes.ts'
import { print, printJson, tableWidth } from './output.ts'

function datapathName(node: KubeNode): string {
  return (datapathStateOf(node) ?? plainBridge).name
}

function renderNodes(nodes: readonly KubeNode[]): string {
  const rows = nodes.map((node) => [
    node.metadata.name,
    conditionOf(node, 'Ready').status === 'True' ? 'ready' : conditionOf(node, 'Ready').message,
    internalAddressesOf(node).addrs.join(' '),
    podCIDRsOf(node).prefixes.join(' '),
    datapathName(node),
  ])
  return table(['NODE', 'STATE', 'ADDRESSES', 'POD CIDRS', 'DATAPATH'], byName(rows), { width: tableWidth() })
}

function renderPods(pods: readonly Pod[]): string {
  const rows = pods.map((pod) => [
    podTitle(pod.metadata),
    nodeNameOf(pod),
    podPhaseOf(pod).toLowerCase(),
    podAddressesOf(pod).addrs.join(' '),
  ])
  return table(['POD', 'NODE', 'STATE', 'ADDRESSES'], byName(rows), { width: tableWidth() })
}

function byName(rows: string[][]): string[][] {
  return rows.toSorted((a, b) => byNumberedName(a[0]!, b[0]!))
}

/** Probes all pairs and shows the outcome; true when every probe arrived that policies allow, and no other. */
export async function showConnectivity(
  lab: string,
  { nodes, pods, policies }: LabState,
  json: boolean,
): Promise<boolean> {
  const probed = probePods(lab, pods)
  const results = await probeLab(probed, policies)
  if (json) {
    printJson({
      nodes: nodes.map((node) => ({
        name: node.metadata.name,
        podCIDRs: podCIDRsOf(node).prefixes,
        datapath: datapathName(node),
      })),
      pods: probed.map(({ name, node, addrs }) => ({ name, node, addrs })),
      probes: results,
    })
  } else {
    print(`\n${renderNodes(nodes)}\n\n${renderPods(pods)}\n`)
    if (probed.length > 1) print(renderMatrix(probed, results, { width: tableWidth() }))
  }
  return results.every(isAsItShouldBe)
}
