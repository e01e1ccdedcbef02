// The objects of the group causeway.dev that configure a lab's agents for routing and BGP: docs/routing.md, docs/bgp-objects.md. Every `lab
// up` applies them again; fields that others have added stay.
import { type ApiClient } from '#/cluster/client.ts'
import { bgpConfigurationsPath, bgpPeersPath, nodePath, routingsPath } from '#/cluster/paths.ts'
import { datapathAnnotation } from '#/model/datapath.ts'
import { singletonName } from '#/model/bgp-objects.ts'
import { rackLabel } from './kubelet-objects.ts'
import { clusterAsn, nodeAsn, routersOf } from './routers/fabric.ts'
import { clusterDatapath, type LabSpec, meshOf, nodeDatapaths } from './spec.ts'

const apiVersion = 'causeway.dev/v1alpha1'
const fieldManager = 'causeway-lab'

export type ClusterObject = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: Readonly<Record<string, unknown>>
}

function object(kind: string, name: string, spec: ClusterObject['spec']): ClusterObject {
  return { apiVersion, kind, metadata: { name }, spec }
}

function ofRack(rack: number) {
  return { matchLabels: { [rackLabel]: String(rack) } }
}

const nodeMeshes = { full: 'Full', none: 'None', auto: 'Auto' } as const

function configurationOf(spec: LabSpec): ClusterObject {
  const racks = spec.racks?.nodeAsns === 'rack' ? spec.racks : undefined
  const localASNs = Array.from({ length: racks?.count ?? 0 }, (_, index) => ({
    nodeSelector: ofRack(index + 1),
    asn: nodeAsn(racks!, index + 1),
  }))
  return object('BGPConfiguration', singletonName, { asn: clusterAsn, nodeMesh: nodeMeshes[meshOf(spec)], localASNs })
}

/** BGPPeers that make the routers of each rack neighbours of its nodes. One session carries the families that the nodes have. */
function peersOf(spec: LabSpec): ClusterObject[] {
  return routersOf(spec).flatMap(({ name, asn, rack, bfd }) => {
    if (rack === undefined) return []
    const peer = {
      nodeSelector: ofRack(rack.number),
      peerAddress: String(rack.routerAddr),
      peerASN: asn,
      ...(bfd && { bfd: { enabled: true } }),
    }
    return [object('BGPPeer', name, peer)]
  })
}

/** The Routing object: how packets cross between nodes, and the datapath of nodes without one of their own. */
export function routingObject(spec: LabSpec): ClusterObject {
  return object('Routing', singletonName, { mode: spec.routing, datapath: clusterDatapath(spec) })
}

/** The annotations that the lab gives to Node objects, by the names of the nodes: of those whose datapath is not that of the others. */
export function nodeAnnotations(spec: LabSpec): Map<string, Record<string, string>> {
  const annotations = Array.from(
    nodeDatapaths(spec),
    ([name, datapath]) => [name, datapath === clusterDatapath(spec) ? {} : { [datapathAnnotation]: datapath }] as const,
  )
  return new Map(annotations)
}

/** The objects that configure BGP: which speakers tell each other of pods. */
export function bgpObjects(spec: LabSpec): ClusterObject[] {
  return [configurationOf(spec), ...peersOf(spec)]
}

const paths: Readonly<Record<string, () => string>> = {
  Routing: routingsPath,
  BGPConfiguration: bgpConfigurationsPath,
  BGPPeer: bgpPeersPath,
}

/** Applies the objects; the API must serve their kinds already. */
export async function applyObjects(client: ApiClient, objects: readonly ClusterObject[]): Promise<void> {
  for (const each of objects) {
    const path = `${paths[each.kind]!()}/${each.metadata.name}`
    await client.patch(path, each, 'apply', { fieldManager, force: 'true' })
  }
}

async function annotateNodes(client: ApiClient, spec: LabSpec): Promise<void> {
  for (const [name, annotations] of nodeAnnotations(spec)) {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } }
    await client.patch(nodePath(name), node, 'apply', { fieldManager, force: 'true' })
  }
}

/**
 * Applies the routing and the datapaths of registered nodes. Annotations come before the object where they keep nodes from what it says, and
 * go after it, so that no node changes its datapath and back again.
 */
export async function applyRouting(client: ApiClient, spec: LabSpec): Promise<void> {
  const isMixed = spec.datapath === 'mixed'
  if (isMixed) await annotateNodes(client, spec)
  await applyObjects(client, [routingObject(spec)])
  if (!isMixed) await annotateNodes(client, spec)
}
