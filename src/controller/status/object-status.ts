// The status of objects as their definitions have it: what is told of each by its spec alone, and of a BGPPeer by all nodes together; that
// of a Routing is in routing-status.ts. Pure.
import { type BgpPeer } from '#/model/bgp-objects.ts'
import { type Condition, fieldsOf, type KubeObject } from '#/model/kubernetes.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { dated, type DatedCondition, fewOf } from '#/model/status-conditions.ts'
import { endOf } from '#/plan/bgp-peers.ts'
import { isForNode } from '#/plan/bgp-selection.ts'
import { type PeerSession, type StatusNode } from './status-node.ts'

export type ObjectStatus = {
  readonly observedGeneration?: number
  /** How many nodes the object is for, and on how many it is as it says. */
  readonly nodes?:
    | { readonly selected: number; readonly established: number }
    | {
        readonly all: number
        readonly applied: number
        readonly datapathAll: number
        readonly datapathApplied: number
      }
  readonly conditions: readonly DatedCondition[]
}

/** What is told of an object, before it has times. */
export type Told = Pick<ObjectStatus, 'nodes'> & { readonly conditions: readonly Condition[] }

/** A condition that says whether something is so. */
export function conditionOf(type: string, isSo: boolean, reason: string, message: string): Condition {
  return { type, status: isSo ? 'True' : 'False', reason, message }
}

/** Reasons of an object that is not used at all, by the code of the problem, the gravest first. */
const refusals: readonly (readonly [code: ProblemCode, reason: string])[] = [
  ['CW4001', 'NotLookedAt'],
  ['CW4005', 'NoNeighbour'],
  ['CW4004', 'KeptDown'],
  ['CW4101', 'SameNeighbour'],
]

/** Whether an object is used as it is written. */
export function acceptance(problems: readonly Problem[]): Condition {
  if (problems.length === 0) return conditionOf('Accepted', true, 'Accepted', 'it is used as it is written')
  const codes = new Set(problems.map(({ code }) => code))
  const texts = problems.map(({ code, message }) => `${message} (${code})`)
  const reason = refusals.find(([code]) => codes.has(code))?.[1] ?? 'FieldsNotUsable'
  return conditionOf('Accepted', false, reason, fewOf(texts))
}

/** The status that an object is to have. */
export function statusOf(object: KubeObject, { nodes, conditions }: Told, nowMs: number): ObjectStatus {
  const generation = generationOf(object)
  return {
    ...(generation !== undefined && { observedGeneration: generation }),
    ...(nodes && { nodes }),
    conditions: dated(conditions, object, { nowMs, generation }),
  }
}

export function generationOf(object: KubeObject): number | undefined {
  const { generation } = fieldsOf(object.metadata)
  return typeof generation === 'number' ? generation : undefined
}

export type PeerContext = {
  readonly nodes: Iterable<StatusNode>
  /** All BGPPeers that can be used. */
  readonly peers: readonly BgpPeer[]
  /** The session of a node with a BGPPeer, as its agent tells. */
  readonly session: (node: string, peer: string) => PeerSession | undefined
}

/** Another BGPPeer for the node with the same neighbour, which the node takes in place of this one. */
function rivalOf(peer: BgpPeer, node: StatusNode, peers: readonly BgpPeer[]): BgpPeer | undefined {
  const end = endOf(peer)
  return peers.find((other) => other.name < peer.name && endOf(other) === end && isForNode(other, node))
}

/** That another BGPPeer has the neighbour on some node; none where it has it on no node. */
export function rivalProblems(peer: BgpPeer, { nodes, peers }: Pick<PeerContext, 'nodes' | 'peers'>): Problem[] {
  for (const node of nodes) {
    const rival = node.canHaveAgent && isForNode(peer, node) ? rivalOf(peer, node, peers) : undefined
    if (rival) {
      const message = `BGPPeer ${rival.name}, whose name sorts first, is with the same neighbour on ${node.name}`
      return [problem('CW4101', `bgppeer/${peer.name}`, message)]
    }
  }
  return []
}

const notTold = 'its agent has told of no session'

/** Why a session is not known to be established; undefined when it is. */
function whyDown(peer: BgpPeer, node: StatusNode, { peers, session }: PeerContext): string | undefined {
  if (node.isSilent) return 'its kubelet tells nothing'
  const found = session(node.name, peer.name)
  if (found?.state === 'Established') return undefined
  if (found !== undefined) return found.lastError === undefined ? found.state : `${found.state}: ${found.lastError}`
  const rival = rivalOf(peer, node, peers)
  return rival ? `BGPPeer ${rival.name} is with the same neighbour` : notTold
}

/** What the nodes make of a BGPPeer; `peer` is undefined where the object names no neighbour that can be used. */
export function peerTold(peer: BgpPeer | undefined, problems: readonly Problem[], context: PeerContext): Told {
  const accepted = acceptance(problems)
  if (peer === undefined) {
    const message = 'there is no session on any node: the spec names no neighbour that can be used'
    return { conditions: [accepted, conditionOf('Established', false, 'NotAccepted', message)] }
  }
  const down: string[] = []
  let selected = 0
  let untold = 0
  for (const node of context.nodes) {
    if (!node.canHaveAgent || !isForNode(peer, node)) continue
    selected++
    const why = whyDown(peer, node, context)
    if (why !== undefined) down.push(`${node.name} (${why})`)
    if (why === notTold) untold++
  }
  const established = selected - down.length
  return { nodes: { selected, established }, conditions: [accepted, establishedCondition(selected, down, untold)] }
}

/** `untold`: how many of those that are down have said nothing of the peer yet. Their first word is news, so it is another reason. */
function establishedCondition(selected: number, down: readonly string[], untold: number): Condition {
  const type = 'Established'
  if (selected === 0) return conditionOf(type, false, 'NoNodes', 'spec.nodeSelector selects no node that has an agent')
  if (down.length === 0) return conditionOf(type, true, 'AllEstablished', `established on ${nodesText(selected)}`)
  const message = `established on ${selected - down.length} of ${nodesText(selected)}; not on ${fewOf(down.toSorted())}`
  return conditionOf(type, false, untold === down.length ? 'SessionsNotTold' : 'SessionsDown', message)
}

/** A number of nodes in words. */
export function nodesText(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`
}
