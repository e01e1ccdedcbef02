// What a fault in an UPDATE costs: a table of our own, made from RFC 7606 and the documents of the attributes. Each row
// is an UPDATE of good attributes and one prefix, in which the row's attributes replace those of their types. It is read
// as from an external neighbour and as from an internal one, and a good UPDATE after it must be understood unless the
// session ended.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { BgpError, MessageReader, type PathAttributes, type Update, type WireSettings } from './index.ts'
import { bytesOf, framed, plainSettings as settings } from './testing/messages.ts'

type Outcome = 'accepted' | 'discard' | 'withdraw' | `reset ${number}/${number}`

const ok = 'accepted'
const discard = 'discard'
const withdraw = 'withdraw'

type Shape = {
  /** Octets of the body's fields, hexadecimal. */
  readonly withdrawn?: string
  readonly nlri?: string
  /** Only the row's attributes. */
  readonly isAlone?: true
  /** Types of good attributes that are left out. */
  readonly without?: readonly number[]
  /** Octets after the last attribute that belong to the list. */
  readonly tail?: string
  readonly settings?: Partial<WireSettings>
}

/** Attributes: "flags type value" in hexadecimal, several with a comma between. */
type Expected = Outcome | readonly [external: Outcome, internal: Outcome]
type Row = readonly [name: string, clause: string, attributes: string, expected: Expected, shape?: Shape]

const malformed = 'reset 3/1'
const unrecognized = 'reset 3/2'
const origin = 'reset 3/6'
const optional = 'reset 3/9'
const network = 'reset 3/10'

const global = '20010db8000000000000000000000001'
const local = 'fe800000000000000000000000000001'
/** 2001:db8:1::/48. */
const net = '3020010db80001'
const mp6 = '80 0e 000201'
const mp4 = '80 0e 000101'
const reach = `${mp6} 10 ${global} 00 ${net}`
const twoOctets: Shape = { settings: { fourOctetAsn: false } }
const only6: Shape = { without: [3], nlri: '' }
const plainNextHop: Shape = { ...only6, settings: { extendedNextHop: false } }
const nothing: Shape = { nlri: '' }
const alone: Shape = { nlri: '', isAlone: true }
/** AS_PATH of a two-octet speaker: AS_TRANS, 65001. */
const narrowPath = '40 02 0202 5ba0 fde9'

