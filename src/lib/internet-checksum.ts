// The checksum of IPv4, ICMP, UDP and TCP.
import { viewOf } from './bytes.ts'

/** The checksum of RFC 1071; it is 0 for bytes that include their own right checksum. */
export function internetChecksum(bytes: Uint8Array): number {
  const view = viewOf(bytes)
  let sum = 0
  for (let offset = 0; offset + 1 < bytes.length; offset += 2) sum += view.getUint16(offset)
  if (bytes.length % 2 === 1) sum += bytes.at(-1)! << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
