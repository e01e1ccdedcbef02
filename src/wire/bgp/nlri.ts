// Prefixes in messages (RFC 4271 section 4.3): see Nlri.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type Nlri } from './values.ts'

const maxLength = { 4: 32, 6: 128 } as const

/** V8 makes strings of fewer characters by copying; longer pieces of a string would keep the whole of it in memory. */
const leastSliced = 13

export function nlriOf(prefix: Prefix): Nlri {
  const octets = (prefix.length + 7) >> 3
  const bytes = prefix.addr.toBytes()
  let text = String.fromCharCode(prefix.length)
  for (let index = 0; index < octets; index++) text += String.fromCharCode(bytes[index]!)
  return text as Nlri
}

/** The prefix of an Nlri of that family; throws AddrError when it is of none. */
export function prefixOf(nlri: Nlri, family: Family): Prefix {
  if (family === 4) return new Prefix(new Addr(4, BigInt(value4(nlri))), nlri.charCodeAt(0))
  const bytes = new Uint8Array(maxLength[family] / 8)
  for (let index = 1; index < nlri.length; index++) bytes[index - 1] = nlri.charCodeAt(index)
  return new Prefix(Addr.fromBytes(bytes), nlri.charCodeAt(0))
}

/** Whole tables are read this way: several times as fast as by bytes. */
function value4(nlri: Nlri): number {
  let value = 0
  for (let index = 1; index <= 4; index++) value = value * 256 + (index < nlri.length ? nlri.charCodeAt(index) : 0)
  return value
}

/**
 * The prefixes between two offsets; undefined when the field is syntactically incorrect (RFC 7606 section 5.3): a length over the
 * family's, or more octets than there are.
 */
export function readNlri(bytes: Buffer, start: number, end: number, family: Family): Nlri[] | undefined {
  const most = maxLength[family]
  const found: Nlri[] = []
  if (start === end) return found
  const whole = bytes.toString('latin1', start, end)
  for (let at = start; at < end;) {
    const length = bytes[at]!
    const next = at + 1 + ((length + 7) >> 3)
    if (length > most || next > end) return undefined
    const spare = length & 7
    if (spare !== 0 && (bytes[next - 1]! & (0xff >> spare)) !== 0) {
      // RFC 4271 section 4.3: the value of trailing bits is irrelevant
      const last = bytes[next - 1]! & ~(0xff >> spare)
      found.push((bytes.toString('latin1', at, next - 1) + String.fromCharCode(last)) as Nlri)
    } else if (next - at < leastSliced) found.push(whole.slice(at - start, next - start) as Nlri)
    else found.push(bytes.toString('latin1', at, next) as Nlri)
    at = next
  }
  return found
}

/** RFC 4271 section 6.3: a multicast prefix in a unicast family is semantically incorrect, and ignored. */
export function isMulticast(nlri: Nlri, family: Family): boolean {
  const length = nlri.charCodeAt(0)
  return family === 4 ? length >= 4 && nlri.charCodeAt(1) >> 4 === 0xe : length >= 8 && nlri.charCodeAt(1) === 0xff
}
