// FNV-1a (Fowler, Noll, Vo), 32 bits: a short name for a text. It must not be used for texts that an adversary chooses.

const offsetBasis = 0x811c9dc5
const prime = 0x01000193

/** The hash in eight hex digits. */
export function fnv1a(text: string): string {
  let hash = offsetBasis
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, prime)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
