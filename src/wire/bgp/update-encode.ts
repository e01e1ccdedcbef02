// Encodes UPDATEs (RFC 4271 section 4.3) with as many prefixes in each message as fit. IPv4 prefixes with an IPv4 next hop are in the body,
// all others in MP_REACH_NLRI or MP_UNREACH_NLRI (RFC 4760, RFC 8950), which come first among the attributes (RFC 7606 section 5.1) so that
// a neighbour finds them even if other attributes are faulty.
import { type Family } from '#/lib/addr.ts'
import { encodeAttribute, encodeAttributes } from './attributes-encode.ts'
import { AttributeType, optionalNonTransitive } from './attributes.ts'
import { writeFamily } from './family.ts'
import { headerBytes, maxMessageBytes, MessageType, writeHeader } from './header.ts'
import { writeNextHop } from './next-hop.ts'
import { type Nlri, type PathAttributes, type PathNextHop, type WireSettings } from './values.ts'

/** The octets of the longest prefix, with its length octet. */
const longest = { 4: 5, 6: 17 } as const

/** The octets of the length fields of withdrawn routes and attributes. */
const fieldBytes = 4
/** The longest header of an attribute: flags, type, extended length. */
const attributeHeaderBytes = 4

export type AnnouncedRoute = {
  readonly family: Family
  readonly nextHop: PathNextHop
  readonly attributes: PathAttributes
}

/**
 * Encodes whole messages, one after the other. LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST go to internal neighbours only (RFC 4271 section
 * 5.1.5, RFC 4456 section 8). Throws RangeError when the attributes leave no room for a prefix, or when the neighbour cannot handle the
 * next hop: the caller must withdraw the routes then.
 */
export function encodeAnnouncements(
  { family, nextHop, attributes }: AnnouncedRoute,
  nlri: readonly Nlri[],
  settings: WireSettings,
): Uint8Array {
  if (family === 4 && nextHop.addr.family === 4) {
    const block = encodeAttributes(attributes, nextHop.addr, settings)
    const room = maxMessageBytes - headerBytes - fieldBytes - block.length
    return messages(pack(nlri, family, room), (prefixes) => update('', block, prefixes))
  }
  if (family === 6 && nextHop.addr.family === 4) {
    throw new RangeError(`IPv6 prefixes cannot have the IPv4 next hop ${nextHop.addr}`)
  }
  if (family === 4 && !settings.extendedNextHop) {
    throw new RangeError(`the neighbour takes no IPv4 prefixes with the IPv6 next hop ${nextHop.addr} (RFC 8950)`)
  }
  const block = encodeAttributes(attributes, undefined, settings)
  const hop = writeNextHop(nextHop)
  const head = Buffer.alloc(5 + hop.length)
  writeFamily(head, 0, family)
  head[3] = hop.length
  head.set(hop, 4)
  const taken = headerBytes + fieldBytes + attributeHeaderBytes + head.length
  return messages(pack(nlri, family, maxMessageBytes - taken - block.length), (prefixes) => {
    const value = Buffer.concat([head, Buffer.from(prefixes, 'latin1')])
    const reach = encodeAttribute(optionalNonTransitive, AttributeType.mpReach, value)
    return update('', Buffer.concat([reach, block]), '')
  })
}

export function encodeWithdrawals(family: Family, nlri: readonly Nlri[]): Uint8Array {
  const room = maxMessageBytes - headerBytes - fieldBytes
  if (family === 4) return messages(pack(nlri, family, room), (prefixes) => update(prefixes, Buffer.alloc(0), ''))
  const chunks = pack(nlri, family, room - attributeHeaderBytes - 3)
  return messages(chunks, (prefixes) => update('', unreach(family, prefixes), ''))
}

/** The End-of-RIB marker of a family (RFC 4724 section 2). */
export function encodeEndOfRib(family: Family): Uint8Array {
  return update('', family === 4 ? Buffer.alloc(0) : unreach(family, ''), '')
}

function unreach(family: Family, prefixes: string): Buffer {
  const value = Buffer.alloc(3 + prefixes.length)
  writeFamily(value, 0, family)
  value.write(prefixes, 3, 'latin1')
  return encodeAttribute(optionalNonTransitive, AttributeType.mpUnreach, value)
}

/** Packs prefixes in their wire form into pieces of at most `room` octets. */
function pack(nlri: readonly Nlri[], family: Family, room: number): string[] {
  if (room < longest[family]) {
    throw new RangeError(
      `path attributes too large: no prefix fits beside them into a message of ${maxMessageBytes} octets`,
    )
  }
  const chunks: string[] = []
  let start = 0
  let size = 0
  for (const [index, prefix] of nlri.entries()) {
    if (size + prefix.length > room) {
      chunks.push(nlri.slice(start, index).join(''))
      start = index
      size = 0
    }
    size += prefix.length
  }
  if (size > 0) chunks.push(nlri.slice(start).join(''))
  return chunks
}

function messages(chunks: readonly string[], encode: (prefixes: string) => Uint8Array): Uint8Array {
  return chunks.length === 1 ? encode(chunks[0]!) : Buffer.concat(chunks.map(encode))
}

function update(withdrawn: string, attributes: Uint8Array, prefixes: string): Buffer {
  const message = Buffer.alloc(headerBytes + fieldBytes + withdrawn.length + attributes.length + prefixes.length)
  writeHeader(message, 0, MessageType.update, message.length)
  const attributesAt = headerBytes + fieldBytes + withdrawn.length
  message.writeUInt16BE(withdrawn.length, headerBytes)
  message.write(withdrawn, headerBytes + 2, 'latin1')
  message.writeUInt16BE(attributes.length, attributesAt - 2)
  message.set(attributes, attributesAt)
  message.write(prefixes, attributesAt + attributes.length, 'latin1')
  return message
}