const rows: readonly Row[] = [
  // ORIGIN
  ['ORIGIN IGP', '4271 4.3', '40 01 00', ok],
  ['ORIGIN EGP', '4271 4.3', '40 01 01', ok],
  ['ORIGIN INCOMPLETE', '4271 4.3', '40 01 02', ok],
  ['ORIGIN with extended length', '4271 4.3', '50 01 00', ok],
  ['ORIGIN with unused flag bits', '4271 4.3', '4f 01 00', ok],
  ['ORIGIN of value 3', '7606 7.1', '40 01 03', withdraw],
  ['ORIGIN of value 255', '7606 7.1', '40 01 ff', withdraw],
  ['ORIGIN empty', '7606 7.1', '40 01', withdraw],
  ['ORIGIN of two octets', '7606 7.1', '40 01 0000', withdraw],
  ['ORIGIN optional transitive', '7606 3 (c)', 'c0 01 00', withdraw],
  ['ORIGIN optional', '7606 3 (c)', '80 01 00', withdraw],
  ['ORIGIN without flags', '7606 3 (c)', '00 01 00', withdraw],
  ['ORIGIN partial: that bit is not judged', '7606 3 (c)', '60 01 00', ok],
  ['ORIGIN missing', '7606 3 (d)', '', withdraw, { without: [1] }],
  ['ORIGIN twice, the first good', '7606 3 (g)', '40 01 00, 40 01 03', discard],
  ['ORIGIN twice, the first bad', '7606 3 (g)', '40 01 03, 40 01 00', withdraw],
  // AS_PATH
  ['AS_PATH of one AS', '4271 4.3', '40 02 0201 0000fde9', ok],
  ['AS_PATH empty', '7606 4', '40 02', ok],
  ['AS_PATH of two sequences', '4271 4.3', '40 02 0201 0000fde9 0201 0000fdea', ok],
  ['AS_PATH of segment type 0', '7606 7.2', '40 02 0001 0000fde9', withdraw],
  ['AS_PATH of segment type 5', '7606 7.2', '40 02 0501 0000fde9', withdraw],
  ['AS_PATH with an empty segment', '7606 7.2', '40 02 0200', withdraw],
  ['AS_PATH with an empty segment at its end', '7606 7.2', '40 02 0201 0000fde9 0200', withdraw],
  ['AS_PATH with a segment overrun', '7606 7.2', '40 02 0202 0000fde9', withdraw],
  ['AS_PATH with a segment of 255 that is not there', '7606 7.2', '40 02 02ff 0000fde9', withdraw],
  ['AS_PATH with a single octet left', '7606 7.2', '40 02 0201 0000fde9 02', withdraw],
  ['AS_PATH of a single octet', '7606 7.2', '40 02 02', withdraw],
  ['AS_PATH of two-octet numbers on a four-octet session', '7606 7.2', '40 02 0201 fde9', withdraw],
  ['AS_PATH optional', '7606 3 (c)', 'c0 02 0201 0000fde9', withdraw],
  ['AS_PATH missing', '7606 3 (d)', '', withdraw, { without: [2] }],
  ['AS_PATH twice', '7606 3 (g)', '40 02 0201 0000fde9, 40 02 0201 0000fdea', discard],
  ['AS_PATH with AS 0', '7607 2', '40 02 0201 00000000', withdraw],
  ['AS_PATH with AS 0 behind others', '7607 2', '40 02 0202 0000fde9 00000000', withdraw],
  ['AS_PATH with an AS_SET', '9774 3', '40 02 0201 0000fde9 0102 0000fdea 0000fdeb', withdraw],
  ['AS_PATH with an AS_CONFED_SET', '9774 3', '40 02 0401 0000fde9', withdraw],
  ['AS_PATH with an AS_CONFED_SEQUENCE', '5065 5', '40 02 0301 0000fde9', [withdraw, ok]],
  // NEXT_HOP
  ['NEXT_HOP of a host', '4271 4.3', '40 03 c0000202', ok],
  ['NEXT_HOP of three octets', '7606 7.3', '40 03 c00002', withdraw],
  ['NEXT_HOP of sixteen octets', '7606 7.3', '40 03 20010db8000000000000000000000001', withdraw],
  ['NEXT_HOP empty', '7606 7.3', '40 03', withdraw],
  ['NEXT_HOP optional', '7606 3 (c)', 'c0 03 c0000202', withdraw],
  ['NEXT_HOP 0.0.0.0', '4271 6.3', '40 03 00000000', withdraw],
  ['NEXT_HOP multicast', '4271 6.3', '40 03 e0000001', withdraw],
  ['NEXT_HOP of class E', '4271 6.3', '40 03 f0000001', withdraw],
  ['NEXT_HOP broadcast', '4271 6.3', '40 03 ffffffff', withdraw],
  ['NEXT_HOP missing', '7606 3 (d)', '', withdraw, { without: [3] }],
  ['NEXT_HOP beside MP_REACH alone is ignored', '4760 3', `${reach}, 40 03 00000000`, ok, { nlri: '' }],
  // MULTI_EXIT_DISC
  ['MULTI_EXIT_DISC', '4271 4.3', '80 04 0000000a', ok],
  ['MULTI_EXIT_DISC of three octets', '7606 7.4', '80 04 00000a', withdraw],
  ['MULTI_EXIT_DISC of five octets', '7606 7.4', '80 04 000000000a', withdraw],
  ['MULTI_EXIT_DISC empty', '7606 7.4', '80 04', withdraw],
  ['MULTI_EXIT_DISC transitive', '7606 3 (c)', 'c0 04 0000000a', withdraw],
  ['MULTI_EXIT_DISC twice', '7606 3 (g)', '80 04 0000000a, 80 04 0000000b', discard],
  // LOCAL_PREF
  ['LOCAL_PREF', '7606 7.5', '40 05 00000064', [discard, ok]],
  ['LOCAL_PREF of three octets', '7606 7.5', '40 05 000064', [discard, withdraw]],
  ['LOCAL_PREF of five octets', '7606 7.5', '40 05 0000000064', [discard, withdraw]],
  ['LOCAL_PREF empty', '7606 7.5', '40 05', [discard, withdraw]],
  ['LOCAL_PREF optional', '7606 3 (c)', 'c0 05 00000064', [discard, withdraw]],
  // ATOMIC_AGGREGATE
  ['ATOMIC_AGGREGATE', '4271 4.3', '40 06', ok],
  ['ATOMIC_AGGREGATE of one octet', '7606 7.6', '40 06 00', discard],
  ['ATOMIC_AGGREGATE of four octets', '7606 7.6', '40 06 00000000', discard],
  ['ATOMIC_AGGREGATE optional', '7606 3 (c)', 'c0 06', withdraw],
  // AGGREGATOR
  ['AGGREGATOR', '6793 3', 'c0 07 0000fde9 c0000201', ok],
  ['AGGREGATOR of six octets on a four-octet session', '7606 7.7', 'c0 07 fde9 c0000201', discard],
  ['AGGREGATOR of seven octets', '7606 7.7', 'c0 07 0000fde9 c00002', discard],
  ['AGGREGATOR empty', '7606 7.7', 'c0 07', discard],
  ['AGGREGATOR not optional', '7606 3 (c)', '40 07 0000fde9 c0000201', withdraw],
  ['AGGREGATOR with AS 0', '7607 2', 'c0 07 00000000 c0000201', discard],
  ['AGGREGATOR of six octets on a two-octet session', '6793 3', `${narrowPath}, c0 07 fde9 c0000201`, ok, twoOctets],
  ['AGGREGATOR of eight octets there', '7606 7.7', `${narrowPath}, c0 07 0000fde9 c0000201`, discard, twoOctets],
  // COMMUNITIES
  ['COMMUNITIES', '1997', 'c0 08 fde90001 fde90002', ok],
  ['COMMUNITIES partial', '4271 5', 'e0 08 fde90001', ok],
  ['COMMUNITIES empty', '7606 7.8', 'c0 08', withdraw],
  ['COMMUNITIES of three octets', '7606 7.8', 'c0 08 fde900', withdraw],
  ['COMMUNITIES of five octets', '7606 7.8', 'c0 08 fde9000100', withdraw],
  ['COMMUNITIES not transitive', '7606 3 (c)', '80 08 fde90001', withdraw],
  ['COMMUNITIES well-known', '7606 3 (c)', '40 08 fde90001', withdraw],
  ['COMMUNITIES twice', '7606 3 (g)', 'c0 08 fde90001, c0 08 fde90002', discard],
  // ORIGINATOR_ID
  ['ORIGINATOR_ID', '7606 7.9', '80 09 c0000201', [discard, ok]],
  ['ORIGINATOR_ID of three octets', '7606 7.9', '80 09 c00002', [discard, withdraw]],
  ['ORIGINATOR_ID of five octets', '7606 7.9', '80 09 c000020100', [discard, withdraw]],
  ['ORIGINATOR_ID empty', '7606 7.9', '80 09', [discard, withdraw]],
  ['ORIGINATOR_ID transitive', '7606 3 (c)', 'c0 09 c0000201', [discard, withdraw]],
  // CLUSTER_LIST
  ['CLUSTER_LIST', '7606 7.10', '80 0a c0000201 c0000202', [discard, ok]],
  ['CLUSTER_LIST empty', '7606 7.10', '80 0a', [discard, withdraw]],
  ['CLUSTER_LIST of five octets', '7606 7.10', '80 0a c000020100', [discard, withdraw]],
  ['CLUSTER_LIST transitive', '7606 3 (c)', 'c0 0a c0000201', [discard, withdraw]],
  // MP_REACH_NLRI
  ['MP_REACH', '4760 3', reach, ok, only6],
  ['MP_REACH last in the list', '7606 5.1', `40 05 00000064, ${reach}`, [discard, ok], only6],
  ['MP_REACH beside IPv4 prefixes', '4760 3', reach, ok],
  ['MP_REACH with a link-local next hop too', '2545 3', `${mp6} 20 ${global} ${local} 00 ${net}`, ok, only6],
  ['MP_REACH with a link-local next hop only', '2545 3', `${mp6} 10 ${local} 00 ${net}`, ok, only6],
  ['MP_REACH with a reserved octet set', '4760 3', `${mp6} 10 ${global} ff ${net}`, ok, only6],
  ['MP_REACH twice', '7606 3 (g)', `${reach}, ${reach}`, malformed, only6],
  ['MP_REACH transitive', '7606 5.3', reach.replace('80', 'c0'), optional, only6],
  ['MP_REACH well-known', '7606 5.3', reach.replace('80', '40'), optional, only6],
  ['MP_REACH partial', '7606 5.3', reach.replace('80', 'a0'), ok, only6],
  ['MP_REACH empty', '7606 5.3', '80 0e', optional, only6],
  ['MP_REACH of four octets', '7606 5.3', `${mp6} 00`, optional, only6],
  ['MP_REACH with next hop beyond its end', '7606 7.11', `${mp6} 20 ${global} 00`, optional, only6],
  ['MP_REACH without its reserved octet', '7606 5.3', `${mp6} 10 ${global}`, optional, only6],
  ['MP_REACH without a next hop', '7606 7.11', `${mp6} 00 00 ${net}`, optional, only6],
  ['MP_REACH of IPv6 with an IPv4 next hop', '7606 7.11', `${mp6} 04 c0000201 00 ${net}`, optional, only6],
  ['MP_REACH with a VPN next hop', '7606 7.11', `${mp6} 18 0000000000000000${global} 00 ${net}`, optional, only6],
  ['MP_REACH with two VPN next hops', '7606 7.11', `${mp6} 30 ${'00'.repeat(48)} 00 ${net}`, optional, only6],
  ['MP_REACH with next hop ::', '4271 6.3', `${mp6} 10 ${'00'.repeat(16)} 00 ${net}`, withdraw, only6],
  ['MP_REACH with a multicast next hop', '4271 6.3', `${mp6} 10 ff02${'00'.repeat(14)} 00 ${net}`, withdraw, only6],
  ['MP_REACH with a prefix of 129 bits', '7606 5.3', `${mp6} 10 ${global} 00 81${'00'.repeat(17)}`, optional, only6],
  ['MP_REACH with a prefix cut off', '7606 5.3', `${mp6} 10 ${global} 00 3020010db800`, optional, only6],
  ['MP_REACH without ORIGIN', '7606 3 (d)', reach, withdraw, { nlri: '', without: [1, 3] }],
  ['MP_REACH without AS_PATH', '7606 3 (d)', reach, withdraw, { nlri: '', without: [2, 3] }],
  ['MP_REACH without anything else', '7606 3 (d)', reach, withdraw, alone],
  ['MP_REACH with a bad ORIGIN', '7606 7.1', `${reach}, 40 01 03`, withdraw, only6],
  ['MP_REACH of IPv4 with an IPv4 next hop', '4760 3', `${mp4} 04 c0000201 00 18c63364`, ok, only6],
  ['MP_REACH of IPv4 with an IPv6 next hop', '8950 3', `${mp4} 10 ${global} 00 18c63364`, ok, only6],
  ['MP_REACH of IPv4 with two IPv6 next hops', '8950 3', `${mp4} 20 ${global} ${local} 00 18c63364`, ok, only6],
  ['MP_REACH of IPv4, not agreed on', '8950 4', `${mp4} 10 ${global} 00 18c63364`, withdraw, plainNextHop],
  ['MP_REACH of IPv4 with a VPN next hop', '8950 3', `${mp4} 18 ${'00'.repeat(24)} 00 18c63364`, optional, only6],
  ['MP_REACH of IPv4 with a prefix of 33 bits', '7606 5.3', `${mp4} 04 c0000201 00 21c633640000`, optional, only6],
  // MP_UNREACH_NLRI
  ['MP_UNREACH beside IPv4 prefixes', '4760 4', `80 0f 000201 ${net}`, ok],
  ['MP_UNREACH twice', '7606 3 (g)', '80 0f 000201, 80 0f 000201', malformed],
  ['MP_UNREACH transitive', '7606 5.3', `c0 0f 000201 ${net}`, optional],
  ['MP_UNREACH of two octets', '7606 5.3', '80 0f 0002', optional],
  ['MP_UNREACH empty', '7606 5.3', '80 0f', optional],
  ['MP_UNREACH with a prefix of 200 bits', '7606 5.3', `80 0f 000201 c8${'00'.repeat(25)}`, optional],
  ['MP_UNREACH with a prefix cut off', '7606 5.3', '80 0f 000201 3020010d', optional],
  // EXTENDED COMMUNITIES, LARGE_COMMUNITY
  ['EXTENDED COMMUNITIES', '4360 2', 'c0 10 0002fde900000001', ok],
  ['EXTENDED COMMUNITIES empty', '7606 7.14', 'c0 10', withdraw],
  ['EXTENDED COMMUNITIES of nine octets', '7606 7.14', 'c0 10 0002fde90000000100', withdraw],
  ['EXTENDED COMMUNITIES not transitive', '7606 3 (c)', '80 10 0002fde900000001', withdraw],
  ['LARGE_COMMUNITY', '8092 3', 'c0 20 0000fde90000000100000002', ok],
  ['LARGE_COMMUNITY empty', '8092 6', 'c0 20', withdraw],
  ['LARGE_COMMUNITY of thirteen octets', '8092 6', 'c0 20 0000fde9000000010000000200', withdraw],
  ['LARGE_COMMUNITY not transitive', '7606 3 (c)', '80 20 0000fde90000000100000002', withdraw],
  // AS4_PATH, AS4_AGGREGATOR
  ['AS4_PATH from a four-octet speaker', '6793 4.1', 'c0 11 0201 00011170', discard],
  ['AS4_PATH malformed from a four-octet speaker', '6793 4.1', '80 11 0001', discard],
  ['AS4_AGGREGATOR from a four-octet speaker', '6793 4.1', 'c0 12 00011170 c0000201', discard],
  ['AS4_PATH', '6793 4.2.3', `${narrowPath}, c0 11 0201 00011170`, ok, twoOctets],
  ['AS4_PATH of four octets', '6793 6', `${narrowPath}, c0 11 0201 0001`, discard, twoOctets],
  ['AS4_PATH empty', '6793 6', `${narrowPath}, c0 11`, discard, twoOctets],
  ['AS4_PATH with a segment overrun', '6793 6', `${narrowPath}, c0 11 0202 00011170`, discard, twoOctets],
  ['AS4_PATH of segment type 7', '6793 6', `${narrowPath}, c0 11 0701 00011170`, discard, twoOctets],
  ['AS4_PATH with AS 0', '7607 2', `${narrowPath}, c0 11 0201 00000000`, discard, twoOctets],
  ['AS4_PATH with an AS_SET', '9774 3', `${narrowPath}, c0 11 0101 00011170`, withdraw, twoOctets],
  ['AS4_PATH cleared of an AS_CONFED_SEQUENCE', '6793 6', `${narrowPath}, c0 11 0301 00011170`, ok, twoOctets],
  ['AS4_PATH not transitive', '7606 3 (c)', `${narrowPath}, 80 11 0201 00011170`, withdraw, twoOctets],
  ['AS4_AGGREGATOR', '6793 4.2.3', `${narrowPath}, c0 12 00011170 c0000201`, ok, twoOctets],
  ['AS4_AGGREGATOR of six octets', '6793 6', `${narrowPath}, c0 12 0001 c0000201`, discard, twoOctets],
  ['AS4_AGGREGATOR with AS 0', '7607 2', `${narrowPath}, c0 12 00000000 c0000201`, discard, twoOctets],
  // Unknown ones
  ['unknown optional transitive', '4271 5', 'c0 63 0102', ok],
  ['unknown optional transitive, empty', '4271 5', 'c0 63', ok],
  ['unknown optional not transitive', '4271 5', '80 63 0102', ok],
  ['unknown optional twice', '7606 3 (g)', 'c0 63 0102, c0 63 0304', discard],
  ['unknown well-known', '4271 6.3', '40 63 0102', unrecognized],
  ['unknown without flags', '4271 6.3', '00 63 0102', unrecognized],
  // Lists and fields
  ['two faults of the same weight', '7606 3 (h)', '40 01 03, 80 04 00', withdraw],
  ['a discard and a withdraw', '7606 3 (h)', '40 06 00, 80 04 00', withdraw],
  ['a withdraw and a reset', '7606 3 (h)', '80 04 00, 40 63 0102', unrecognized],
  ['a withdraw and a reset of MP_REACH', '7606 3 (h)', '40 01 03, 80 0e', optional],
  ['the last attribute longer than the list', '7606 4', '', withdraw, { tail: '80 04 04 0000' }],
  ['the last attribute of 255 octets that are not there', '7606 4', '', withdraw, { tail: 'c0 08 ff fde90001' }],
  ['one octet left in the list', '7606 4', '', withdraw, { tail: '80' }],
  ['two octets left in the list', '7606 4', '', withdraw, { tail: '80 04' }],
  ['three octets left where four are needed', '7606 4', '', withdraw, { tail: '90 04 00' }],
  ['MP_UNREACH longer than the list', '7606 3 (j)', '', optional, { tail: '80 0f 09 000201' }],
  ['MP_REACH with its length cut off', '7606 3 (j)', '', optional, { tail: '80 0e' }],
  ['a prefix of 33 bits', '7606 5.3', '', network, { nlri: '21c633640000' }],
  ['a prefix of 255 bits', '7606 5.3', '', network, { nlri: `ff${'00'.repeat(32)}` }],
  ['a prefix cut off', '7606 5.3', '', network, { nlri: '18c633' }],
  ['a withdrawn prefix of 33 bits', '7606 3 (i)', '', network, { withdrawn: '21c633640000' }],
  ['a withdrawn prefix cut off', '7606 3 (i)', '', network, { withdrawn: '18c633' }],
  ["bits beyond a prefix's length", '4271 4.3', '', ok, { nlri: '17c63365' }],
  ['the default route', '4271 4.3', '', ok, { nlri: '00' }],
  // RFC 7606 section 5.2
  ['no prefixes and no fault', '7606 5.2', '', ok, nothing],
  ['no prefixes and a bad ORIGIN', '7606 5.2', '40 01 03', origin, alone],
  ['no prefixes and a bad MULTI_EXIT_DISC', '7606 5.2', '80 04 00', 'reset 3/5', alone],
  ['no prefixes and bad flags', '7606 5.2', 'c0 01 00', 'reset 3/4', alone],
  ['no prefixes and a list cut off', '7606 5.2', '', malformed, { nlri: '', tail: '80' }],
  ['no prefixes and an attribute to discard', '7606 5.2', '40 06 00', discard, nothing],
  ['only withdrawn prefixes and a bad ORIGIN', '7606 5.2', '40 01 03', origin, { ...alone, withdrawn: '18c63364' }],
  ['only MP_UNREACH and a bad ORIGIN', '7606 5.2', `80 0f 000201 ${net}, 40 01 03`, origin, alone],
  ['only MP_UNREACH', '7606 5.2', `80 0f 000201 ${net}`, ok, alone],
  ['only withdrawn prefixes', '4271 4.3', '', ok, { ...alone, withdrawn: '18c63364' }],
  ['MP_REACH without prefixes and a bad ORIGIN', '7606 5.2', `${mp6} 10 ${global} 00, 40 01 03`, origin, alone],
]

