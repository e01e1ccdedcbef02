// MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760): prefixes inside attributes. Any fault in these ends the session, because the prefixes that
// they carry are not known then (RFC 7606 sections 3 (g), 3 (j), 5.3, 7.11).
import { attributeAt, AttributeType, optionalNonTransitive, optionalTransitive } from './attributes.ts'
import { familyAt } from './family.ts'
import { isNextHopLength, readNextHop } from './next-hop.ts'
import { readNlri } from './nlri.ts'
import { BgpError, ErrorCode, notificationOf, UpdateSubcode } from './notification.ts'
import { type Announcement, type WireSettings, type Withdrawal } from './values.ts'

export type Multiprotocol = {
  /** `routes` is absent for an unsupported family. */
  readonly reach?: { readonly hasPrefixes: boolean; readonly routes?: Announcement }
  readonly unreach?: { readonly routes?: Withdrawal }
  /** The octets of all other attributes, one after the other. */
  readonly rest: string
}

function malformed(whole: Buffer, what: string): BgpError {
  const data = Uint8Array.from(whole)
  const name = whole[1] === AttributeType.mpReach ? 'MP_REACH_NLRI' : 'MP_UNREACH_NLRI'
  // RFC 4760 section 7
  return new BgpError(notificationOf(ErrorCode.update, UpdateSubcode.optionalAttribute, data), `${name}: ${what}`)
}

/** Reads the attributes between two offsets of a message. */
export function readMultiprotocol(body: Buffer, start: number, end: number, settings: WireSettings): Multiprotocol {
  let reach: Multiprotocol['reach']
  let unreach: Multiprotocol['unreach']
  let rest = ''
  let restAt = start
  for (let at = start; at < end;) {
    const span = attributeAt(body, at, end)
    const type = at + 1 < end ? body[at + 1] : undefined
    const isOurs = type === AttributeType.mpReach || type === AttributeType.mpUnreach
    if (span === undefined) {
      if (isOurs) throw malformed(body.subarray(at, end), 'cut off')
      // Another attribute that is cut off is reported by the reader of `rest`.
      break
    }
    if (isOurs) {
      const whole = body.subarray(at, span.end)
      const value = body.subarray(span.valueAt, span.end)
      if ((type === AttributeType.mpReach ? reach : unreach) !== undefined) {
        throw new BgpError(
          notificationOf(ErrorCode.update, UpdateSubcode.malformedAttributes),
          `attribute ${type} more than once`,
        )
      }
      if ((span.flags & optionalTransitive) !== optionalNonTransitive) {
        throw malformed(whole, `flags 0x${span.flags.toString(16)}`)
      }
      if (type === AttributeType.mpReach) reach = readReach(value, whole, settings)
      else unreach = readUnreach(value, whole, settings)
      rest += body.toString('latin1', restAt, at)
      restAt = span.end
    }
    at = span.end
  }
  rest += body.toString('latin1', restAt, end)
  return { ...(reach === undefined ? {} : { reach }), ...(unreach === undefined ? {} : { unreach }), rest }
}

function readReach(value: Buffer, whole: Buffer, settings: WireSettings): NonNullable<Multiprotocol['reach']> {
  // AFI, SAFI, length of the next hop, the next hop, a reserved octet
  if (value.length < 5) throw malformed(whole, `length ${value.length}`)
  const nlriAt = 5 + value[3]!
  if (nlriAt > value.length) throw malformed(whole, 'next hop beyond the end')
  const hasPrefixes = nlriAt < value.length
  const family = familyAt(value, 0)
  if (family === undefined || !settings.families.includes(family)) return { hasPrefixes }
  if (!isNextHopLength(value[3]!, family)) throw malformed(whole, `next hop of length ${value[3]}`)
  const nlri = readNlri(value, nlriAt, value.length, family)
  if (nlri === undefined) throw malformed(whole, 'prefixes syntactically incorrect')
  return { hasPrefixes, routes: { family, nextHop: readNextHop(value.subarray(4, nlriAt - 1)), nlri } }
}

function readUnreach(value: Buffer, whole: Buffer, settings: WireSettings): NonNullable<Multiprotocol['unreach']> {
  if (value.length < 3) throw malformed(whole, `length ${value.length}`)
  const family = familyAt(value, 0)
  if (family === undefined || !settings.families.includes(family)) return {}
  const nlri = readNlri(value, 3, value.length, family)
  if (nlri === undefined) throw malformed(whole, 'prefixes syntactically incorrect')
  return { routes: { family, nlri } }
}
