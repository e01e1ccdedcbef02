// Frames by which everybody on a link learns that an address has another MAC now: an ARP announcement (RFC 5227 section 3), or an
// unsolicited neighbour advertisement (RFC 4861 section 7.2.6). Who has no entry for the address makes none.
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'
import { macBytes } from './mac.ts'

const ETH_P_IP = 0x0800
const ETH_P_ARP = 0x0806
const ETH_P_IPV6 = 0x86dd
const ethernetBytes = 14
const ARPHRD_ETHER = 1
const ARPOP_REQUEST = 1
const ipv6HeaderBytes = 40
const protocolIcmpv6 = 58
/** A message that comes from beyond the link has less (RFC 4861 section 7.1.2). */
const hopLimit = 255
const neighbourAdvertisement = 136
/** The flag Override: what a neighbour has noted is replaced. Solicited and Router are not set (RFC 4861 section 4.4). */
const overrideFlag = 0x2000_0000
const targetLinkLayerAddress = 2
/** Type, code, checksum, flags, target, and one option of eight bytes. */
const advertisementBytes = 8 + 16 + 8
const allNodes = Addr.parse('ff02::1')

function frame(to: string, from: string, etherType: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ethernetBytes + payload.length)
  bytes.set(macBytes(to))
  bytes.set(macBytes(from), 6)
  viewOf(bytes).setUint16(12, etherType)
  bytes.set(payload, ethernetBytes)
  return bytes
}

/** An ARP request for the address, of the address: an announcement is a request, which hosts take note of, and not a reply (RFC 5227). */
function arpAnnouncement(addr: Addr, mac: string): Uint8Array {
  const bytes = new Uint8Array(28)
  const view = viewOf(bytes)
  view.setUint16(0, ARPHRD_ETHER)
  view.setUint16(2, ETH_P_IP)
  view.setUint8(4, 6)
  view.setUint8(5, 4)
  view.setUint16(6, ARPOP_REQUEST)
  bytes.set(macBytes(mac), 8)
  bytes.set(addr.toBytes(), 14)
  bytes.set(addr.toBytes(), 24)
  return bytes
}

function unsolicitedAdvertisement(addr: Addr, mac: string): Uint8Array {
  const bytes = new Uint8Array(ipv6HeaderBytes + advertisementBytes)
  const view = viewOf(bytes)
  view.setUint8(0, 6 << 4)
  view.setUint16(4, advertisementBytes)
  view.setUint8(6, protocolIcmpv6)
  view.setUint8(7, hopLimit)
  bytes.set(addr.toBytes(), 8)
  bytes.set(allNodes.toBytes(), 24)
  const message = bytes.subarray(ipv6HeaderBytes)
  const fields = viewOf(message)
  fields.setUint8(0, neighbourAdvertisement)
  fields.setUint32(4, overrideFlag)
  message.set(addr.toBytes(), 8)
  message.set([targetLinkLayerAddress, 1, ...macBytes(mac)], 24)
  fields.setUint16(2, checksumOf(bytes.subarray(8, ipv6HeaderBytes), message))
  return bytes
}

/** The checksum of an ICMPv6 message with the pseudo-header of its addresses (RFC 8200 section 8.1). */
function checksumOf(addresses: Uint8Array, message: Uint8Array): number {
  const rest = new Uint8Array(8)
  viewOf(rest).setUint32(0, message.length)
  rest[7] = protocolIcmpv6
  return internetChecksum(Uint8Array.from([...addresses, ...rest, ...message]))
}

/** The whole Ethernet frame that tells everybody on the link that `addr` has the MAC `mac` ("02:00:00:00:00:0c"). */
export function announcementOf(addr: Addr, mac: string): Uint8Array {
  return addr.family === 4
    ? frame('ff:ff:ff:ff:ff:ff', mac, ETH_P_ARP, arpAnnouncement(addr, mac))
    : // the multicast MAC of ff02::1 (RFC 2464 section 7)
      frame('33:33:00:00:00:01', mac, ETH_P_IPV6, unsolicitedAdvertisement(addr, mac))
}
