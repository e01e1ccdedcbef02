// Every frame that a pod could send to get past policies: destination MAC, source address, encapsulation and protocol, each with each.
import { families, type Family } from '#/lib/addr.ts'
import {
  be16,
  be32,
  broadcastMac,
  etherTypes,
  ethernet,
  extension,
  ipv4,
  ipv6,
  join,
  protocols,
  tcp,
  tcpFlags,
  udp,
  withChecksum,
  zeros,
} from '../ebpf/frames.ts'
import { addrOf, type TestPod } from './table-node.ts'

/** A frame, named by what it is made of. */
type SweepFrame = { readonly name: string; readonly frame: Uint8Array }

type Packet = { readonly family: Family; readonly bytes: Uint8Array }
/** From the destination and source MAC of a frame, and the packet in it. */
type Wrapping = (macs: Uint8Array, packet: Packet) => Uint8Array

const typeOf = ({ family }: Packet): number => (family === 4 ? etherTypes.ipv4 : etherTypes.ipv6)
const other = ({ family }: Packet): number => (family === 4 ? etherTypes.ipv6 : etherTypes.ipv4)
const PPP = { 4: 0x0021, 6: 0x0057 } as const

/** What may stand between the MAC addresses and the packet. */
const wrappings: Readonly<Record<string, Wrapping>> = {
  plain: (macs, packet) => join(macs, be16(typeOf(packet)), packet.bytes),
  'VLAN 0': (macs, packet) => join(macs, be16(0x8100), be16(0), be16(typeOf(packet)), packet.bytes),
  'VLAN 5': (macs, packet) => join(macs, be16(0x8100), be16(5), be16(typeOf(packet)), packet.bytes),
  '802.1ad 0': (macs, packet) => join(macs, be16(0x88a8), be16(0), be16(typeOf(packet)), packet.bytes),
  'two tags': (macs, packet) =>
    join(macs, be16(0x88a8), be16(0), be16(0x8100), be16(0), be16(typeOf(packet)), packet.bytes),
  'two tags of 802.1Q': (macs, packet) =>
    join(macs, be16(0x8100), be16(0), be16(0x8100), be16(0), be16(typeOf(packet)), packet.bytes),
  'LLC and SNAP': (macs, packet) =>
    join(macs, be16(packet.bytes.length + 8), [0xaa, 0xaa, 3, 0, 0, 0], be16(typeOf(packet)), packet.bytes),
  'LLC of IP': (macs, packet) => join(macs, be16(packet.bytes.length + 3), [6, 6, 3], packet.bytes),
  '802.3': (macs, packet) => join(macs, be16(packet.bytes.length), packet.bytes),
  'the other family': (macs, packet) => join(macs, be16(other(packet)), packet.bytes),
  'a tag, the other family': (macs, packet) => join(macs, be16(0x8100), be16(0), be16(other(packet)), packet.bytes),
  PPPoE: (macs, packet) =>
    join(macs, be16(0x8864), [0x11, 0, 0, 1], be16(packet.bytes.length + 2), be16(PPP[packet.family]), packet.bytes),
  MPLS: (macs, packet) => join(macs, be16(0x8847), be32(0x0000_0140), packet.bytes),
  Ethernet: (macs, packet) => join(macs, be16(0x6558), macs, be16(typeOf(packet)), packet.bytes),
}

const text = (mark: string): Uint8Array => new TextEncoder().encode(mark)

type Ends = { readonly family: Family; readonly src: string; readonly dst: string }

