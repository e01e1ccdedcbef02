// A table of legacy iptables as its socket option gives it (include/uapi/linux/netfilter_ipv4/ip_tables.h, ..._ipv6/ip6_tables.h): one
// block of entries, each a fixed header, matches and a target. Rules come out as nf_tables' expressions that do the same, so that one
// judgement holds for both.
import { type Family } from '#/lib/addr.ts'
import { viewOf, WireError } from '#/lib/bytes.ts'
import { type DecodedExpression } from '../nftables/expressions.ts'
import { type ForeignRule } from '../nftables/foreign-rule.ts'

/** struct ipt_getinfo without the counts: where the chains of each hook begin and end. */
export type LegacyInfo = {
  readonly hooks: readonly { readonly number: number; readonly start: number; readonly policyAt: number }[]
  readonly sizeBytes: number
}

export type LegacyChain = {
  readonly name: string
  /** Set for chains of a hook. */
  readonly hook?: { readonly number: number; readonly dropsByPolicy: boolean }
  readonly rules: readonly ForeignRule[]
}

export type LegacyTable = { readonly family: Family; readonly name: string; readonly chains: readonly LegacyChain[] }

export const nameBytes = 32
export const infoBytes = 84
/** The header of struct ipt_get_entries; the entries begin at a multiple of 8. */
export const entriesHeaderBytes = 40

/** NF_INET_NUMHOOKS */
const hookCount = 5

/** Decodes struct ipt_getinfo. Throws WireError. */
export function decodeLegacyInfo(bytes: Uint8Array): LegacyInfo {
  if (bytes.length < infoBytes) throw new WireError('ipt_getinfo cut off', bytes.length)
  const view = viewOf(bytes)
  const valid = view.getUint32(nameBytes, true)
  const at = (index: number): number => view.getUint32(nameBytes + 4 + 4 * index, true)
  return {
    hooks: Array.from({ length: hookCount }, (_, number) => ({
      number,
      start: at(number),
      policyAt: at(hookCount + number),
    })).filter(({ number }) => (valid & (1 << number)) !== 0),
    sizeBytes: at(2 * hookCount + 1),
  }
}

/** Where the fields of an entry are; IPv6's has longer addresses. */
const layouts = {
  4: {
    src: 0,
    dst: 4,
    srcMask: 8,
    dstMask: 12,
    addr: 4,
    devices: 16,
    protocol: 80,
    flags: 82,
    inversions: 83,
    offsets: 88,
    elements: 112,
    gotoFlag: 2,
  },
  6: {
    src: 0,
    dst: 16,
    srcMask: 32,
    dstMask: 48,
    addr: 16,
    devices: 64,
    protocol: 128,
    flags: 131,
    inversions: 132,
    offsets: 140,
    elements: 168,
    gotoFlag: 4,
  },
} as const
const IPT_F_FRAG = 1
const inversion = { iif: 1, oif: 2, src: 8, dst: 16, protocol: 64 } as const
const deviceNameBytes = 16
const elementHeaderBytes = 32
const XT_RETURN = -5

type Entry = {
  readonly at: number
  readonly next: number
  readonly matches: readonly DecodedExpression[]
  readonly target: { readonly name: string; readonly revision: number; readonly info: Uint8Array }
  readonly isGoto: boolean
}

/** Decodes the entries of a table into its chains. Throws WireError. */
export function decodeLegacyTable(bytes: Uint8Array, family: Family, info: LegacyInfo): LegacyChain[] {
  const entries: Entry[] = []
  for (let at = 0; at < bytes.length; at = entries.at(-1)!.next) entries.push(decodeEntry(bytes, at, family))
  const heads = headsOf(entries, info)
  const chainAt = new Map(heads.map(({ name, first }) => [entries[first]?.at ?? -1, name]))
  // the entry that ends the table looks like the head of one more chain
  return heads.slice(0, -1).map(({ name, first, hook }, index) => {
    const end = (heads[index + 1]?.start ?? entries.length) - 1
    // the last entry of a chain is its policy, or the return of a chain that somebody made
    const policy = entries[end]
    const rules = entries.slice(first, end).map((entry) => ruleOf(entry, chainAt))
    return { name, ...(hook !== undefined && { hook: { number: hook, dropsByPolicy: isDrop(policy) } }), rules }
  })
}

type Head = { readonly name: string; readonly start: number; readonly first: number; readonly hook?: number }

const hookChains = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'] as const

/** The chains in their order: those of hooks begin where the table says, others behind an entry whose target ERROR has their name. */
function headsOf(entries: readonly Entry[], { hooks }: LegacyInfo): Head[] {
  const heads: Head[] = []
  for (const [index, { at, target }] of entries.entries()) {
    const hook = hooks.find(({ start }) => start === at)
    if (hook) heads.push({ name: hookChains[hook.number] ?? '', start: index, first: index, hook: hook.number })
    else if (target.name === 'ERROR') heads.push({ name: cString(target.info), start: index, first: index + 1 })
  }
  return heads
}

function isDrop(entry: Entry | undefined): boolean {
  return entry?.target.name === '' && verdictOf(entry) === -1
}

function verdictOf({ target }: Entry): number {
  return target.info.length < 4 ? XT_RETURN : viewOf(target.info).getInt32(0, true)
}

