// The plan: from what the cluster says to the kernel state this node should have. Pure: same input, same sorted output.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { bridgeName, deviceMac, vtepGateways, vtepMac, vxlanName } from '#/model/names.ts'
import {
  type DesiredAddress,
  type DesiredNetwork,
  type DesiredSysctl,
  type NetworkSettings,
  type NodeState,
  type PortState,
  type Problem,
  type UnderlayMtu,
} from '#/model/network.ts'
import { nodeTable, takeInTable } from './filter.ts'
import { serveHeld } from './held-cidrs.ts'
import { outerFamily, tunnelMtu } from './overlay.ts'
import { type PeerTable } from './peers.ts'

export type PlanInput = {
  /** All other nodes, and this one as they leave it. */
  readonly peers: PeerTable
  /** Whether these are all nodes there are; as long as they may not be, unknown ones must not be kept out. */
  readonly isComplete: boolean
  readonly underlay: UnderlayMtu
  readonly ports: readonly PortState[]
  readonly settings: NetworkSettings
}

export type Plan = {
  readonly network: DesiredNetwork
  readonly problems: readonly Problem[]
  /** Those of this node's pod CIDRs that are its alone and large enough: pods get addresses from them. */
  readonly podCIDRs: readonly Prefix[]
  /** The largest packet of a family that reaches every node through the tunnel. */
  readonly overlayMtuBytes: { readonly [F in Family]?: number }
  /** For pods' devices: what the underlay carries without a tunnel. */
  readonly deviceMtuBytes: number
}

/** What a pod's device gets while no underlay address is known. */
const defaultMtuBytes = 1500

const familiesOf = (cidrs: readonly Prefix[]): Family[] =>
  ([4, 6] as const).filter((family) => cidrs.some((cidr) => cidr.family === family))

/** Without other nodes the family of the pods itself is what a tunnel will use. */
function overlayMtu(self: NodeState, peers: PeerTable, underlay: UnderlayMtu): Plan['overlayMtuBytes'] {
  const smallest = peers.overlayMtuBytes
  return Object.fromEntries(
    familiesOf(self.podCIDRs).flatMap((family) => {
      const own = tunnelMtu(underlay, outerFamily(self, self, family) ?? family)
      const mtuBytes = Math.min(smallest[family] ?? Infinity, own ?? Infinity)
      return Number.isFinite(mtuBytes) ? [[family, mtuBytes]] : []
    }),
  )
}

function sysctls(families: readonly Family[]): DesiredSysctl[] {
  return families.flatMap((family) =>
    family === 4
      ? [{ path: 'net/ipv4/ip_forward', value: '1' }]
      : [
          { path: 'net/ipv6/conf/all/forwarding', value: '1' },
          // without this the bridge's link-local address is tentative for a second and no pod can be resolved
          { path: `net/ipv6/conf/${bridgeName}/accept_dad`, value: '0' },
        ],
  )
}

function gateways(cidrs: readonly Prefix[]): DesiredAddress[] {
  return cidrs.map((cidr) => ({ device: bridgeName, addr: cidr.at(1), prefixLength: cidr.length }))
}

function outsideProblems({ name, podCIDRs }: NodeState, { clusterCIDRs }: NetworkSettings): Problem[] {
  return podCIDRs
    .filter((cidr) => !clusterCIDRs.some((each) => each.contains(cidr)))
    .map((cidr) => ({
      object: `node/${name}`,
      message: `pod CIDR ${cidr} is outside of the cluster CIDRs (${clusterCIDRs.join(', ')}): its pods are reached, but correct CAUSEWAY_CLUSTER_CIDRS or the node`,
    }))
}

/** The cluster's CIDRs, and of these what lies outside of them. */
function allPodCIDRs(cidrs: readonly Prefix[], { clusterCIDRs }: NetworkSettings): Prefix[] {
  return [...clusterCIDRs, ...cidrs.filter((cidr) => !clusterCIDRs.some((each) => each.contains(cidr)))]
}

export function planNetwork({ peers, isComplete, underlay, ports, settings }: PlanInput): Plan {
  const self = peers.self
  const held = ports.flatMap(({ podCIDRs }) => podCIDRs)
  const { podCIDRs, former, problems } = serveHeld(self, held, (cidr) => peers.ownerOf(cidr))
  const served = [...podCIDRs, ...former]
  const families = familiesOf(self.podCIDRs)
  const tunnelMtus = ([4, 6] as const).flatMap((outer) => tunnelMtu(underlay, outer) ?? [])
  const hasOverlay = tunnelMtus.length > 0
  const plans = [...peers.plans].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, plan]) => plan)
  const network: DesiredNetwork = {
    sysctls: sysctls(families),
    links: [
      { kind: 'bridge', name: bridgeName, mac: deviceMac(bridgeName, self.name) },
      ...(hasOverlay
        ? [
            {
              kind: 'vxlan',
              name: vxlanName,
              mac: deviceMac(vxlanName, self.name),
              // the routes hold packets below it; the device only bounds what can leave at all
              mtuBytes: Math.max(...tunnelMtus),
              port: settings.vxlanPort,
            } as const,
          ]
        : []),
    ],
    ports: ports.map(({ name, pod }) => ({ name, pod, bridge: bridgeName })),
    addresses: gateways(served),
    neighbours: hasOverlay
      ? [
          ...families.map((family) => ({ device: vxlanName, addr: Addr.parse(vtepGateways[family]), mac: vtepMac })),
          ...plans.flatMap((plan) => plan.neighbours),
        ]
      : [],
    routes: plans.flatMap((plan) => plan.routes),
    tables: [
      nodeTable({
        podCIDRs: served,
        clusterCIDRs: allPodCIDRs([...self.podCIDRs, ...former, ...peers.outsideCIDRs], settings),
        ...(hasOverlay &&
          isComplete && { tunnel: { port: settings.vxlanPort, ends: plans.flatMap((plan) => plan.tunnelEnds) } }),
      }),
      ...(hasOverlay ? [takeInTable] : []),
    ],
    forwardFor: settings.opensForwardChains ? [bridgeName] : [],
  }
  return {
    network,
    problems: [...peers.problems, ...problems, ...outsideProblems(self, settings)],
    podCIDRs,
    overlayMtuBytes: overlayMtu(self, peers, underlay),
    deviceMtuBytes: Math.min(...Object.values(underlay), hasOverlay ? Infinity : defaultMtuBytes),
  }
}
