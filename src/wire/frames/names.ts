// Numbers of protocols, and which layer each leads to. Pure.

/** The layers that are read. */
export type LayerName =
  | 'ethernet'
  | 'vlan'
  | 'arp'
  | 'ipv4'
  | 'ipv6'
  | 'ipv6 options'
  | 'ipv6 routing'
  | 'ipv6 fragment'
  | 'ah'
  | 'icmp'
  | 'icmpv6'
  | 'udp'
  | 'tcp'
  | 'sctp'
  | 'vxlan'
  /** Bytes that are not read any further. */
  | 'payload'

const etherTypes: Readonly<Record<number, { readonly name: string; readonly layer?: LayerName }>> = {
  0x0800: { name: 'IPv4', layer: 'ipv4' },
  0x0806: { name: 'ARP', layer: 'arp' },
  0x8100: { name: 'VLAN', layer: 'vlan' },
  0x86dd: { name: 'IPv6', layer: 'ipv6' },
  0x88a8: { name: 'VLAN of the provider', layer: 'vlan' },
  0x88cc: { name: 'LLDP' },
}

const protocols: Readonly<Record<number, { readonly name: string; readonly layer?: LayerName }>> = {
  0: { name: 'hop-by-hop options', layer: 'ipv6 options' },
  1: { name: 'ICMP', layer: 'icmp' },
  2: { name: 'IGMP' },
  4: { name: 'IPv4', layer: 'ipv4' },
  6: { name: 'TCP', layer: 'tcp' },
  17: { name: 'UDP', layer: 'udp' },
  41: { name: 'IPv6', layer: 'ipv6' },
  43: { name: 'routing', layer: 'ipv6 routing' },
  44: { name: 'fragment', layer: 'ipv6 fragment' },
  47: { name: 'GRE' },
  50: { name: 'ESP' },
  51: { name: 'AH', layer: 'ah' },
  58: { name: 'ICMPv6', layer: 'icmpv6' },
  59: { name: 'nothing' },
  60: { name: 'destination options', layer: 'ipv6 options' },
  132: { name: 'SCTP', layer: 'sctp' },
}

/** Headers that only IPv6 has. */
const onlyIpv6: readonly number[] = [0, 43, 44, 60]

export function etherTypeName(type: number): string | undefined {
  return etherTypes[type]?.name
}

export function layerOfEtherType(type: number): LayerName {
  return etherTypes[type]?.layer ?? 'payload'
}

export function protocolName(protocol: number): string | undefined {
  return protocols[protocol]?.name
}

/** `family`: of the header that tells the protocol. */
export function layerOfProtocol(protocol: number, family: 4 | 6): LayerName {
  return family === 4 && onlyIpv6.includes(protocol) ? 'payload' : (protocols[protocol]?.layer ?? 'payload')
}
