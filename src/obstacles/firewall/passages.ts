// The classes of packets that the pods of this node depend on, and the hooks of the kernel that each of them passes. Pure.
import { type Family, families, Prefix } from '#/lib/addr.ts'
import { bridgeName, portPrefix } from '#/model/names.ts'
import { type NeededPassage } from '#/model/network.ts'
import { type deviceHookNames } from '#/wire/nftables/numbers.ts'
import { type NftHookName } from '#/wire/nftables/ruleset.ts'
import { type DeviceFact, type PacketClass } from './packet.ts'

/**
 * Whose packets they are: pods' to and from other pods, those that a bridge carries between pods of the node, the tunnel's, pods' to their own node; and
 * what packets between pods keep in chains that replace addresses.
 */
export type Purpose = 'pods' | 'bridged' | 'tunnel' | 'node' | 'source' | 'destination'

export type HookName = NftHookName | (typeof deviceHookNames)[number]

export type Passage = {
  readonly purpose: Purpose
  /** In words: "packets from pods of this node to pods of other nodes". */
  readonly what: string
  readonly packet: PacketClass
  readonly hooks: readonly HookName[]
  /** In which tables: those of the IP families, of bridges, of ARP, those at the ingress and egress of devices, or chains of type nat. */
  readonly layer: 'ip' | 'bridge' | 'arp' | 'device' | 'nat'
}

const none: DeviceFact = { kind: 'none' }
const underlay: DeviceFact = { kind: 'underlay' }
const named = (name: string): DeviceFact => ({ kind: 'named', name })
const podPort: DeviceFact = { kind: 'beginning', start: portPrefix }

/** `filtered`: the families of which a bridge hands frames between its ports to the hooks for what is forwarded. */
export function passagesOf(needed: NeededPassage, filtered: readonly Family[] = []): Passage[] {
  return families.flatMap((family) => [
    ...podPassages(needed, family),
    ...(filtered.includes(family) ? bridgedPassages(needed, family) : []),
    ...podDevicePassages(needed, family),
    ...natPassages(needed, family),
    ...tunnelPassages(needed, family),
  ])
}

const outOfNode = 'packets from pods of this node to other pods'
const intoNode = 'packets from other pods to pods of this node'

function podPassages(
  { podDevices, podCIDRs, clusterCIDRs, isNative, tunnel }: NeededPassage,
  family: Family,
): Passage[] {
  const own = podCIDRs.filter((cidr) => cidr.family === family)
  const all = clusterCIDRs.filter((cidr) => cidr.family === family)
  if (own.length === 0) return []
  const tcp = { family, protocol: 'tcp', ctState: 'new' } as const
  const away = [...(tunnel ? [named(tunnel.device)] : []), ...(isNative ? [underlay] : [])]
  const forwarded = { purpose: 'pods', layer: 'ip' } as const
  return podDevices.flatMap((device): Passage[] => {
    const bridge = named(device)
    const toNode = { ...tcp, src: own, dst: [], isLocal: true, iif: bridge, oif: none }
    const ports = { ...tcp, bridge: device, src: own, dst: [] }
    return [
      ...away.flatMap((other): Passage[] => {
        const leaving = { ...tcp, src: own, dst: all, isLocal: false, iif: bridge }
        const coming = { ...tcp, src: all, dst: own, isLocal: false, iif: other }
        return [
          { ...forwarded, what: outOfNode, packet: { ...leaving, oif: none }, hooks: ['prerouting'] },
          { ...forwarded, what: outOfNode, packet: { ...leaving, oif: other }, hooks: ['forward', 'postrouting'] },
          { ...forwarded, what: intoNode, packet: { ...coming, oif: none }, hooks: ['prerouting'] },
          { ...forwarded, what: intoNode, packet: { ...coming, oif: bridge }, hooks: ['forward', 'postrouting'] },
        ]
      }),
      { purpose: 'node', layer: 'ip', what: 'packets from pods to their own node', packet: toNode, hooks: ['input'] },
      {
        purpose: 'pods',
        layer: 'bridge',
        what: 'frames from pods of this node',
        packet: { ...ports, isLocal: false, iif: podPort, oif: none },
        hooks: ['prerouting', 'input'],
      },
      {
        purpose: 'pods',
        layer: 'bridge',
        what: 'frames between pods of this node',
        packet: { ...ports, dst: own, isLocal: false, iif: podPort, oif: podPort },
        hooks: ['forward'],
      },
      ...(family === 4 ? arpPassages(bridge, own) : []),
    ]
  })
}

/** The hooks take the bridge for both devices of such a packet (br_netfilter). */
function bridgedPassages({ podDevices, podCIDRs }: NeededPassage, family: Family): Passage[] {
  const own = podCIDRs.filter((cidr) => cidr.family === family)
  if (own.length === 0 || !podDevices.includes(bridgeName)) return []
  const packet = { family, protocol: 'tcp', ctState: 'new', src: own, dst: own, isLocal: false } as const
  const common = { purpose: 'bridged', layer: 'ip', what: 'packets between pods of this node' } as const
  const bridge = named(bridgeName)
  return [
    { ...common, packet: { ...packet, iif: bridge, oif: none }, hooks: ['prerouting'] },
    { ...common, packet: { ...packet, iif: bridge, oif: bridge }, hooks: ['forward', 'postrouting'] },
  ]
}