/** An ICMP message of this type, with a checksum. */
function echo({ family, src, dst }: Ends, payload: Uint8Array): Uint8Array {
  const message = join([family === 4 ? 8 : 128, 0, 0, 0, 0, 1, 0, 1], payload)
  if (family === 6) return withChecksum({ src, dst }, protocols.icmpv6, message, 2)
  let sum = 0
  for (let at = 0; at < message.length; at += 2) sum += (message[at]! << 8) | (message[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  message.set(be16(~sum & 0xffff), 2)
  return message
}

const ip = ({ family, ...ends }: Ends, protocol: number, payload: Uint8Array): Uint8Array =>
  (family === 4 ? ipv4 : ipv6)({ ...ends, protocol }, payload)

const syn = (ends: Ends, payload: Uint8Array): Uint8Array =>
  withChecksum(ends, protocols.tcp, tcp({ from: 40_000, to: 80 }, payload, tcpFlags.syn), 16)

/** The next header is 59, "none": what comes behind it is no header (RFC 8200 section 4.7). */
const NO_NEXT_HEADER = 59
const GRE = 47

/** What may be in the packet, each in its packet of IP. */
const contents: Readonly<Record<string, (ends: Ends, payload: Uint8Array) => Uint8Array>> = {
  SYN: (ends, payload) => ip(ends, protocols.tcp, syn(ends, payload)),
  ACK: (ends, payload) =>
    ip(ends, protocols.tcp, withChecksum(ends, protocols.tcp, tcp({ from: 40_001, to: 80 }, payload), 16)),
  UDP: (ends, payload) =>
    ip(ends, protocols.udp, withChecksum(ends, protocols.udp, udp({ from: 40_000, to: 80 }, payload), 6)),
  echo: (ends, payload) => ip(ends, ends.family === 4 ? protocols.icmp : protocols.icmpv6, echo(ends, payload)),
  'IP in IP': (ends, payload) => {
    const inner = { ...ends, src: addrOf(ends.family, 3) }
    return ip(ends, ends.family === 4 ? 4 : 41, ip(inner, protocols.tcp, syn(inner, payload)))
  },
  GRE: (ends, payload) => {
    const inner = { ...ends, src: addrOf(ends.family, 3) }
    const type = ends.family === 4 ? etherTypes.ipv4 : etherTypes.ipv6
    return ip(ends, GRE, join(be16(0), be16(type), ip(inner, protocols.tcp, syn(inner, payload))))
  },
  'no known protocol': (ends, payload) => ip(ends, 253, payload),
  'options, or headers before TCP': (ends, payload) =>
    ends.family === 4
      ? ipv4({ ...ends, protocol: protocols.tcp, options: Uint8Array.of(1, 1, 1, 1, 7, 7, 4, 0) }, syn(ends, payload))
      : ipv6(
          { ...ends, protocol: protocols.tcp, extensions: [extension.hopByHop, extension.destination] },
          syn(ends, payload),
        ),
  'source route, or no next header': (ends, payload) =>
    ends.family === 4
      ? ipv4(
          {
            ...ends,
            dst: addrOf(4, 1),
            protocol: protocols.tcp,
            options: join([1, 131, 7, 4], Uint8Array.from(ends.dst.split('.').map(Number))),
          },
          syn(ends, payload),
        )
      : ipv6({ ...ends, protocol: NO_NEXT_HEADER, extensions: [extension.destination] }, payload),
  'a first fragment': (ends, payload) =>
    ends.family === 4
      ? ipv4({ ...ends, protocol: protocols.udp, fragment: 0x2000 }, join(udp({ from: 1, to: 80 }, payload), zeros(4)))
      : ipv6(
          { ...ends, protocol: protocols.udp, extensions: [extension.fragment] },
          join(udp({ from: 1, to: 80 }, payload), zeros(4)),
        ),
  'a later fragment': (ends, payload) =>
    ends.family === 4
      ? ipv4({ ...ends, protocol: protocols.udp, fragment: 0x00a0 }, payload)
      : ipv6({ ...ends, protocol: protocols.udp, extensions: [extension.laterFragment] }, payload),
}

/** Sources of this family: the sender's own, those of others, and those of nobody. */
const sources: Readonly<Record<Family, readonly string[]>> = {
  4: [3, 2, 1]
    .map((number) => addrOf(4, number))
    .concat(
      addrOf(4, 9, true),
      '172.30.1.1',
      '172.30.1.2',
      '0.0.0.0',
      '127.0.0.1',
      '169.254.1.1',
      '224.0.0.1',
      '255.255.255.255',
    ),
  6: [3, 2, 1]
    .map((number) => addrOf(6, number))
    .concat(addrOf(6, 9, true), 'fd30::1', 'fd30::2', '::', '::1', 'fe80::4', 'ff02::1', '::ffff:10.244.1.3'),
}

/** The ends of a sweep: pods with the addresses that `addrOf` gives for their numbers. */
export type SweepPod = Pick<TestPod, 'number' | 'port' | 'isRemote'>

/** Each frame has its number, as `#N#`, in it. */
function* framesOf(from: SweepPod, to: SweepPod, nodeMac: string): Generator<SweepFrame> {
  const targets = {
    'MAC of the pod': to.port.mac,
    'MAC of the node': nodeMac,
    broadcast: broadcastMac,
    'group of IPv4': '01:00:5e:00:00:01',
    'group of IPv6': '33:33:00:00:00:01',
    'group of bridges': '01:80:c2:00:00:00',
    'group of LLDP': '01:80:c2:00:00:0e',
    'MAC of nobody': '02:00:00:00:00:77',
  }
  let number = 0
  for (const family of families)
    for (const src of [addrOf(family, from.number), ...sources[family]])
      for (const [content, make] of Object.entries(contents))
        for (const [target, mac] of Object.entries(targets))
          for (const [wrapping, wrap] of Object.entries(wrappings)) {
            const ends = { family, src, dst: addrOf(family, to.number, to.isRemote) }
            const bytes = make(ends, text(`#${++number}#`))
            const macs = ethernet({ to: mac, from: from.port.mac }, 0, zeros(0)).subarray(0, 12)
            yield { name: `${content} from ${src}, ${target}, ${wrapping}`, frame: wrap(macs, { family, bytes }) }
          }
}

/** Sends all frames from one pod to another. Returns how many they were, and the names of those that arrived. */
export async function sweep(
  from: SweepPod,
  to: SweepPod,
  nodeMac: string,
): Promise<{ readonly sent: number; readonly arrived: ReadonlySet<string> }> {
  const names: string[] = []
  const arrived = new Set<string>()
  const collect = (frames: readonly Uint8Array[]): void => {
    for (const frame of frames) {
      const [, number] = /#(\d+)#/.exec(Buffer.from(frame).toString('latin1')) ?? []
      if (number !== undefined) arrived.add(names[Number(number) - 1]!)
    }
  }
  to.port.take()
  for (const { name, frame } of framesOf(from, to, nodeMac)) {
    names.push(name)
    from.port.send(frame)
    // more would not fit into the receiver's buffer
    if (names.length % 50 === 0) collect(to.port.take())
  }
  collect(await to.port.collect(200))
  return { sent: names.length, arrived }
}
