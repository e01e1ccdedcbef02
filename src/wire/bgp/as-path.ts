// AS_PATH and AS4_PATH: segments of AS numbers (RFC 4271 sections 4.3 and 9.1.2.2, RFC 5065, RFC 6793).
import { type AsSegment } from './values.ts'

/** The number in two octets for an AS number that needs four (RFC 6793 section 9). */
export const AS_TRANS = 23456

/** The octets of an AS number. */
export type AsnWidth = 2 | 4

const kinds = [undefined, 'set', 'sequence', 'confedSequence', 'confedSet'] as const
const types: Readonly<Record<AsSegment['kind'], number>> = { set: 1, sequence: 2, confedSequence: 3, confedSet: 4 }

const maxSegment = 255

export function isSet({ kind }: AsSegment): boolean {
  return kind === 'set' || kind === 'confedSet'
}

export function isConfed({ kind }: AsSegment): boolean {
  return kind === 'confedSequence' || kind === 'confedSet'
}

/** Reads the segments, or says in words what is malformed (RFC 7606 section 7.2, RFC 7607). */
export function readAsPath(value: Buffer, width: AsnWidth): AsSegment[] | string {
  const segments: AsSegment[] = []
  for (let at = 0; at < value.length;) {
    if (at + 2 > value.length) return 'a single octet after the last segment'
    const kind = kinds[value[at]!]
    const count = value[at + 1]!
    const end = at + 2 + count * width
    if (kind === undefined) return `segment type ${value[at]}`
    if (count === 0) return 'an empty segment'
    if (end > value.length) return 'a segment beyond the end'
    const asns: number[] = []
    for (let index = at + 2; index < end; index += width) {
      const asn = width === 4 ? value.readUInt32BE(index) : value.readUInt16BE(index)
      if (asn === 0) return 'AS 0'
      asns.push(asn)
    }
    segments.push({ kind, asns: asns.slice() })
    at = end
  }
  // A copy has no spare capacity; it is kept as long as the route.
  return segments.slice()
}

/** Writes the segments; one with more AS numbers than its count field can hold is split. */
export function writeAsPath(path: readonly AsSegment[], width: AsnWidth): Buffer {
  const parts: Buffer[] = []
  for (const { kind, asns } of path) {
    for (let start = 0; start < asns.length; start += maxSegment) {
      const some = asns.slice(start, start + maxSegment)
      const part = Buffer.alloc(2 + some.length * width)
      part[0] = types[kind]
      part[1] = some.length
      some.forEach((asn, index) => {
        if (width === 4) part.writeUInt32BE(asn, 2 + index * 4)
        else part.writeUInt16BE(twoOctets(asn), 2 + index * 2)
      })
      parts.push(part)
    }
  }
  return Buffer.concat(parts)
}

export function twoOctets(asn: number): number {
  return asn > 0xffff ? AS_TRANS : asn
}

/** The AS4_PATH that an old speaker must get as well; undefined when two octets suffice for the whole path (RFC 6793 section 4.2.2). */
export function as4PathOf(path: readonly AsSegment[]): readonly AsSegment[] | undefined {
  return path.some(({ asns }) => asns.some((asn) => asn > 0xffff))
    ? path.filter((segment) => !isConfed(segment))
    : undefined
}

/**
 * The real path from what an old speaker sent (RFC 6793 section 4.2.3): it ends with AS4_PATH, which new speakers wrote, and begins with
 * the ASes that old speakers added to AS_PATH alone.
 */
export function mergeAs4Path(path: readonly AsSegment[], as4Path: readonly AsSegment[]): readonly AsSegment[] {
  let missing = asPathLength(path) - asPathLength(as4Path)
  if (missing < 0) return path
  const leading: AsSegment[] = []
  for (const segment of path) {
    // Confederation segments are never in AS4_PATH: those before or next to the prepended ASes belong to the leading part.
    if (isConfed(segment)) leading.push(segment)
    else if (missing === 0) break
    else if (segment.kind === 'set' || segment.asns.length <= missing) {
      leading.push(segment)
      missing -= countOf(segment)
    } else {
      leading.push({ kind: segment.kind, asns: segment.asns.slice(0, missing) })
      break
    }
  }
  return join(leading, as4Path)
}

/** Joins the two parts; a sequence that was cut in two becomes one again. */
function join(leading: readonly AsSegment[], rest: readonly AsSegment[]): readonly AsSegment[] {
  const [last, first] = [leading.at(-1), rest[0]]
  const isSeam = last?.kind === 'sequence' && first?.kind === 'sequence'
  if (!isSeam || last.asns.length + first.asns.length > maxSegment) return [...leading, ...rest]
  return [...leading.slice(0, -1), { kind: 'sequence', asns: [...last.asns, ...first.asns] }, ...rest.slice(1)]
}

function countOf(segment: AsSegment): number {
  return isConfed(segment) ? 0 : segment.kind === 'set' ? 1 : segment.asns.length
}

/** The length of a path (RFC 4271 section 9.1.2.2): a set counts as one, confederation segments not at all (RFC 5065 section 5.3). */
export function asPathLength(path: readonly AsSegment[]): number {
  return path.reduce((sum, segment) => sum + countOf(segment), 0)
}

const brackets: Readonly<Record<AsSegment['kind'], readonly [open: string, between: string, close: string]>> = {
  sequence: ['', ' ', ''],
  set: ['{', ',', '}'],
  confedSequence: ['(', ' ', ')'],
  confedSet: ['[', ',', ']'],
}

/** A path as routers write it: "65001 65002 {65003,65004}". */
export function asPathText(path: readonly AsSegment[]): string {
  return path
    .map(({ kind, asns }) => {
      const [open, between, close] = brackets[kind]
      return `${open}${asns.join(between)}${close}`
    })
    .join(' ')
}
