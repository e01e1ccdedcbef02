// The messages of nf_tables (include/uapi/linux/netfilter/nf_tables.h, nfnetlink.h): a short header and attributes. Only the attributes
// that our tables, chains, rules and sets need are here.
import { viewOf, WireError, type Writer, written } from '#/lib/bytes.ts'
import { type Attrs, be32, be64, type Codec, listOf, nest, raw, text } from '../netlink/attr.ts'

/** The subsystem's number, which is the high byte of its message types. */
export const NFNL_SUBSYS_NFTABLES = 10
/** The multicast group in which the kernel announces changed tables. */
export const NFNLGRP_NFTABLES = 7

const base = NFNL_SUBSYS_NFTABLES << 8
export const NFT_MSG_NEWTABLE = base
export const NFT_MSG_GETTABLE = base | 1
export const NFT_MSG_DELTABLE = base | 2
export const NFT_MSG_NEWCHAIN = base | 3
export const NFT_MSG_GETCHAIN = base | 4
export const NFT_MSG_DELCHAIN = base | 5
export const NFT_MSG_NEWRULE = base | 6
export const NFT_MSG_GETRULE = base | 7
export const NFT_MSG_DELRULE = base | 8
export const NFT_MSG_NEWSET = base | 9
export const NFT_MSG_GETSET = base | 10
export const NFT_MSG_DELSET = base | 11
export const NFT_MSG_NEWSETELEM = base | 12
export const NFT_MSG_GETSETELEM = base | 13
export const NFT_MSG_DELSETELEM = base | 14
export const NFT_MSG_NEWGEN = base | 15
export const NFT_MSG_GETGEN = base | 16

const familyNumbers = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const
export type NftFamilyName = keyof typeof familyNumbers
export const nftFamilyNames = Object.keys(familyNumbers) as readonly NftFamilyName[]

export function isNftFamilyName(name: string): name is NftFamilyName {
  return Object.hasOwn(familyNumbers, name)
}

const familyNames = new Map(Object.entries(familyNumbers).map(([name, number]) => [number as number, name]))

/** The length of struct nfgenmsg, which stands before the attributes. */
export const nftHeaderBytes = 4

/** Encodes struct nfgenmsg and attributes; without a family, for objects that have none or to dump all families. */
export function encodeNft<T>(family: NftFamilyName | undefined, codec: Codec<T>, attrs: T): Uint8Array {
  return written((into) => {
    putHeader(into, family === undefined ? 0 : familyNumbers[family], 0)
    codec.encode(attrs, into)
  })
}

function putHeader(into: Writer, family: number, resource: number): void {
  into.u8(family)
  into.u8(0)
  into.u16be(resource)
}

/** The header of the messages that begin and end a batch: it names the subsystem. */
export function encodeBatchHeader(subsystem: number): Uint8Array {
  return written((into) => putHeader(into, 0, subsystem))
}

/** Decodes the attributes of an answer or a notification. Throws WireError. */
export function decodeNft<T>(payload: Uint8Array, codec: Codec<T>): T {
  if (payload.length < nftHeaderBytes) throw new WireError('nftables message cut off', 0)
  return codec.decode(payload.subarray(nftHeaderBytes))
}

/** The name of a message's family; "family 99" for an unknown number. */
export function nftFamilyOf(payload: Uint8Array): string {
  if (payload.length < nftHeaderBytes) throw new WireError('nftables message cut off', 0)
  const number = viewOf(payload).getUint8(0)
  return familyNames.get(number) ?? `family ${number}`
}

const tableSpec = { name: [1, text], flags: [2, be32] } as const
export const tableCodec = nest(tableSpec)
/** Of answers about tables alone: other messages have something else in the third attribute. */
export const wholeTableCodec = nest({ ...tableSpec, handle: [4, be64] })

/** The generation of the ruleset: every transaction that changes anything increments it. */
export const generationCodec = nest({ id: [1, be32] })

const hookSpec = {
  number: [1, be32],
  priority: [2, be32],
  device: [3, text],
  devices: [4, listOf(1, text)],
} as const
const chainSpec = {
  table: [1, text],
  name: [3, text],
  hook: [4, nest(hookSpec)],
  policy: [5, be32],
  type: [7, text],
} as const
export const chainCodec = nest(chainSpec)

