// Address families of RFC 4760: only unicast (SAFI 1) of IPv4 (AFI 1) and IPv6 (AFI 2) is supported.
import { type Family } from '#/lib/addr.ts'

const safiUnicast = 1

export function afiOf(family: Family): number {
  return family === 4 ? 1 : 2
}

/** Reads AFI in two octets and SAFI in one, the form in most messages; undefined for an unsupported family. */
export function familyAt(bytes: Buffer, at: number, safiAt = at + 2): Family | undefined {
  if (bytes[safiAt] !== safiUnicast) return undefined
  const afi = bytes.readUInt16BE(at)
  return afi === 1 ? 4 : afi === 2 ? 6 : undefined
}

export function writeFamily(into: Buffer, at: number, family: Family, safiAt = at + 2): void {
  into.writeUInt16BE(afiOf(family), at)
  into[safiAt] = safiUnicast
}
