// Plans one other node: the verdict of each of its pod CIDRs, and the facts about the node that follow from them. Pure.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type LearnedRoute } from '#/model/bgp.ts'
import {
  type ConnectedSubnet,
  type DesiredHop,
  type KernelWay,
  type NetworkSettings,
  type NodeState,
  type UnderlayMtu,
  minimumMtuV6Bytes,
} from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { plainVxlan, type Routing } from '#/model/routing.ts'
import { sameVerdict, type Verdict } from '#/model/verdict.ts'
import { tooSmall } from './allocate.ts'
import { chooseCrossing, directHop, reasonFor, type Ways } from './crossing.ts'
import { admitPodCIDR } from './guard.ts'
import { type NodeWays } from './node-ways.ts'
import { overheadBytes, tunnelBetween, vtepOf } from './overlay.ts'

/** The input that the plans of all remote nodes share: this node, its networks and its settings. */
export type RemoteContext = {
  readonly self: NodeState
  /** The MTU where no way to a node is known; absent for a family of which no packets leave this node. */
  readonly underlay: UnderlayMtu
  readonly ways: NodeWays
  readonly connected: readonly ConnectedSubnet[]
  readonly routing: Routing
  readonly settings: NetworkSettings
  /** Former pod CIDRs of this node whose addresses its pods still have. */
  readonly formerCIDRs?: readonly Prefix[]
}

export type FamilyMtu = { readonly family: Family; readonly mtuBytes: number }

export type RemotePlan = {
  /** The other node's pod CIDRs, without those to which another node has the better claim. */
  readonly podCIDRs: readonly Prefix[]
  /** One verdict for each of `podCIDRs`. */
  readonly verdicts: readonly Verdict[]
  /** Those of `podCIDRs` to which packets are to go through the tunnel or not at all, while the routing is vxlan. */
  readonly covered: readonly Prefix[]
  /** The addresses that the other node's tunnel packets come from and go to. */
  readonly tunnelEnds: readonly Addr[]
  /** The tunnel's MTU for each pod CIDR's family, whether or not packets use the tunnel now. */
  readonly tunnels: readonly FamilyMtu[]
  /** The underlay's MTU on the way to each of the node's addresses, where it is known. */
  readonly underlay: readonly FamilyMtu[]
  /** By prefix, the reasons why BGP's routes to `podCIDRs` are not used. */
  readonly unused: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
  /** No way leads to any of its pods, though there should be one: the node is set up, has an address, and nothing says that it is off. */
  readonly isMissed: boolean
}

const nothing: ReadonlyMap<string, string> = new Map()

export const noRemotePlan: RemotePlan = {
  podCIDRs: [],
  verdicts: [],
  covered: [],
  tunnelEnds: [],
  tunnels: [],
  underlay: [],
  unused: nothing,
  problems: [],
  isMissed: false,
}

/** A node's gateways: for each family, the first address (after the network address) of the node's first pod CIDR that has room for one. */
export function gatewaysOf(node: NodeState): { readonly [F in Family]?: Addr } {
  const gateways: { [F in Family]?: Addr } = {}
  for (const cidr of node.podCIDRs) if (!tooSmall(cidr)) gateways[cidr.family] ??= cidr.at(1)
  return gateways
}

/** What BGP has told. */
export type Told = {
  /** By prefix. */
  readonly learned: ReadonlyMap<string, LearnedRoute>
  /** How the kernel reaches next hops that are on no connected subnet, by address. */
  readonly kernelWays: ReadonlyMap<string, KernelWay>
}

