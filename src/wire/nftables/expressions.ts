// Rule expressions (include/uapi/linux/netfilter/nf_tables.h): the instructions of the kernel's nftables machine. Each is a name and a nest
// of attributes. The same tables encode our expressions and decode those that the kernel dumps. Both ways give the same readable text, the
// fingerprint, by which an edited rule is told from ours.
import { type Attrs, type AttrSpec, be16, be32, be64, bytesOf, nest, raw, text, u8 } from '../netlink/attr.ts'

/** NFTA_DATA_*: a value to compare or to load, or a verdict. */
const data = nest({
  value: [1, raw],
  verdict: [2, nest({ code: [1, be32], chain: [2, text] })],
})

const specs = {
  meta: { dreg: [1, be32], key: [2, be32], sreg: [3, be32] },
  cmp: { sreg: [1, be32], op: [2, be32], data: [3, data] },
  payload: {
    dreg: [1, be32],
    base: [2, be32],
    offset: [3, be32],
    len: [4, be32],
    sreg: [5, be32],
    csumType: [6, be32],
    csumOffset: [7, be32],
    csumFlags: [8, be32],
  },
  lookup: { set: [1, text], sreg: [2, be32], dreg: [3, be32], setId: [4, be32], flags: [5, be32] },
  bitwise: {
    sreg: [1, be32],
    dreg: [2, be32],
    len: [3, be32],
    mask: [4, data],
    xor: [5, data],
    op: [6, be32],
    data: [7, data],
    sreg2: [8, be32],
  },
  immediate: { dreg: [1, be32], data: [2, data] },
  masq: { flags: [1, be32], minPort: [2, be32], maxPort: [3, be32] },
  nat: {
    type: [1, be32],
    family: [2, be32],
    regAddrMin: [3, be32],
    regAddrMax: [4, be32],
    regProtoMin: [5, be32],
    regProtoMax: [6, be32],
    flags: [7, be32],
  },
  fib: { dreg: [1, be32], result: [2, be32], flags: [3, be32] },
  notrack: {},
  ct: { dreg: [1, be32], key: [2, be32], direction: [3, u8], sreg: [4, be32] },
  /** A counter's attributes are its counts, which only the kernel changes. */
  counter: {},
  range: { sreg: [1, be32], op: [2, be32], from: [3, data], to: [4, data] },
  /** `unit` is in seconds. */
  limit: { rate: [1, be64], unit: [2, be64], burst: [3, be32], type: [4, be32], flags: [5, be32] },
  log: { group: [1, be16], prefix: [2, text], snaplen: [3, be32], queueThreshold: [4, be16] },
  // the rest is only read, in the rules of others
  reject: { type: [1, be32] },
  /** A match or a target of iptables: `info` is the structure of the extension of that name and revision. */
  match: { name: [1, text], revision: [2, be32], info: [3, raw] },
  target: { name: [1, text], revision: [2, be32], info: [3, raw] },
} as const

type Specs = typeof specs
export type ExpressionName = keyof Specs

/** An expression of a rule; `data` is the nest of its attributes. */
export type Expression = { readonly name: string; readonly data: Uint8Array }

const codecs = new Map(Object.entries(specs).map(([name, spec]) => [name, nest<AttrSpec>(spec)]))

export function expression<N extends ExpressionName>(name: N, attrs: Attrs<Specs[N]>): Expression {
  return { name, data: bytesOf<Attrs<AttrSpec>>(codecs.get(name)!, attrs) }
}

function isKnown(name: string): name is ExpressionName {
  return Object.hasOwn(specs, name)
}

/** An expression with its attributes; `other` stands for those that are not in these tables. */
export type DecodedExpression =
  | { readonly [N in ExpressionName]: { readonly name: N; readonly attrs: Attrs<Specs[N]> } }[ExpressionName]
  | { readonly name: 'other'; readonly kernelName: string }

/** Decodes an expression that the kernel dumped. Throws WireError. */
export function decodeExpression({ name, data: bytes }: Expression): DecodedExpression {
  if (!isKnown(name)) return { name: 'other', kernelName: name }
  return { name, attrs: codecs.get(name)!.decode(bytes) }
}

/** The expression that is decoded to the same. Of one that is not in these tables only the name is left. */
export function encodeExpression(each: DecodedExpression): Expression {
  return each.name === 'other'
    ? { name: each.kernelName, data: new Uint8Array() }
    : { name: each.name, data: bytesOf<Attrs<AttrSpec>>(codecs.get(each.name)!, each.attrs) }
}

/**
 * The text of a rule's expressions, equal for rules that do the same. It leaves out differences that are no changes: the values of
 * counters, attributes that are zero (which the kernel treats as absent), and attributes newer than these tables. An expression of a kind
 * that Causeway never sends is shown by its bytes.
 */
export function fingerprint(expressions: readonly Expression[]): string {
  return expressions.map(expressionText).join('; ')
}

/** Most of the expressions of thousands of rules are the same few, and to put one in words takes twenty times its bytes. */
const knownTexts = new Map<string, string>()
const mostKnown = 256
const mostBytes = 256

function expressionText(one: Expression): string {
  if (one.data.length > mostBytes) return wordsOf(one)
  const key = `${one.name} ${String.fromCharCode(...one.data)}`
  const known = knownTexts.get(key)
  if (known !== undefined) return known
  const words = wordsOf(one)
  // those that are frequent are back at once
  if (knownTexts.size >= mostKnown) knownTexts.clear()
  knownTexts.set(key, words)
  return words
}

function wordsOf({ name, data: bytes }: Expression): string {
  if (!isKnown(name)) return `${name} ${hex(bytes)}`
  return [name, ...attrTexts(codecs.get(name)!.decode(bytes))].join(' ')
}

function attrTexts(attrs: object): string[] {
  const texts: string[] = []
  for (const [key, value] of Object.entries(attrs)) {
    const shown = valueText(value)
    if (shown !== '') texts.push(`${key}=${shown}`)
  }
  return texts.sort()
}

function valueText(value: unknown): string {
  if (value === 0) return ''
  if (value instanceof Uint8Array) return `0x${hex(value)}`
  if (typeof value === 'object' && value !== null) return `(${attrTexts(value).join(' ')})`
  return String(value)
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function hex(bytes: Uint8Array): string {
  let digits = ''
  for (const byte of bytes) digits += hexPairs[byte]
  return digits
}
