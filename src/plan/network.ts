// The plan: from what the cluster says to the kernel state this node should have. Pure: same input, same sorted output.
import { Addr, familiesOf, type Family, type Prefix } from '#/lib/addr.ts'
import { blackholeMetric, deviceMac, vtepGateways, vtepMac, vxlanAddr, vxlanName } from '#/model/names.ts'
import {
  addressKey,
  type BlackholeRoute,
  type DesiredAddress,
  type DesiredNetwork,
  type DesiredSysctl,
  type NetworkSettings,
  type NodeState,
  type PortState,
  type UnderlayMtu,
} from '#/model/network.ts'
import { type ObjectName } from '#/model/object-kinds.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type PlannedDatapath } from './datapath-plan.ts'
import { nodeTable, takeInTable } from './filter.ts'
import { serveCIDRs } from './served-cidrs.ts'
import { outerFamily, tunnelMtu } from './overlay.ts'
import { type RemoteNodes } from './remote-nodes.ts'

export type PlanInput = {
  /** All other nodes, and this one as they leave it. */
  readonly remoteNodes: RemoteNodes
  /** Whether these are all nodes there are; as long as they may not be, unknown ones must not be kept out. */
  readonly isComplete: boolean
  /** The tunnel is kept though no node needs it that is known: some may not know yet that this one wants no VXLAN any more. */
  readonly keepsOverlay: boolean
  readonly underlay: UnderlayMtu
  /** Devices that would not take router advertisements any more once this node forwards. */
  readonly raDevices?: readonly string[]
  /** Routers are told of this node's pod CIDRs, whatever the routing. */
  readonly isAdvertised?: boolean
  readonly ports: readonly PortState[]
  /** The datapaths that pods of this node have, or get. */
  readonly datapaths: readonly PlannedDatapath[]
  readonly settings: NetworkSettings
}

export type Plan = {
  readonly network: DesiredNetwork
  readonly problems: readonly Problem[]
  /** Those of this node's pod CIDRs that are its alone and large enough: pods get addresses from them. */
  readonly podCIDRs: readonly Prefix[]
  readonly hasOverlay: boolean
  /** Devices and addresses without which no pod can be wired, by kind and key. */
  readonly neededByPods: readonly ObjectName[]
  /** The largest packet of a family that reaches every node, whether it crosses in the tunnel or natively. */
  readonly podMtuBytes: { readonly [F in Family]?: number }
  /** The MTU of pods' devices: what the underlay carries without a tunnel. */
  readonly deviceMtuBytes: number
}

/** accept_ra=2: router advertisements are accepted although this node forwards packets (ip-sysctl.rst). */
const acceptRaOfRouters = '2'

/** RFC 3704 section 2.4: there must be a route back, by whichever device. */
const looseRpFilter = '2'
/** The MTU of a pod's device while no underlay address is known. */
const defaultMtuBytes = 1500

/**
 * As long as there is the tunnel, its MTU is that of all routes in pods, so that the way to a node may change under a connection.
 * Without other nodes the family of the pods itself is what a tunnel will use.
 */
function podMtu(
  self: NodeState,
  remoteNodes: RemoteNodes,
  underlay: UnderlayMtu,
  hasOverlay: boolean,
): Plan['podMtuBytes'] {
  const smallest = hasOverlay ? remoteNodes.overlayMtuBytes : {}
  return Object.fromEntries(
    familiesOf(self.podCIDRs).flatMap((family) => {
      const own = hasOverlay
        ? tunnelMtu(underlay, outerFamily(self, self, family) ?? family)
        : Math.min(...Object.values(underlay))
      const mtuBytes = Math.min(smallest[family] ?? Infinity, own ?? Infinity)
      return Number.isFinite(mtuBytes) ? [[family, mtuBytes]] : []
    }),
  )
}

function sysctls(families: readonly Family[], hasOverlay: boolean, raDevices: readonly string[]): DesiredSysctl[] {
  return families.flatMap((family) =>
    family === 4
      ? [
          { path: 'net/ipv4/ip_forward', value: '1' },
          // what comes through the tunnel may be answered natively, and the other way round
          ...(hasOverlay ? [{ path: `net/ipv4/conf/${vxlanName}/rp_filter`, value: looseRpFilter }] : []),
        ]
      : [
          // before forwarding, with which the kernel gives up the default routes that it learned from routers
          ...raDevices.map((device) => ({ path: `net/ipv6/conf/${device}/accept_ra`, value: acceptRaOfRouters })),
          { path: 'net/ipv6/conf/all/forwarding', value: '1' },
        ],
  )
}

