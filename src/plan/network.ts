// The plan: computes from the cluster's objects which kernel state this node should have. Pure: same input, same sorted output.
import { Addr, familiesOf, type Family, type Prefix } from '#/lib/addr.ts'
import { deviceMac, vtepGateways, vtepMac, vxlanName } from '#/model/names.ts'
import {
  addressKey,
  type DesiredAddress,
  type DesiredNetwork,
  type DesiredSysctl,
  type NetworkSettings,
  type NodeState,
  type PortState,
  type UnderlayMtu,
  type NeededPassage,
  minimumMtuV6Bytes,
} from '#/model/network.ts'
import { type ObjectName } from '#/model/object-kinds.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { planBpf } from './bpf.ts'
import { blackholeTo, coverOf } from './cover.ts'
import { type PlannedDatapath } from './datapath-plan.ts'
import { routedSysctls } from './device-sysctls.ts'
import { nodeTable, takeInTable } from './filter.ts'
import { hostPortTable, needsLoopback } from './host-ports.ts'
import { serveCIDRs, type ServedCIDRs } from './served-cidrs.ts'
import { outerFamily, overheadBytes } from './overlay.ts'
import { type RemoteNodes } from './remote-nodes.ts'
import { type RemoteObjects } from './remote-objects.ts'
import { type SessionGuard } from './session-guards.ts'

export type PlanInput = {
  /** All other nodes, and this node without the claims that it lost to them. */
  readonly remoteNodes: RemoteNodes
  /** Whether `remoteNodes` has all nodes of the cluster. Until it has, the node table must not drop VXLAN from unknown nodes. */
  readonly isComplete: boolean
  /** Keeps the tunnel though no known node needs it: some nodes may not know yet that this node stops accepting VXLAN. */
  readonly keepsOverlay: boolean
  /** The underlay's MTU where no way to another node is known. */
  readonly underlay: UnderlayMtu
  /** Devices that would stop accepting router advertisements once this node forwards packets. */
  readonly raDevices?: readonly string[]
  /** Whether this node's pod CIDRs are announced to routers, whatever the routing. */
  readonly isAdvertised?: boolean
  /** BGP neighbours with TTL security. */
  readonly guards?: readonly SessionGuard[]
  readonly ports: readonly PortState[]
  /** Pod CIDRs that this node has lost, of which pods may have addresses, whether or not a port says so. */
  readonly formerCIDRs?: readonly Prefix[]
  /** The datapaths that this node's pods use, and the one that new pods get. */
  readonly datapaths: readonly PlannedDatapath[]
  readonly settings: NetworkSettings
}

export type Plan = {
  readonly network: DesiredNetwork
  /** The pod CIDRs from which new pods get addresses: those that this node shares with no other and that are large enough. */
  readonly podCIDRs: readonly Prefix[]
  /** Pod CIDRs that this node has lost while its pods have addresses of them, and no other node has: other nodes should know. */
  readonly formerCIDRs: readonly Prefix[]
  readonly hasOverlay: boolean
  /** The links and addresses, by kind and key, without which no pod can be connected. */
  readonly neededByPods: readonly ObjectName[]
  /** The largest packet of each family that reaches every node, through the tunnel or natively. */
  readonly podMtuBytes: { readonly [F in Family]?: number }
  /**
   * The MTU of pods' devices: the largest packet that the underlay carries without a tunnel. With IPv6 it is never below 1280: the kernel
   * would take the pod's IPv6 addresses from the device, for good.
   */
  readonly deviceMtuBytes: number
}

/** With accept_ra=2, a device accepts router advertisements even though this node forwards packets (ip-sysctl.rst). */
const acceptRaOfRouters = '2'

/** Loose mode (RFC 3704 section 2.4): the source address must have a route back, through any device. */
const looseRpFilter = '2'
/** The MTU of a pod's device while this node's underlay addresses are not known. */
const defaultMtuBytes = 1500

/**
 * The MTU of routes in pods, by family. While the tunnel exists, every route has the tunnel's MTU, so that the way to a node may change
 * under an open connection. Even without other nodes the MTU leaves room for the tunnel that this node's own addresses allow.
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
      const outer = outerFamily(self, self, family) ?? family
      const own = hasOverlay
        ? (underlay[outer] ?? Infinity) - overheadBytes[outer]
        : Math.min(...Object.values(underlay))
      const mtuBytes = Math.min(smallest[family] ?? Infinity, own)
      return Number.isFinite(mtuBytes) ? [[family, mtuBytes]] : []
    }),
  )
}

function sysctls(families: readonly Family[], hasOverlay: boolean, raDevices: readonly string[]): DesiredSysctl[] {
  const ofNode = families.flatMap((family): DesiredSysctl[] =>
    family === 4
      ? [{ path: 'net/ipv4/ip_forward', value: '1' }]
      : [
          // accept_ra is set before forwarding, because forwarding makes the kernel drop default routes learned from routers
          ...raDevices.map((device) => ({ path: `net/ipv6/conf/${device}/accept_ra`, value: acceptRaOfRouters })),
          { path: 'net/ipv6/conf/all/forwarding', value: '1' },
        ],
  )
  if (!hasOverlay) return ofNode
  const ofTunnel: DesiredSysctl[] = [
    ...routedSysctls(vxlanName, families),
    // a packet may come through the tunnel while the way back to its source is native; a strict rp_filter would drop it
    ...(families.includes(4) ? [{ path: `net/ipv4/conf/${vxlanName}/rp_filter`, value: looseRpFilter }] : []),
  ]
  // after those of the node: forwarding of "all" sets that of each device
  return [...ofNode, ...ofTunnel]
}

/**
 * The tunnel device has the gateway addresses too, for what takes an address of the device by which a packet leaves: kube-proxy masquerades
 * that way, and the answer must come through the tunnel. On a device without an address even a loose rp_filter drops packets whose way back
 * is another device (__fib_validate_source of net/ipv4/fib_frontend.c). Of several the kernel takes the first.
 */