function decodeEntry(bytes: Uint8Array, at: number, family: Family): Entry {
  const layout = layouts[family]
  if (at + layout.elements > bytes.length) throw new WireError('iptables entry cut off', at)
  const entry = bytes.subarray(at)
  const view = viewOf(entry)
  const targetAt = view.getUint16(layout.offsets, true)
  const length = view.getUint16(layout.offsets + 2, true)
  if (targetAt < layout.elements || targetAt + elementHeaderBytes > length || length > entry.length)
    throw new WireError(`iptables entry of ${length} bytes with its target at ${targetAt}`, at)
  const matches = [...headerMatches(entry, family)]
  for (let offset: number = layout.elements; offset < targetAt;) {
    const size = offset + elementHeaderBytes > targetAt ? 0 : view.getUint16(offset, true)
    if (size < elementHeaderBytes || offset + size > targetAt)
      throw new WireError(`iptables match of ${size} bytes`, at)
    matches.push({ name: 'match', attrs: elementOf(entry.subarray(offset, offset + size)) })
    offset += size
  }
  return {
    at,
    next: at + length,
    matches,
    target: elementOf(entry.subarray(targetAt, length)),
    isGoto: (entry[layout.flags]! & layout.gotoFlag) !== 0,
  }
}

function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

/** struct xt_entry_match and xt_entry_target: size, name, revision, then the extension's own structure. */
function elementOf(bytes: Uint8Array): { readonly name: string; readonly revision: number; readonly info: Uint8Array } {
  return {
    name: cString(bytes.subarray(2, elementHeaderBytes - 1)),
    revision: bytes[elementHeaderBytes - 1] ?? 0,
    info: bytes.slice(elementHeaderBytes),
  }
}

const register = 1
const META_IIFNAME = 6
const META_OIFNAME = 7
const META_L4PROTO = 16
const addressAt = { 4: { src: 12, dst: 16 }, 6: { src: 8, dst: 24 } } as const

function compare(value: Uint8Array, isNot: boolean): DecodedExpression {
  return { name: 'cmp', attrs: { sreg: register, op: isNot ? 1 : 0, data: { value } } }
}

/** The matches of an entry's header: devices, addresses, protocol. */
function* headerMatches(entry: Uint8Array, family: Family): Generator<DecodedExpression> {
  const layout = layouts[family]
  const inversions = entry[layout.inversions]!
  const isNot = (what: keyof typeof inversion): boolean => (inversions & inversion[what]) !== 0
  const devices = [
    ['iif', META_IIFNAME, 0],
    ['oif', META_OIFNAME, deviceNameBytes],
  ] as const
  for (const [what, key, offset] of devices) {
    const name = entry.subarray(layout.devices + offset)
    const mask = name.subarray(2 * deviceNameBytes, 3 * deviceNameBytes)
    const length = mask.filter((each) => each !== 0).length
    if (length === 0) continue
    yield { name: 'meta', attrs: { dreg: register, key } }
    yield compare(name.slice(0, length), isNot(what))
  }
  for (const what of ['src', 'dst'] as const) {
    const mask = entry.slice(layout[`${what}Mask`], layout[`${what}Mask`] + layout.addr)
    if (mask.every((each) => each === 0)) continue
    const xor = { value: new Uint8Array(layout.addr) }
    yield { name: 'payload', attrs: { dreg: register, base: 1, offset: addressAt[family][what], len: layout.addr } }
    yield { name: 'bitwise', attrs: { sreg: register, dreg: register, mask: { value: mask }, xor } }
    yield compare(entry.slice(layout[what], layout[what] + layout.addr), isNot(what))
  }
  const protocol = entry[layout.protocol]!
  if (protocol !== 0) {
    yield { name: 'meta', attrs: { dreg: register, key: META_L4PROTO } }
    yield compare(Uint8Array.of(protocol), isNot('protocol'))
  }
  if (family === 4 && (entry[layout.flags]! & IPT_F_FRAG) !== 0) yield { name: 'other', kernelName: 'fragment' }
}

/** `chainAt` has the names of chains by the offset of their first rule. */
function ruleOf(entry: Entry, chainAt: ReadonlyMap<number, string>): ForeignRule {
  return { handle: 0n, comment: undefined, expressions: [...entry.matches, actionOf(entry, chainAt)], does: '' }
}

function actionOf(entry: Entry, chainAt: ReadonlyMap<number, string>): DecodedExpression {
  if (entry.target.name !== '') return { name: 'target', attrs: entry.target }
  const number = verdictOf(entry)
  // a rule without a target jumps to the one behind it
  if (number === entry.next) return { name: 'counter', attrs: {} }
  // verdicts are kept as their negative minus one; below NF_ACCEPT's only the return is used
  const codes: Readonly<Record<number, number>> = { [-1]: 0, [-2]: 1, [XT_RETURN]: -5 }
  const jump = { code: entry.isGoto ? -4 : -3, chain: chainAt.get(number) ?? '' }
  const verdict = number >= 0 ? jump : { code: codes[number] ?? -2 }
  return { name: 'immediate', attrs: { dreg: 0, data: { verdict } } }
}