/** Plans one other node. The plan's `problems` tell why packets cannot cross. */
export function planRemote(node: NodeState, context: RemoteContext, { learned, kernelWays }: Told): RemotePlan {
  const { self, underlay, connected, ways: known, routing, settings } = context
  const mtuTo = (addr: Addr): number | undefined => {
    const usual = underlay[addr.family]
    return usual === undefined ? undefined : (settings.underlayMtuBytes ?? known.find(addr)?.mtuBytes ?? usual)
  }
  const verdicts: Verdict[] = []
  const tunnels: FamilyMtu[] = []
  const problems: Problem[] = []
  const unused = new Map<string, string>()
  const isAwaited = routing === 'native' && node.isStarting === true
  const excuse = node.lacksAgent ?? (isAwaited ? 'its network is being set up' : undefined)
  const takesTunnel = !isAwaited && (node.routingState ?? plainVxlan).accepts.includes('vxlan')
  const object = `node/${node.name}`
  for (const dst of node.podCIDRs) {
    const tunnel = tunnelBetween(self, node, dst.family, mtuTo)
    if (tunnel) tunnels.push({ family: dst.family, mtuBytes: tunnel.mtuBytes })
    const told = learned.get(String(dst))
    const admission = told && admitPodCIDR(told, { connected, kernelWays }, node.addrs)
    if (admission?.kind === 'refused') unused.set(String(dst), admission.reason)
    const admitted = admission?.kind === 'admitted' ? admission : undefined
    const ways: Ways = {
      learned: admitted?.router === undefined ? admitted?.nextHops : undefined,
      overRouters: admitted?.router === undefined ? undefined : admitted.nextHops,
      direct: directHop(node, self, dst.family, known),
      canTunnel: tunnel !== undefined,
      takesTunnel,
    }
    const crossing = chooseCrossing(routing, ways)
    const about = { dst, node: node.name }
    if (crossing.kind === 'native') {
      const { origin, nextHops } = crossing
      if (origin === 'direct' && admitted?.router !== undefined)
        unused.set(String(dst), overRouter(node, admitted.router))
      const mtuBytes = mtuOfHops(nextHops, mtuTo)
      const reason = reasonFor(routing, ways, 'native')
      verdicts.push({ way: 'native', ...about, origin, nextHops, ...(mtuBytes !== undefined && { mtuBytes }), reason })
    } else if (crossing.kind === 'vxlan' && tunnel) {
      if (admitted?.router !== undefined) unused.set(String(dst), overRouter(node, admitted.router))
      else if (admitted) unused.set(String(dst), `the routing of ${self.name} is vxlan, and ${node.name} takes VXLAN`)
      if (dst.family === 6 && tunnel.mtuBytes < minimumMtuV6Bytes)
        problems.push(
          problem(
            'CW1202',
            object,
            `the underlay's MTU leaves ${tunnel.mtuBytes} bytes for ${dst}; IPv6 needs ${minimumMtuV6Bytes}`,
            { remedy: `raise the underlay's MTU to at least ${minimumMtuV6Bytes + overheadBytes[tunnel.outer]}` },
          ),
        )
      const { mtuBytes, ...ends } = tunnel
      const reason = reasonFor(routing, ways, 'vxlan')
      verdicts.push({ way: 'vxlan', ...about, tunnel: { ...ends, ...vtepOf(node, dst) }, mtuBytes, reason })
    } else {
      const { why, remedy } = noWay(node, context, { canTunnel: tunnel !== undefined })
      verdicts.push({ way: 'none', ...about, reason: excuse ?? why })
      if (excuse === undefined)
        problems.push(problem('CW1201', object, `no route to ${dst}: ${why}`, remedy === undefined ? {} : { remedy }))
    }
  }
  // what no agent of ours serves may have a way of its own, of which nothing is known here
  const isCovered = ({ way }: Verdict): boolean => way === 'vxlan' || (way === 'none' && node.lacksAgent === undefined)
  const covered = verdicts.filter(isCovered).map(({ dst }) => dst)
  const reached = node.addrs.flatMap((addr): FamilyMtu[] => {
    const mtuBytes = node.lacksAgent === undefined ? mtuTo(addr) : undefined
    return mtuBytes === undefined ? [] : [{ family: addr.family, mtuBytes }]
  })
  const isAlive = excuse === undefined && node.life?.isSilent !== true && node.addrs.length > 0
  const isMissed = isAlive && verdicts.every(({ way }) => way === 'none')
  return {
    podCIDRs: node.podCIDRs,
    verdicts,
    covered,
    tunnelEnds: node.addrs,
    tunnels,
    underlay: reached,
    unused,
    problems,
    isMissed: isMissed && verdicts.length > 0,
  }
}

function overRouter({ name }: NodeState, router: Addr): string {
  return `its next hop is ${name} itself, over router ${router}, which need not know pods; another way is used`
}

/** The largest packet that every next hop takes. */
function mtuOfHops(nextHops: readonly DesiredHop[], mtuTo: (addr: Addr) => number | undefined): number | undefined {
  const least = Math.min(...nextHops.map(({ gateway }) => mtuTo(gateway) ?? Infinity))
  return Number.isFinite(least) ? least : undefined
}

/** The reason why there is no way to the node, and a remedy where the usual one does not fit. */
function noWay(
  node: NodeState,
  { self, routing }: RemoteContext,
  { canTunnel }: { readonly canTunnel: boolean },
): { readonly why: string; readonly remedy?: string } {
  if (canTunnel)
    return {
      why: 'it takes no VXLAN (any more), BGP tells no way to it, and it is on no link of this node',
      remedy: `let BGP tell its pod CIDR to ${self.name}, or set its routing to auto`,
    }
  const isSameFamily = node.addrs.some(({ family }) => self.addrs.some((own) => own.family === family))
  const why =
    node.addrs.length === 0
      ? 'the node has no InternalIP address'
      : isSameFamily
        ? `${self.name} has no way out, or its own address is on no device`
        : `no address family that both it and ${self.name} have`
  return {
    why: routing === 'vxlan' ? why : `BGP tells no way to it, and for another ${why}`,
    ...(isSameFamily && { remedy: `see the other problems of ${self.name}` }),
  }
}

/** The plan with the verdicts of the former one where they say the same, so that a changed verdict is a new object. */
export function withKeptVerdicts(plan: RemotePlan, before: RemotePlan): RemotePlan {
  if (before.verdicts.length === 0) return plan
  const verdicts = plan.verdicts.map((each) => before.verdicts.find((former) => sameVerdict(former, each)) ?? each)
  return { ...plan, verdicts }
}
