// Keys of sets and maps (NftKey): as the kernel's bytes, and as text. Each part of a key with several is padded to four bytes.
import { Addr } from '#/lib/addr.ts'
import { keyTypes } from './numbers.ts'
import { type NftKey, type NftKeyType, type NftLookup, RulesetError } from './ruleset.ts'

export const keyBytes = {
  ipv4_addr: 4,
  ipv6_addr: 16,
  inet_proto: 1,
  inet_service: 2,
  ifname: 16,
} as const satisfies Record<NftKeyType, number>

/** How nft numbers a type with several parts (its TYPE_BITS). */
const bitsPerType = 6
/** A complete name: IFNAMSIZ is 16 with the NUL. */
const deviceName = /^[^\s/"*]{1,15}$/

/** The room that a part takes in a key, or in registers. */
export function paddedBytes(type: NftKeyType): number {
  return (keyBytes[type] + 3) & ~3
}

/** The kernel's number for the type of such keys, and their length in bytes. */
export function keyLayout(types: readonly NftKeyType[]): { readonly keyType: number; readonly keyLength: number } {
  const keyType = types.reduce((number, type) => (number << bitsPerType) | keyTypes[type], 0)
  if (types.length === 1) return { keyType, keyLength: keyBytes[types[0]!] }
  return { keyType, keyLength: types.reduce((sum, type) => sum + paddedBytes(type), 0) }
}

/** The type of the keys that are made of a packet's fields. */
export function typeOfLookup({ fields, family }: NftLookup): NftKeyType[] {
  return fields.map((field) => {
    switch (field) {
      case 'saddr':
      case 'daddr':
        return family === 6 ? 'ipv6_addr' : 'ipv4_addr'
      case 'l4proto':
        return 'inet_proto'
      case 'sport':
      case 'dport':
        return 'inet_service'
      default:
        return 'ifname'
    }
  })
}

/** Throws RulesetError when the key is not of this type. */
export function checkKey(name: string, types: readonly NftKeyType[], key: NftKey): void {
  if (key.length !== types.length || !types.every((type, index) => isPart(type, key[index]!)))
    throw new RulesetError(`${name} of ${types.join(' . ')} cannot hold ${key.join(' . ')}`)
}

function isPart(type: NftKeyType, part: NftKey[number]): boolean {
  switch (type) {
    case 'ipv4_addr':
      return part instanceof Addr && part.family === 4
    case 'ipv6_addr':
      return part instanceof Addr && part.family === 6
    case 'ifname':
      return typeof part === 'string' && deviceName.test(part)
    default:
      return typeof part === 'number' && Number.isInteger(part) && part >= 0 && part < 256 ** keyBytes[type]
  }
}

export function encodeKey(types: readonly NftKeyType[], key: NftKey): Uint8Array {
  const bytes = new Uint8Array(keyLayout(types).keyLength)
  let offset = 0
  types.forEach((type, index) => {
    putPart(bytes, offset, type, key[index]!)
    offset += paddedBytes(type)
  })
  return bytes
}

function putPart(bytes: Uint8Array, offset: number, type: NftKeyType, part: NftKey[number]): void {
  if (part instanceof Addr) bytes.set(part.toBytes(), offset)
  else if (typeof part === 'string') bytes.set(new TextEncoder().encode(part), offset)
  else if (type === 'inet_proto') bytes[offset] = part
  else bytes.set([part >> 8, part & 0xff], offset)
}

/** The key of these bytes; undefined when they are no key of this type. */
export function decodeKey(types: readonly NftKeyType[], bytes: Uint8Array): NftKey | undefined {
  if (bytes.length !== keyLayout(types).keyLength) return undefined
  let offset = 0
  return types.map((type) => {
    const part = bytes.subarray(offset, offset + keyBytes[type])
    offset += paddedBytes(type)
    return decodePart(type, part)
  })
}

function decodePart(type: NftKeyType, bytes: Uint8Array): NftKey[number] {
  switch (type) {
    case 'ipv4_addr':
    case 'ipv6_addr':
      return Addr.fromBytes(bytes)
    case 'ifname': {
      const end = bytes.indexOf(0)
      return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
    }
    default:
      return bytes.reduce((number, byte) => number * 256 + byte, 0)
  }
}

/** A key as `nft` reads it. */
export function keyText(key: NftKey): string {
  return key.map((part) => (typeof part === 'string' ? `"${part}"` : part.toString())).join(' . ')
}
