// What the status of other objects depends on in a Node object, and in the BGPNode of the same name. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type DatapathName, datapathOf, type DatapathState, datapathStateOf, plainBridge } from '#/model/datapath.ts'
import {
  conditionOf,
  fieldsOf,
  internalAddressesOf,
  type KubeNode,
  type KubeObject,
  labelsOf,
} from '#/model/kubernetes.ts'
import { hasHadAgent, lackOfAgent } from '#/model/node-life.ts'
import { plainVxlan, type Routing, routingOf, type RoutingState, routingStateOf } from '#/model/routing.ts'

export type StatusNode = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly addrs: readonly Addr[]
  /** Whether Causeway can run there at all. */
  readonly canHaveAgent: boolean
  /** Whether the kubelet has stopped telling of the node: then what its agent has told may long be over. */
  readonly isSilent: boolean
  /** The routing that an annotation gives to this node alone. */
  readonly ownRouting: Routing | undefined
  /** How the node sends and takes packets; undefined while no agent has told. */
  readonly routingState: RoutingState | undefined
  /** The datapath that an annotation gives to this node alone. */
  readonly ownDatapath: DatapathName | undefined
  /** The datapath of the node's pods; undefined while no agent has told. */
  readonly datapathState: DatapathState | undefined
}

const read = new WeakMap<KubeNode, StatusNode>()

/** Each object is read once: a changed node is a new object. */
export function statusNodeOf(node: KubeNode): StatusNode {
  const before = read.get(node)
  if (before !== undefined) return before
  const facts: StatusNode = {
    name: node.metadata.name,
    labels: labelsOf(node),
    addrs: internalAddressesOf(node).addrs,
    canHaveAgent: lackOfAgent(node) === undefined,
    isSilent: conditionOf(node, 'Ready').status === 'Unknown',
    ownRouting: routingOf(node).routing,
    // a node that uses nothing but VXLAN writes no annotation
    routingState: routingStateOf(node).state ?? (hasHadAgent(node) ? plainVxlan : undefined),
    ownDatapath: datapathOf(node).datapath,
    // nor does one with the bridge
    datapathState: datapathStateOf(node) ?? (hasHadAgent(node) ? plainBridge : undefined),
  }
  read.set(node, facts)
  return facts
}

/** A session with a BGPPeer, as the BGPNode of a node has it. */
export type PeerSession = { readonly peer: string; readonly state: string; readonly lastError?: string }

/** How much of an error a status shows: it may list several nodes. */
const maxErrorLength = 120

/** The sessions with BGPPeers; those between nodes are left out, of which there may be thousands. */
export function sessionsOf(bgpNode: KubeObject): readonly PeerSession[] {
  const sessions = fieldsOf(fieldsOf(bgpNode)['status'])['sessions']
  return (Array.isArray(sessions) ? sessions : []).map(fieldsOf).flatMap(({ peer, state, lastError }) => {
    if (typeof peer !== 'string' || typeof state !== 'string' || peer.startsWith('node/')) return []
    return [{ peer, state, ...(typeof lastError === 'string' && { lastError: shortened(lastError) }) }]
  })
}

function shortened(text: string): string {
  return text.length > maxErrorLength ? `${text.slice(0, maxErrorLength - 1)}…` : text
}

/** The part of a BGPNode that is kept: a cluster has as many of them as nodes. */
export function keepSessions(bgpNode: KubeObject): KubeObject {
  const { name, uid, resourceVersion } = bgpNode.metadata
  const metadata = {
    name,
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  }
  return { metadata, status: { sessions: sessionsOf(bgpNode) } } as KubeObject
}