/** The attributes of an expression are a nest too, but its codec depends on the expression's name. */
const expressionCodec = nest({ name: [1, text], data: [2, { ...raw, isNest: true }] })
const ruleSpec = {
  table: [1, text],
  chain: [2, text],
  handle: [3, be64],
  expressions: [4, listOf(1, expressionCodec)],
  /** The handle of the rule before which, or after which, a new one is put. */
  position: [6, be64],
  userdata: [7, raw],
} as const
export const ruleCodec = nest(ruleSpec)

const setSpec = {
  table: [1, text],
  name: [2, text],
  flags: [3, be32],
  keyType: [4, be32],
  keyLength: [5, be32],
  /** How many elements a set without a name has: a hint that saves memory. */
  description: [9, nest({ size: [1, be32] })],
  /** Identifies the set within a transaction; the kernel requires it. */
  id: [10, be32],
  /** What the kernel keeps for user space, in the format of libnftnl. */
  userdata: [13, raw],
  /** The expression that each element runs when it matches. */
  expression: [17, expressionCodec],
} as const
export const setCodec = nest(setSpec)

/** What a map of others gives for a key, where that is a verdict. */
const elementData = nest({ verdict: [2, nest({ code: [1, be32], chain: [2, text] })] })
const elementSpec = {
  key: [1, nest({ value: [1, raw] })],
  data: [2, elementData],
  flags: [3, be32],
  timeout: [4, raw],
  expression: [7, expressionCodec],
  /** The last key of a range, in sets of several fields. */
  keyEnd: [10, nest({ value: [1, raw] })],
  expressions: [11, raw],
} as const
/** NFTA_COUNTER_*, the data of a counter expression. */
const counterCodec = nest({ bytes: [1, be64], packets: [2, be64] })

export type Traffic = { readonly packets: number; readonly bytes: number }

/** The counts of an element; undefined when it does not count. */
export function trafficOf({ expression }: Pick<ElementAttrs, 'expression'>): Traffic | undefined {
  if (expression?.name !== 'counter' || expression.data === undefined) return undefined
  const { packets = 0n, bytes = 0n } = counterCodec.decode(expression.data)
  return { packets: Number(packets), bytes: Number(bytes) }
}

export type ElementAttrs = Attrs<typeof elementSpec>
export const elementCodec = nest(elementSpec)
export const elementsCodec = nest({
  table: [1, text],
  set: [2, text],
  elements: [3, listOf(1, elementCodec)],
  /** Of a set that is made in the same transaction, and has no name. */
  setId: [4, be32],
})

/**
 * The table that a notification is about. All kinds of messages have its name in the same attribute, except messages about a new generation
 * of all tables, and traces: undefined for these. Throws WireError.
 */
export function nftTableOf(message: {
  readonly type: number
  readonly payload: Uint8Array
}): { readonly family: string; readonly name: string } | undefined {
  if (message.type >> 8 !== NFNL_SUBSYS_NFTABLES) return undefined
  // in messages from NEWGEN to TRACE, attribute 1 is not the table's name
  const kind = message.type & 0xff
  if (kind >= (NFT_MSG_NEWGEN & 0xff) && kind <= 17) return undefined
  const { name } = decodeNft(message.payload, tableCodec)
  return name === undefined ? undefined : { family: nftFamilyOf(message.payload), name }
}

/** Encodes a rule's comment as user data in libnftnl's format: type 0, length, text with its NUL. */
export function encodeComment(comment: string): Uint8Array {
  return written((into) => {
    into.u8(0)
    const start = into.reserve(1)
    text.encode(comment, into)
    into.patchU8(start, into.length - start - 1)
  })
}

/** Decodes a rule's comment; undefined when there is none. User data may hold anything: data in another format counts as no comment. */
export function decodeComment(userdata: Uint8Array): string | undefined {
  for (let offset = 0; offset + 2 <= userdata.length; offset += 2 + userdata[offset + 1]!) {
    const value = userdata.subarray(offset + 2, offset + 2 + userdata[offset + 1]!)
    if (userdata[offset] === 0 && value.length === userdata[offset + 1]) return text.decode(value)
  }
  return undefined
}