function tunnelAddresses(podCIDRs: readonly Prefix[]): DesiredAddress[] {
  return podCIDRs.map((cidr) => ({ device: vxlanName, addr: cidr.at(1), prefixLength: cidr.addr.bits }))
}

/** The kernel routes a packet from 127.0.0.0/8 out of a device only where this is set; the node table keeps pods from the way back. */
function letLoopbackOut(device: string): DesiredSysctl {
  return { path: `net/ipv4/conf/${device}/route_localnet`, value: '1' }
}

function outsideProblems({ name, podCIDRs }: NodeState, { clusterCIDRs }: NetworkSettings): Problem[] {
  return podCIDRs
    .filter((cidr) => !clusterCIDRs.some((each) => each.contains(cidr)))
    .map((cidr) =>
      problem(
        'CW1105',
        `node/${name}`,
        `pod CIDR ${cidr} is outside of the cluster CIDRs (${clusterCIDRs.join(', ')}); other nodes do not route to it`,
      ),
    )
}

/** The cluster CIDRs, and those of `cidrs` that lie outside of them. */
function allPodCIDRs(cidrs: readonly Prefix[], { clusterCIDRs }: NetworkSettings): Prefix[] {
  return [...clusterCIDRs, ...cidrs.filter((cidr) => !clusterCIDRs.some((each) => each.contains(cidr)))]
}

/** Of thousands of nodes, the tunnel ends of the first stand for all when firewalls are looked at. */
const lookedAtEnds = 256

/** The devices by which packets leave for those nodes. The node's own address may be on another one, such as lo. */
function underlayDevices(remoteNodes: RemoteNodes): string[] {
  const devices = new Set<string>()
  for (const verdict of Iterator.from(remoteNodes.verdicts).take(lookedAtEnds)) {
    if (verdict.way === 'native') for (const { device } of verdict.nextHops) devices.add(device)
    const way = verdict.way === 'vxlan' ? remoteNodes.wayTo(verdict.tunnel.dst) : undefined
    if (way) devices.add(way.device)
  }
  return [...devices]
}

function someTunnelEnds({ plans }: RemoteNodes): Addr[] {
  return plans
    .values()
    .flatMap(({ tunnelEnds }) => tunnelEnds)
    .take(lookedAtEnds)
    .toArray()
}

type ServedInput = Pick<PlanInput, 'remoteNodes' | 'ports' | 'formerCIDRs'>

function servedBy({ remoteNodes, ports, formerCIDRs = [] }: ServedInput): ServedCIDRs {
  const held = [...ports.flatMap(({ podCIDRs }) => podCIDRs), ...formerCIDRs]
  const { self, toldSelf } = remoteNodes
  return serveCIDRs(self, toldSelf.podCIDRs, held, (cidr) => remoteNodes.ownerOf(cidr))
}

/** What is wrong with pod CIDRs, of other nodes and of this one: it may change with any node, and is told without a plan. */
export function problemsOfCIDRs(input: ServedInput & Pick<PlanInput, 'settings'>): Problem[] {
  const { remoteNodes, settings } = input
  return [...remoteNodes.problems, ...servedBy(input).problems, ...outsideProblems(remoteNodes.self, settings)]
}

