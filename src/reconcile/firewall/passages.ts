// The classes of packets that the pods of this node depend on, and the hooks of the kernel that each of them passes. Pure.
import { type Family, families, Prefix } from '#/lib/addr.ts'
import { portPrefix } from '#/model/names.ts'
import { type NeededPassage } from '#/model/network.ts'
import { type NftHookName } from '#/wire/nftables/ruleset.ts'
import { type DeviceFact, type PacketClass } from './packet.ts'

/** Whose packets they are: pods' to and from other pods, the tunnel's, pods' to their own node. */
export type Purpose = 'pods' | 'tunnel' | 'node'

export type Passage = {
  readonly purpose: Purpose
  /** In words: "packets from pods of this node to pods of other nodes". */
  readonly what: string
  readonly packet: PacketClass
  readonly hooks: readonly NftHookName[]
  /** In which tables: those of the IP families, or those of bridges. */
  readonly layer: 'ip' | 'bridge'
}

const none: DeviceFact = { kind: 'none' }
const underlay: DeviceFact = { kind: 'underlay' }
const named = (name: string): DeviceFact => ({ kind: 'named', name })
const podPort: DeviceFact = { kind: 'beginning', start: portPrefix }

export function passagesOf(needed: NeededPassage): Passage[] {
  return families.flatMap((family) => [...podPassages(needed, family), ...tunnelPassages(needed, family)])
}

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
  const out = 'packets from pods of this node to other pods'
  const back = 'packets from other pods to pods of this node'
  return podDevices.flatMap((device): Passage[] => {
    const bridge = named(device)
    const toNode = { ...tcp, src: own, dst: [], isLocal: true, iif: bridge, oif: none }
    const ports = { ...tcp, bridge: device, src: own, dst: [] }
    return [
      ...away.flatMap((other): Passage[] => {
        const leaving = { ...tcp, src: own, dst: all, isLocal: false, iif: bridge }
        const coming = { ...tcp, src: all, dst: own, isLocal: false, iif: other }
        return [
          { ...forwarded, what: out, packet: { ...leaving, oif: none }, hooks: ['prerouting'] },
          { ...forwarded, what: out, packet: { ...leaving, oif: other }, hooks: ['forward', 'postrouting'] },
          { ...forwarded, what: back, packet: { ...coming, oif: none }, hooks: ['prerouting'] },
          { ...forwarded, what: back, packet: { ...coming, oif: bridge }, hooks: ['forward', 'postrouting'] },
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
    ]
  })
}

function tunnelPassages({ tunnel }: NeededPassage, family: Family): Passage[] {
  const ends = (tunnel?.ends ?? []).filter((addr) => addr.family === family).map((addr) => new Prefix(addr, addr.bits))
  if (tunnel === undefined || ends.length === 0) return []
  // the tunnel's packets are exempt from conntrack by our own table
  const vxlan = { family, protocol: 'udp', dport: tunnel.port, ctState: 'untracked' } as const
  const port = `the tunnel's packets (UDP port ${tunnel.port})`
  const common = { purpose: 'tunnel', layer: 'ip' } as const
  return [
    {
      ...common,
      what: `${port} from other nodes`,
      packet: { ...vxlan, src: ends, dst: [], isLocal: true, iif: underlay, oif: none },
      hooks: ['prerouting', 'input'],
    },
    {
      ...common,
      what: `${port} to other nodes`,
      packet: { ...vxlan, src: [], dst: ends, isLocal: false, iif: none, oif: underlay },
      hooks: ['output', 'postrouting'],
    },
  ]
}