/**
 * On a device without an address even a loose rp_filter drops what has its way back over another one (__fib_validate_source of
 * net/ipv4/fib_frontend.c), as packets have while nodes are switched.
 */
const tunnelAddress: DesiredAddress = { device: vxlanName, addr: Addr.parse(vxlanAddr), prefixLength: 32 }

/** Where others' routers send this node what is for its pods, what is for none must not go back to them. */
function blackholes({ podCIDRs }: NodeState): BlackholeRoute[] {
  return podCIDRs.map((dst) => ({ kind: 'blackhole', dst, metric: blackholeMetric }))
}

function outsideProblems({ name, podCIDRs }: NodeState, { clusterCIDRs }: NetworkSettings): Problem[] {
  return podCIDRs
    .filter((cidr) => !clusterCIDRs.some((each) => each.contains(cidr)))
    .map((cidr) =>
      problem(
        'CW1105',
        `node/${name}`,
        `pod CIDR ${cidr} is outside of the cluster CIDRs (${clusterCIDRs.join(', ')}): its pods are reached all the same`,
      ),
    )
}

/** The cluster's CIDRs, and of these what lies outside of them. */
function allPodCIDRs(cidrs: readonly Prefix[], { clusterCIDRs }: NetworkSettings): Prefix[] {
  return [...clusterCIDRs, ...cidrs.filter((cidr) => !clusterCIDRs.some((each) => each.contains(cidr)))]
}

export function planNetwork({
  remoteNodes,
  isComplete,
  keepsOverlay,
  underlay,
  raDevices = [],
  isAdvertised = false,
  ports,
  datapaths,
  settings,
}: PlanInput): Plan {
  const self = remoteNodes.self
  const held = ports.flatMap(({ podCIDRs }) => podCIDRs)
  const { podCIDRs, former, problems } = serveCIDRs(self, held, (cidr) => remoteNodes.ownerOf(cidr))
  const served = [...podCIDRs, ...former]
  const families = familiesOf(self.podCIDRs)
  const tunnelMtus = ([4, 6] as const).flatMap((outer) => tunnelMtu(underlay, outer) ?? [])
  const hasOverlay = tunnelMtus.length > 0 && (keepsOverlay || remoteNodes.needsOverlay)
  const ofPods = datapaths.map(({ plan }) => plan({ nodeName: self.name, families, served }))
  const podDevices = datapaths.map(({ podDevice }) => podDevice)
  const remote = remoteNodes.objects(hasOverlay)
  const network: DesiredNetwork = {
    sysctls: [...sysctls(families, hasOverlay, raDevices), ...ofPods.flatMap((objects) => objects.sysctls)],
    links: [
      ...ofPods.flatMap((objects) => objects.links),
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
    ports: ports.map(({ name, pod, datapath }) => ({ name, pod, datapath })),
    addresses: [
      ...ofPods.flatMap((objects) => objects.addresses),
      ...(hasOverlay && families.includes(4) ? [tunnelAddress] : []),
    ],
    neighbours: hasOverlay
      ? [
          ...families.map((family) => ({ device: vxlanName, addr: Addr.parse(vtepGateways[family]), mac: vtepMac })),
          ...remote.neighbours,
        ]
      : [],
    routes: [
      ...remote.routes,
      ...remoteNodes.otherRoutes,
      ...(remoteNodes.routing === 'vxlan' && !isAdvertised ? [] : blackholes(self)),
    ],
    tables: [
      nodeTable({
        podCIDRs: served,
        podDevices,
        clusterCIDRs: allPodCIDRs([...self.podCIDRs, ...former, ...remoteNodes.outsideCIDRs], settings),
        ...(hasOverlay && isComplete && { tunnel: { port: settings.vxlanPort, ends: remote.tunnelEnds } }),
      }),
      ...(hasOverlay ? [takeInTable] : []),
    ],
    forwardFor: settings.opensForwardChains ? podDevices : [],
  }
  return {
    network,
    problems: [...remoteNodes.problems, ...problems, ...outsideProblems(self, settings)],
    podCIDRs,
    hasOverlay,
    neededByPods: ofPods.flatMap(({ links, addresses }): ObjectName[] => [
      ...links.map(({ name }) => ({ kind: 'link', key: name }) as const),
      ...addresses.map((address) => ({ kind: 'address', key: addressKey(address) }) as const),
    ]),
    podMtuBytes: podMtu(self, remoteNodes, underlay, hasOverlay),
    deviceMtuBytes: Math.min(...Object.values(underlay), tunnelMtus.length > 0 ? Infinity : defaultMtuBytes),
  }
}