export function planNetwork({
  remoteNodes,
  isComplete,
  keepsOverlay,
  underlay: unknownWays,
  raDevices = [],
  isAdvertised = false,
  formerCIDRs = [],
  guards,
  ports,
  datapaths,
  settings,
}: PlanInput): Plan {
  const self = remoteNodes.self
  const { podCIDRs, former, disputed } = servedBy({ remoteNodes, ports, formerCIDRs })
  const served = [...podCIDRs, ...former, ...disputed]
  const families = familiesOf(served)
  const underlay: UnderlayMtu = { ...unknownWays, ...remoteNodes.underlayMtuBytes }
  const tunnelMtus = ([4, 6] as const).flatMap((outer) => {
    const mtuBytes = underlay[outer]
    return mtuBytes === undefined ? [] : [mtuBytes - overheadBytes[outer]]
  })
  const hasOverlay = tunnelMtus.length > 0 && (keepsOverlay || remoteNodes.needsOverlay)
  const ofPods = datapaths.map(({ plan }) => plan({ nodeName: self.name, families, served }))
  const podDevices = datapaths.map(({ podDevice }) => podDevice)
  const hostPorts = ports.flatMap((port) => port.hostPorts ?? [])
  const ofHostPorts = hostPortTable(hostPorts, served)
  const loopbackDevices = needsLoopback(hostPorts) ? podDevices : []
  const deviceMtuBytes = Math.max(
    Math.min(...Object.values(underlay), tunnelMtus.length > 0 ? Infinity : defaultMtuBytes),
    families.includes(6) ? minimumMtuV6Bytes : 0,
  )
  let made: RemoteObjects | undefined
  // made for the drivers that ask for it: a pass for a pod that comes or goes asks for ports alone, and there may be thousands of nodes
  const remote = (): RemoteObjects => (made ??= remoteNodes.objects(hasOverlay))
  const network: DesiredNetwork = {
    sysctls: [
      ...sysctls(families, hasOverlay, raDevices),
      ...ofPods.flatMap((objects) => objects.sysctls),
      ...loopbackDevices.map(letLoopbackOut),
    ],
    links: [
      ...ofPods.flatMap((objects) => objects.links),
      ...(hasOverlay
        ? [
            {
              kind: 'vxlan',
              name: vxlanName,
              mac: deviceMac(vxlanName, self.name),
              // The routes limit packets to smaller sizes; the device's MTU is only the upper bound. The kernel has no IPv6 at all on a device
              // with less than 1280, so on a narrow underlay the packets of tunnels cross in fragments (addrconf_notify, net/ipv6/addrconf.c).
              mtuBytes: Math.max(
                ...tunnelMtus,
                remoteNodes.widestTunnelBytes,
                families.includes(6) ? minimumMtuV6Bytes : 0,
              ),
              port: settings.vxlanPort,
            } as const,
          ]
        : []),
    ],
    ports,
    addresses: [
      ...ofPods.flatMap((objects) => objects.addresses),
      ...(hasOverlay ? tunnelAddresses([...podCIDRs, ...former]) : []),
    ],
    get neighbours() {
      if (!hasOverlay) return []
      return [
        ...families.map((family) => ({ device: vxlanName, addr: Addr.parse(vtepGateways[family]), mac: vtepMac })),
        ...remote().neighbours,
      ]
    },
    get routes() {
      return [
        ...remote().routes,
        ...remoteNodes.otherRoutes,
        // routers send this node the packets for its pod CIDRs; those for an address that no pod has must not go back to them
        ...(remoteNodes.routing === 'vxlan' && !isAdvertised ? [] : [...self.podCIDRs, ...former].map(blackholeTo)),
        ...coverOf(remoteNodes),
      ]
    },
    get tables() {
      return [
        nodeTable({
          podCIDRs: served,
          podDevices,
          guards,
          clusterCIDRs: allPodCIDRs([...self.podCIDRs, ...former, ...remoteNodes.outsideCIDRs], settings),
          ...(hasOverlay && isComplete && { tunnel: { port: settings.vxlanPort, ends: remote().tunnelEnds } }),
        }),
        ...(hasOverlay ? [takeInTable] : []),
        ...(ofHostPorts ? [ofHostPorts] : []),
      ]
    },
    forwardFor: settings.opensForwardChains ? podDevices : [],
    get passage(): NeededPassage {
      const { vxlan, native } = remoteNodes.wayCounts
      return {
        podDevices,
        podCIDRs: served,
        clusterCIDRs: allPodCIDRs(self.podCIDRs, settings),
        // a node that is alone has the ways that its first neighbour will be reached by
        isNative: native > 0 || !hasOverlay,
        underlayDevices: underlayDevices(remoteNodes),
        ...(hasOverlay &&
          (vxlan > 0 || native === 0) && {
            tunnel: { device: vxlanName, port: settings.vxlanPort, ends: someTunnelEnds(remoteNodes) },
          }),
      }
    },
    ...(datapaths.some(({ hasPrograms }) => hasPrograms) && {
      bpf: planBpf({
        remoteNodes,
        served,
        ports,
        podDevice: podDevices[0]!,
        hasOverlay,
        underlayDevices: () => underlayDevices(remoteNodes),
        deviceMtuBytes,
        settings,
      }),
    }),
  }
  return {
    network,
    podCIDRs,
    formerCIDRs: former,
    hasOverlay,
    neededByPods: ofPods.flatMap(({ links, addresses }): ObjectName[] => [
      ...links.map(({ name }) => ({ kind: 'link', key: name }) as const),
      ...addresses.map((address) => ({ kind: 'address', key: addressKey(address) }) as const),
    ]),
    podMtuBytes: podMtu(self, remoteNodes, underlay, hasOverlay),
    deviceMtuBytes,
  }
}