function attribute(text: string): Buffer {
  const [flags, type, ...value] = text.trim().split(' ')
  const bytes = bytesOf(value.join(''))
  const isExtended = (Number.parseInt(flags!, 16) & 0x10) !== 0
  const length = isExtended ? Buffer.of(bytes.length >> 8, bytes.length) : Buffer.of(bytes.length)
  return Buffer.concat([bytesOf(flags! + type!), length, bytes])
}

const good = new Map([
  [1, '40 01 00'],
  [2, '40 02 0201 0000fde9'],
  [3, '40 03 c0000201'],
])

function message(attributes: readonly Buffer[], shape: Shape): Buffer {
  const field = (bytes: Buffer): Buffer => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length), bytes])
  const withdrawn = field(bytesOf(shape.withdrawn ?? ''))
  const list = field(Buffer.concat([...attributes, bytesOf(shape.tail ?? '')]))
  return framed(2, Buffer.concat([withdrawn, list, bytesOf(shape.nlri ?? '18c63364')]))
}

function listOf(text: string, shape: Shape): Buffer[] {
  const own = text === '' ? [] : text.split(',').map(attribute)
  const replaced = new Set([...own.map((bytes) => bytes[1]), ...(shape.without ?? [])])
  if (shape.isAlone) return own
  const rest = [...good].filter(([type]) => !replaced.has(type)).map(([, each]) => attribute(each))
  return [...own, ...rest]
}

