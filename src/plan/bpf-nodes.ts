// What the maps of nodes of the eBPF datapath hold of one node, and the change of them that a change of nodes causes. Pure.
import { type BpfDelta, type BpfEnd, type BpfNode } from '#/model/bpf.ts'
import { vtepMac } from '#/model/names.ts'
import { type NetworkDelta, type NodeState } from '#/model/network.ts'
import { type Verdict } from '#/model/verdict.ts'
import { Prefix } from '#/lib/addr.ts'
import { type RemotePlan } from './remote-plan.ts'

export type BpfNodeObjects = { readonly nodes: readonly BpfNode[]; readonly ends: readonly BpfEnd[] }

function wayOf(verdict: Verdict, hasOverlay: boolean): BpfNode {
  const about = { prefix: verdict.dst, owner: verdict.node }
  if (verdict.way === 'native') {
    const devices = verdict.nextHops.map(({ device }) => device)
    return { ...about, way: 'native', devices, ...(verdict.mtuBytes !== undefined && { mtuBytes: verdict.mtuBytes }) }
  }
  if (verdict.way === 'none' || !hasOverlay) return { ...about, way: 'none' }
  const { tunnel, mtuBytes } = verdict
  const { outer, src, dst } = tunnel
  return { ...about, way: `tunnel${outer}`, src, dst, mtuBytes, vtepMac: tunnel.vtepMac ?? vtepMac }
}

/**
 * Another node: its pod CIDRs, and its own addresses, from which processes of the node send. One without pod CIDRs sends nothing through the
 * tunnel, and may share its addresses with others.
 */
export function bpfNodeOf(owner: string, plan: RemotePlan, hasOverlay: boolean): BpfNodeObjects {
  const addrs = plan.podCIDRs.length === 0 ? [] : plan.tunnelEnds
  return {
    nodes: [
      ...addrs.map((addr): BpfNode => ({ prefix: Prefix.host(addr), owner, way: 'none' })),
      ...plan.verdicts.map((verdict) => wayOf(verdict, hasOverlay)),
    ],
    ends: addrs.map((addr) => ({ addr, owner })),
  }
}

/** This node: the CIDRs of its pods, and its own addresses. */
export function bpfSelfOf({ name, addrs }: NodeState, served: readonly Prefix[]): BpfNodeObjects {
  return {
    nodes: [
      ...addrs.map((addr): BpfNode => ({ prefix: Prefix.host(addr), owner: name, way: 'none' })),
      ...served.map((prefix): BpfNode => ({ prefix, owner: name, way: 'local' })),
    ],
    ends: addrs.map((addr) => ({ addr, owner: name })),
  }
}

/** A node's plan, and that of before. */
export type PlanChange = { readonly name: string; readonly before: RemotePlan; readonly plan: RemotePlan }

function bpfDeltaOf(changes: readonly PlanChange[], hasOverlay: boolean): BpfDelta {
  const nodes = new Map<string, BpfNode | undefined>()
  const ends = new Map<string, BpfEnd | undefined>()
  for (const { name, before } of changes) {
    const gone = bpfNodeOf(name, before, hasOverlay)
    for (const { prefix } of gone.nodes) nodes.set(String(prefix), undefined)
    for (const { addr } of gone.ends) ends.set(String(addr), undefined)
  }
  // one node may win what another loses, so all additions come after all removals
  for (const { name, plan } of changes) {
    const wanted = bpfNodeOf(name, plan, hasOverlay)
    for (const node of wanted.nodes) nodes.set(String(node.prefix), node)
    for (const end of wanted.ends) ends.set(String(end.addr), end)
  }
  return { nodes, ends }
}

/** Adds to a change of kernel objects what it changes for the eBPF datapath, made when it is asked for. */
export function withBpf<D extends NetworkDelta>(delta: D, changes: readonly PlanChange[], hasOverlay: boolean): D {
  return {
    ...delta,
    get bpf() {
      return bpfDeltaOf(changes, hasOverlay)
    },
  }
}
