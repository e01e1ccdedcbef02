// The plan: from what the cluster says to the kernel state this node should have. Pure: same input, same sorted output.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { bridgeName, deviceMac, vtepGateways, vtepMac, vxlanName } from '#/model/names.ts'
import {
  type DesiredAddress,
  type DesiredNetwork,
  type DesiredRoute,
  type DesiredSysctl,
  type NetworkSettings,
  type NodeState,
  type PortState,
  type Problem,
  type UnderlayMtu,
} from '#/model/network.ts'
import { settleClaims } from './claims.ts'
import { masqueradeTable, overlayTable } from './masquerade.ts'
import { outerFamily, routesTo, tunnelMtu } from './overlay.ts'

export type PlanInput = {
  readonly self: NodeState
  /** All nodes of the cluster; whether `self` is among them makes no difference. */
  readonly nodes: readonly NodeState[]
  readonly underlay: UnderlayMtu
  readonly ports: readonly PortState[]
  readonly settings: NetworkSettings
}

export type Plan = {
  readonly network: DesiredNetwork
  readonly problems: readonly Problem[]
  /** Those of this node's pod CIDRs that are its alone: pods get addresses from them. */
  readonly podCIDRs: readonly Prefix[]
  /** The largest packet of a family that reaches every node through the tunnel. */
  readonly overlayMtuBytes: { readonly [F in Family]?: number }
  /** For pods' devices: what the underlay carries without a tunnel. */
  readonly deviceMtuBytes: number
}

/** What a pod's device gets while no underlay address is known. */
const defaultMtuBytes = 1500

/** Without other nodes the family of the pods itself is what a tunnel will use. */
function overlayMtu(self: NodeState, underlay: UnderlayMtu, routes: readonly DesiredRoute[]): Plan['overlayMtuBytes'] {
  const families = ([4, 6] as const).filter((family) => self.podCIDRs.some((cidr) => cidr.family === family))
  return Object.fromEntries(
    families.flatMap((family) => {
      const own = tunnelMtu(underlay, outerFamily(self, self, family) ?? family)
      const all = routes.filter(({ dst }) => dst.family === family).map(({ mtuBytes }) => mtuBytes)
      const smallest = Math.min(...all, ...(own === undefined ? [] : [own]))
      return Number.isFinite(smallest) ? [[family, smallest]] : []
    }),
  )
}

function forwarding(families: readonly Family[]): DesiredSysctl[] {
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

function gateways(self: NodeState): DesiredAddress[] {
  return self.podCIDRs.map((cidr) => ({ device: bridgeName, addr: cidr.at(1), prefixLength: cidr.length }))
}

export function planNetwork(input: PlanInput): Plan {
  const { settings, underlay, ports } = input
  const others = input.nodes.filter(({ name }) => name !== input.self.name)
  const settled = settleClaims([input.self, ...others])
  const self = settled.nodes.find(({ name }) => name === input.self.name)!
  const peers = settled.nodes.filter(({ name }) => name !== self.name)
  const toPeers = peers.map((peer) => routesTo(peer, self, underlay, settings))
  const families = ([4, 6] as const).filter((family) => self.podCIDRs.some((cidr) => cidr.family === family))
  const tunnelMtus = ([4, 6] as const).flatMap((outer) => tunnelMtu(underlay, outer) ?? [])
  const hasOverlay = tunnelMtus.length > 0
  const routes = toPeers.flatMap((each) => each.routes).toSorted((a, b) => a.dst.compare(b.dst))
  const network: DesiredNetwork = {
    sysctls: forwarding(families),
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
    ports: ports.map((port) => ({ ...port, bridge: bridgeName })),
    addresses: gateways(self),
    neighbours: hasOverlay
      ? families.map((family) => ({ device: vxlanName, addr: Addr.parse(vtepGateways[family]), mac: vtepMac }))
      : [],
    routes,
    tables: [masqueradeTable(self, settled.nodes, settings), ...(hasOverlay ? [overlayTable] : [])],
  }
  return {
    network,
    problems: [...settled.problems, ...toPeers.flatMap(({ problems }) => problems)],
    podCIDRs: self.podCIDRs,
    overlayMtuBytes: overlayMtu(self, underlay, routes),
    deviceMtuBytes: Math.min(...Object.values(underlay), hasOverlay ? Infinity : defaultMtuBytes),
  }
}