const sentinel = message([...good.values()].map(attribute), {})

type Read = { readonly outcome: Outcome; readonly update?: Update; readonly data?: Buffer }

function read(bytes: Buffer, withSettings: WireSettings): Read {
  const reader = new MessageReader()
  reader.push(bytes)
  reader.push(sentinel)
  try {
    const first = reader.next(withSettings)
    assert(first?.kind === 'update')
    const second = reader.next({ ...withSettings, fourOctetAsn: true })
    assert(second?.kind === 'update')
    assert.equal(second.update.announced.length, 1)
    assert.deepEqual(second.update.faults, [])
    return { outcome: outcomeOf(first.update), update: first.update }
  } catch (error) {
    if (!(error instanceof BgpError)) throw error
    const { code, subcode, data } = error.notification
    return { outcome: `reset ${code}/${subcode}`, data: Buffer.from(data) }
  }
}

function outcomeOf({ faults }: Update): Outcome {
  if (faults.some((fault) => fault.startsWith('treat as withdraw: '))) return withdraw
  if (faults.some((fault) => fault.startsWith('attribute discard: '))) return discard
  assert.deepEqual(faults, [])
  return ok
}

for (const [name, clause, attributes, outcomes, shape = {}] of rows) {
  for (const [index, neighbour] of ['external', 'internal'].entries()) {
    const expected = typeof outcomes === 'string' ? outcomes : outcomes[index]!
    test(`${name}, from an ${neighbour} neighbour: ${expected} (RFC ${clause})`, () => {
      const isInternal = neighbour === 'internal'
      const attributeList = listOf(attributes, shape)
      const bytes = message(attributeList, shape)
      const { outcome, update, data } = read(bytes, { ...settings, ...shape.settings, isInternal })
      assert.equal(outcome, expected)
      if (expected === withdraw) {
        assert.deepEqual(update?.announced, [])
        assert.equal(update?.attributes, undefined)
        assert.equal(update?.withdrawn.length, 1)
        assert.equal(update?.withdrawn[0]?.nlri.length, 1)
      }
      // RFC 4271 section 6.3: these come with the whole attribute: one of the list or, cut off, what is behind it
      if (/3\/[24569]$/.test(expected)) {
        assert([...attributeList, bytesOf(shape.tail ?? '')].some((each) => each.equals(data!)))
      }
      if (expected === discard && shape.nlri !== '' && shape.settings === undefined) {
        assert.deepEqual(update?.attributes, keptOf(attributes))
      }
    })
  }
}

