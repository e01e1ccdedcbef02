// One node as far as a bundle tells of it, and what a prediction of it is made from.
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { type AgentStatus, type VerdictStatus } from '#/api/schemas/status.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { isDatapathName } from '#/model/datapath.ts'
import { isOurLink, bridgeName } from '#/model/names.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type PredictDeps, type PredictPod, type PredictPrograms } from '#/predict/context.ts'
import { flannelViewOf } from './flannel.ts'
import { addrIn, FactsError, prefixIn } from './parsed.ts'
import { lookUpsIn } from './program-maps.ts'
import { FactsView } from './view.ts'

export type ToldNode = {
  /** The name by which the bundle was asked for it. */
  readonly node: string
  readonly status: AgentStatus
  readonly facts: NodeFacts
}

function verdictOf({ podCIDR, node, way, reason, mtuBytes, tunnel, origin, nextHops = [] }: VerdictStatus): Verdict {
  const common = { dst: prefixIn(podCIDR), node, reason }
  if (way === 'vxlan' && tunnel) {
    const dst = addrIn(tunnel.dst)
    const ends = { outer: dst.family, src: addrIn(tunnel.src), dst, gateway: addrIn(tunnel.gateway) }
    const { vtepMac } = tunnel
    return { ...common, way, mtuBytes: mtuBytes ?? 0, tunnel: { ...ends, ...(vtepMac !== undefined && { vtepMac }) } }
  }
  if (way === 'native') {
    const hops = nextHops.map(({ device, gateway }) => ({ device, gateway: addrIn(gateway) }))
    return { ...common, way, origin: origin ?? 'direct', nextHops: hops, ...(mtuBytes !== undefined && { mtuBytes }) }
  }
  return { ...common, way: 'none' }
}

/** Addresses by which others reach the node: those of its devices that are neither Causeway's nor of this host alone. */
export function addrsOfNode({ facts, status }: ToldNode): Addr[] {
  const cidrs = status.podCIDRs.map(prefixIn)
  return (facts.namespaces[0]?.addresses ?? []).flatMap(({ device, addr: text }) => {
    const addr = addrIn(text)
    const isOther =
      isOurLink(device) || addr.isLoopback || addr.isLinkLocal || cidrs.some((cidr) => cidr.contains(addr))
    return isOther ? [] : [addr]
  })
}

/** The address of a node in its pod CIDR, from which its own processes talk to pods. */
const gatewayOf = (cidr: Prefix): Addr => (cidr.size > 1n ? cidr.at(1) : cidr.addr)

/** The nodes of the cluster with their addresses: of those that are told their own, of others what these know of them. */
export function nodesOf(all: readonly ToldNode[]): Map<string, readonly Addr[]> {
  const nodes = new Map<string, Addr[]>(all.map((each) => [each.status.node, addrsOfNode(each)]))
  const add = (node: string, addr: Addr): void => {
    const addrs = nodes.getOrInsertComputed(node, () => [])
    if (!addrs.some((each) => each.equals(addr))) addrs.push(addr)
  }
  for (const { status } of all) {
    for (const { node, tunnel } of status.verdicts) if (tunnel) add(node, addrIn(tunnel.dst))
    for (const cidr of status.podCIDRs) add(status.node, gatewayOf(prefixIn(cidr)))
    for (const { node, podCIDR } of status.verdicts) add(node, gatewayOf(prefixIn(podCIDR)))
  }
  return nodes
}

const podsOf = ({ status }: ToldNode): PredictPod[] =>
  status.endpoints.map(({ pod, addrs, hostDevice, ifName, datapath }) => ({
    pod,
    addrs: addrs.map((addr) => ({ addr: addrIn(addr) })),
    hostDevice,
    ifName,
    datapath: isDatapathName(datapath) ? datapath : 'bridge',
  }))

function programsOf({ facts: { programs, programMaps } }: ToldNode): PredictPrograms | undefined {
  const own = programs.filter(({ isOurs }) => isOurs)
  if (own.length === 0 && programMaps === undefined) return undefined
  const isAt = (device: string, hook: string): boolean =>
    own.some((each) => each.device === device && each.hook === hook)
  return {
    isAttached: (device) => isAt(device, 'ingress') && isAt(device, 'egress'),
    ...lookUpsIn(programMaps),
  }
}

const settingOf = ({ facts }: ToldNode, name: string): string | undefined => facts.settings[name]

function clusterCIDRs(node: ToldNode): Prefix[] {
  return (settingOf(node, 'CAUSEWAY_CLUSTER_CIDRS') ?? '')
    .split(',')
    .flatMap((text) => Prefix.tryParse(text.trim()) ?? [])
}

/** Throws FactsError for facts that cannot be. */
export function depsOf(node: ToldNode, all: readonly ToldNode[]): PredictDeps {
  const { status, facts } = node
  const own = facts.namespaces[0]
  if (own === undefined) throw new FactsError(`node ${status.node} tells nothing of its own namespace`)
  const kernel = new FactsView(own, facts.programs)
  const nodes = nodesOf(all)
  const verdicts = status.verdicts.map(verdictOf)
  const pods = podsOf(node)
  const programs = programsOf(node)
  const flannel = flannelViewOf(status)
  const openPods = new Map<string, FactsView>()
  return {
    nodeName: status.node,
    openNode: () => kernel,
    pods: () => pods,
    openPod: ({ pod }) => {
      const told = facts.namespaces.find((each) => each.pod === pod)
      if (told === undefined || told.error !== undefined) return undefined
      return openPods.getOrInsertComputed(pod, () => new FactsView(told))
    },
    verdicts: () => verdicts,
    podCIDRs: () => status.podCIDRs.map(prefixIn),
    nodeAddrs: () => kernel.addresses().map(({ addr }) => addr),
    clusterCIDRs: clusterCIDRs(node),
    vxlanPort: status.observes?.port ?? Number(settingOf(node, 'CAUSEWAY_VXLAN_PORT') ?? 8472),
    podDevice: () => status.observes?.podDevice ?? bridgeName,
    ...(flannel && { flannel }),
    programs: () => programs,
    policy: {
      // what policies say is in the chains of the kernel, which are followed like all others
      state: () => ({ kind: 'off' }),
      nodes: () => nodes,
      explain: () => ({ text: '', isDenied: false, isAudited: false, changes: [], policies: [] }),
      inKernel: async () => undefined,
    },
  }
}
