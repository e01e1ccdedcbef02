// Next hops: in NEXT_HOP (RFC 4271 section 5.1.3), and in MP_REACH_NLRI (RFC 4760 section 3, RFC 2545, RFC 8950).
import { Addr, type Family } from '#/lib/addr.ts'
import { type PathNextHop } from './values.ts'

/** The valid lengths of a next hop, by family of the routes. Those of VPNs (24, 48) are missing because SAFI 128 is not supported. */
const lengths: Readonly<Record<Family, readonly number[]>> = { 4: [4, 16, 32], 6: [16, 32] }

export function isNextHopLength(length: number, family: Family): boolean {
  return lengths[family].includes(length)
}

/** Reads 4, 16 or 32 octets; with 32 a link-local address follows the global one (RFC 2545 section 3). */
export function readNextHop(bytes: Uint8Array): PathNextHop {
  if (bytes.length !== 32) return { addr: Addr.fromBytes(bytes) }
  const addr = Addr.fromBytes(bytes.subarray(0, 16))
  const second = Addr.fromBytes(bytes.subarray(16))
  if (!second.isLinkLocal || addr.isLinkLocal) return { addr }
  // Some speakers that have only a link-local address leave the first one empty.
  return addr.isUnspecified ? { addr: second } : { addr, linkLocal: second }
}

export function writeNextHop({ addr, linkLocal }: PathNextHop): Uint8Array {
  return linkLocal === undefined ? addr.toBytes() : Buffer.concat([addr.toBytes(), linkLocal.toBytes()])
}

/**
 * What is wrong with a next hop by itself (RFC 4271 section 6.3): no host can have such an address. The RIB checks whether it is on a
 * connected link or our own.
 */
export function nextHopProblem({ addr }: PathNextHop): string | undefined {
  const isReserved = addr.family === 4 && addr.value >> 28n === 0xfn
  return addr.isUnspecified || addr.isMulticast || isReserved ? `next hop ${addr} is no host's` : undefined
}