/** What is left when attributes are discarded: the good ones, and the first of those that are there twice. */
function keptOf(text: string): PathAttributes {
  const types = text.split(',').map((each) => attribute(each)[1])
  const isTwice = types.length === 2
  return {
    origin: 0,
    asPath: [{ kind: 'sequence', asns: [65001] }],
    ...(isTwice && types[0] === 4 ? { med: 10 } : {}),
    ...(isTwice && types[0] === 8 ? { communities: [0xfde90001] } : {}),
    ...(isTwice && types[0] === 0x63 ? { unknown: [{ flags: 0xe0, type: 0x63, value: Uint8Array.of(1, 2) }] } : {}),
  }
}

test('what is discarded beside MP_REACH_NLRI leaves its prefixes announced', () => {
  const list = [attribute(reach), attribute('40 06 00'), attribute(good.get(1)!), attribute(good.get(2)!)]
  const { update } = read(message(list, only6), settings)
  assert.equal(update?.announced[0]?.nextHop.addr.toString(), Addr.parse('2001:db8::1').toString())
  assert.deepEqual(update?.announced[0]?.nlri, ['\x30\x20\x01\x0d\xb8\x00\x01'])
})

test('a fault costs all prefixes of the message: those of the body, those of MP_REACH_NLRI', () => {
  const list = [attribute(reach), attribute('40 01 03'), attribute(good.get(2)!), attribute(good.get(3)!)]
  const { update } = read(message(list, { withdrawn: '0ac040' }), settings)
  assert.deepEqual(update?.withdrawn, [
    { family: 4, nlri: ['\x0a\xc0\x40'] },
    { family: 4, nlri: ['\x18\xc6\x33\x64'] },
    { family: 6, nlri: ['\x30\x20\x01\x0d\xb8\x00\x01'] },
  ])
  assert.deepEqual(update?.treatedAsWithdrawn, {
    routes: update?.withdrawn.slice(1),
    because: 'ORIGIN: value 3',
  })
})

test('routes of a family that was not agreed on are ignored, with the faults in them', () => {
  const only4: WireSettings = { ...settings, families: [4] }
  const strange = reach.replace('3020010db80001', 'ff20')
  const { update, outcome } = read(message(listOf(strange, {}), {}), only4)
  assert.equal(outcome, ok)
  assert.deepEqual(
    update?.announced.map(({ family }) => family),
    [4],
  )
})

test('prefixes of a family that is not ours are prefixes: a fault in their attributes does not end the session', () => {
  const vpn = attribute(reach.replace(mp6, '80 0e 000280'))
  const { update, outcome } = read(message([vpn, attribute('40 01 03')], alone), settings)
  assert.equal(outcome, withdraw)
  assert.deepEqual(update?.withdrawn, [])
})

test('the table has no two rows of the same name', () => {
  assert.equal(new Set(rows.map(([name]) => name)).size, rows.length)
  assert(rows.length >= 100)
})