/** Pods find the MAC of their gateway by ARP, and their node finds theirs. */
function arpPassages(device: DeviceFact, own: readonly Prefix[]): Passage[] {
  const arp = { family: 4, isArp: true, protocol: 'tcp', ctState: 'untracked', src: own, dst: own } as const
  const common = { purpose: 'pods', layer: 'arp' } as const
  return [
    {
      ...common,
      what: 'ARP from pods to their gateway',
      packet: { ...arp, isLocal: true, iif: device, oif: none },
      hooks: ['input'],
    },
    {
      ...common,
      what: 'ARP from the gateway to pods',
      packet: { ...arp, isLocal: false, iif: none, oif: device },
      hooks: ['output'],
    },
  ]
}

/** What passes the devices that lead to other nodes, before and after all that the other hooks see. */
function podDevicePassages(
  { podCIDRs, clusterCIDRs, isNative, tunnel, underlayDevices }: NeededPassage,
  family: Family,
): Passage[] {
  const own = podCIDRs.filter((cidr) => cidr.family === family)
  const all = clusterCIDRs.filter((cidr) => cidr.family === family)
  if (own.length === 0) return []
  const tcp = { family, protocol: 'tcp', ctState: 'untracked', isLocal: false, isFrame: true } as const
  const common = { purpose: 'pods', layer: 'device' } as const
  return [...(tunnel ? [tunnel.device] : []), ...(isNative ? underlayDevices : [])].flatMap((name): Passage[] => [
    {
      ...common,
      what: intoNode,
      packet: { ...tcp, src: all, dst: own, iif: named(name), oif: none },
      hooks: ['ingress'],
    },
    {
      ...common,
      what: outOfNode,
      packet: { ...tcp, src: own, dst: all, iif: none, oif: named(name) },
      hooks: ['egress'],
    },
  ])
}

/** Packets between pods of different nodes, whose addresses nobody is to replace: a policy, a log and the pod itself see who sends. */
function natPassages(
  { podDevices, podCIDRs, clusterCIDRs, isNative, tunnel, underlayDevices }: NeededPassage,
  family: Family,
): Passage[] {
  const own = podCIDRs.filter((cidr) => cidr.family === family)
  const all = clusterCIDRs.filter((cidr) => cidr.family === family)
  if (own.length === 0) return []
  const tcp = { family, protocol: 'tcp', ctState: 'new', isLocal: false } as const
  const away = [...(tunnel ? [tunnel.device] : []), ...(isNative ? underlayDevices : [])].map(named)
  return podDevices.map(named).flatMap((device) =>
    away.flatMap((other) =>
      [
        { what: outOfNode, packet: { ...tcp, src: own, dst: all, iif: device }, oif: other },
        { what: intoNode, packet: { ...tcp, src: all, dst: own, iif: other }, oif: device },
      ].flatMap(({ what, packet, oif }): Passage[] => [
        { purpose: 'destination', layer: 'nat', what, packet: { ...packet, oif: none }, hooks: ['prerouting'] },
        { purpose: 'source', layer: 'nat', what, packet: { ...packet, iif: none, oif }, hooks: ['postrouting'] },
      ]),
    ),
  )
}

function tunnelPassages({ tunnel, underlayDevices }: NeededPassage, family: Family): Passage[] {
  const ends = (tunnel?.ends ?? []).filter((addr) => addr.family === family).map((addr) => new Prefix(addr, addr.bits))
  if (tunnel === undefined || ends.length === 0) return []
  // the tunnel's packets are exempt from conntrack by our own table
  const vxlan = { family, protocol: 'udp', dport: tunnel.port, ctState: 'untracked' } as const
  const port = `the tunnel's packets (UDP port ${tunnel.port})`
  const from = { purpose: 'tunnel', what: `${port} from other nodes` } as const
  const to = { purpose: 'tunnel', what: `${port} to other nodes` } as const
  const coming = { ...vxlan, src: ends, dst: [], isLocal: true, iif: underlay, oif: none } as const
  const leaving = { ...vxlan, src: [], dst: ends, isLocal: false, iif: none, oif: underlay } as const
  return [
    { ...from, layer: 'ip', packet: coming, hooks: ['prerouting', 'input'] },
    { ...to, layer: 'ip', packet: leaving, hooks: ['output', 'postrouting'] },
    ...underlayDevices.map(named).flatMap((device): Passage[] => [
      { ...from, layer: 'device', packet: { ...coming, iif: device, isFrame: true }, hooks: ['ingress'] },
      { ...to, layer: 'device', packet: { ...leaving, oif: device, isFrame: true }, hooks: ['egress'] },
    ]),
  ]
}
