// Frames for tests of the eBPF programs, byte by byte from the RFCs and not from the code under test.
import { Addr } from '#/lib/addr.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'

export const etherTypes = { ipv4: 0x0800, arp: 0x0806, rarp: 0x8035, vlan: 0x8100, ipv6: 0x86dd, lldp: 0x88cc } as const
export const protocols = { icmp: 1, tcp: 6, udp: 17, sctp: 132, icmpv6: 58 } as const
export const tcpFlags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const
export const broadcastMac = 'ff:ff:ff:ff:ff:ff'

export function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

export const be16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff]
export const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)]
export const macOf = (text: string): Uint8Array => Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16))
export const addrOf = (text: string): Uint8Array => Addr.parse(text).toBytes()
export const zeros = (count: number): Uint8Array => new Uint8Array(count)

export type Ethernet = { readonly to: string; readonly from: string }

export function ethernet({ to, from }: Ethernet, type: number, payload: Uint8Array): Uint8Array {
  return join(macOf(to), macOf(from), be16(type), payload)
}

/** `at` is changed in a copy. */
export function withBytes(frame: Uint8Array, at: number, bytes: readonly number[] | Uint8Array): Uint8Array {
  const copy = Uint8Array.from(frame)
  copy.set(bytes, at)
  return copy
}

export type Ip = {
  readonly src: string
  readonly dst: string
  readonly hops?: number
  readonly ecn?: number
  readonly protocol?: number
  /** IPv4: options, a multiple of four bytes. */
  readonly options?: Uint8Array
  /** IPv4: the two bytes of flags and fragment offset. */
  readonly fragment?: number
  /** IPv6: extension headers, the first one's type, and their bytes with the last one's next header set to the protocol. */
  readonly extensions?: readonly (readonly [type: number, (next: number) => Uint8Array])[]
}

export function ipv4(
  { src, dst, hops = 64, ecn = 0, protocol = 17, options = zeros(0), fragment = 0 }: Ip,
  payload: Uint8Array,
): Uint8Array {
  const bytes = 20 + options.length
  const header = join(
    [0x40 | (bytes / 4), ecn],
    be16(bytes + payload.length),
    be16(0x1234),
    be16(fragment),
    [hops, protocol, 0, 0],
    addrOf(src),
    addrOf(dst),
    options,
  )
  return join(withBytes(header, 10, be16(internetChecksum(header))), payload)
}

export function ipv6(
  { src, dst, hops = 64, ecn = 0, protocol = 17, extensions = [] }: Ip,
  payload: Uint8Array,
): Uint8Array {
  const types = [...extensions.map(([type]) => type), protocol]
  const chain = join(...extensions.map(([, make], index) => make(types[index + 1]!)))
  return join(
    be32(0x6000_0000 | (ecn << 20)),
    be16(chain.length + payload.length),
    [types[0]!, hops],
    addrOf(src),
    addrOf(dst),
    chain,
    payload,
  )
}

/** Extension headers (RFC 8200 section 4): each takes the type of what follows it. */
export const extension = {
  hopByHop: [0, (next: number) => Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0)],
  destination: [60, (next: number) => Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0)],
  /** The first of two. */
  fragment: [44, (next: number) => Uint8Array.of(next, 0, 0, 1, 0, 0, 0, 7)],
  /** At 1280 bytes. */
  laterFragment: [44, (next: number) => Uint8Array.of(next, 0, 0x05, 0x00, 0, 0, 0, 7)],
} as const satisfies Record<string, readonly [number, (next: number) => Uint8Array]>

const pseudoHeader = (src: string, dst: string, length: number, protocol: number): Uint8Array =>
  join(addrOf(src), addrOf(dst), be32(length), be32(protocol))

/** Sets the checksum at `at` of a message over the pseudo-header of either family, which sum up to the same. */
export function withChecksum(
  { src, dst }: Pick<Ip, 'src' | 'dst'>,
  protocol: number,
  message: Uint8Array,
  at: number,
): Uint8Array {
  const clear = withBytes(message, at, [0, 0])
  return withBytes(clear, at, be16(internetChecksum(join(pseudoHeader(src, dst, message.length, protocol), clear))))
}

export type Ports = { readonly from: number; readonly to: number }

export function udp({ from, to }: Ports, payload: Uint8Array): Uint8Array {
  return join(be16(from), be16(to), be16(8 + payload.length), [0, 0], payload)
}

export function tcp({ from, to }: Ports, payload: Uint8Array, flags: number = tcpFlags.ack): Uint8Array {
  return join(be16(from), be16(to), be32(1000), be32(2000), [0x50, flags], be16(501), [0, 0, 0, 0], payload)
}

export const vxlan = (vni: number, inner: Uint8Array, flags = 0x08): Uint8Array =>
  join([flags, 0, 0, 0], be32(vni << 8), inner)

export type Arp = {
  readonly operation?: number
  readonly sender: readonly [mac: string, addr: string]
  readonly target: readonly [mac: string, addr: string]
}

export function arp({ operation = 1, sender, target }: Arp): Uint8Array {
  const pair = ([mac, addr]: readonly [string, string]) => join(macOf(mac), addrOf(addr))
  return join(be16(1), be16(etherTypes.ipv4), [6, 4], be16(operation), pair(sender), pair(target))
}

export const neighbourTypes = {
  routerSolicitation: 133,
  routerAdvertisement: 134,
  solicitation: 135,
  advertisement: 136,
  redirect: 137,
} as const

/** Options of neighbour discovery (RFC 4861 section 4.6, RFC 3971 section 5.3.2). */
export const option = {
  sourceMac: (mac: string) => join([1, 1], macOf(mac)),
  targetMac: (mac: string) => join([2, 1], macOf(mac)),
  nonce: () => Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6),
} as const

export type Neighbour = {
  readonly src: string
  readonly dst: string
  readonly type: number
  /** Not in a router's solicitation. */
  readonly target?: string
  readonly options?: readonly Uint8Array[]
  readonly flags?: number
}

/** The ICMPv6 message, with its checksum. */
export function neighbour({ src, dst, type, target, options = [], flags = 0 }: Neighbour): Uint8Array {
  const message = join([type, 0, 0, 0], be32(flags), target === undefined ? [] : addrOf(target), ...options)
  return withChecksum({ src, dst }, protocols.icmpv6, message, 2)
}

/** To whom a solicitation goes (RFC 4291 section 2.7.1). */
export function solicitedNode(addr: string): { readonly addr: string; readonly mac: string } {
  const [a, b, c] = addrOf(addr).slice(13)
  const hex = (byte: number | undefined): string => byte!.toString(16).padStart(2, '0')
  return { addr: `ff02::1:ff${hex(a)}:${hex(b)}${hex(c)}`, mac: `33:33:ff:${hex(a)}:${hex(b)}:${hex(c)}` }
}
