// What one rule does to a class of packets: it runs the rule's expressions with what is known of the packets. Pure.
import { type DecodedExpression } from '#/wire/nftables/expressions.ts'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { type ElementAttrs } from '#/wire/nftables/messages.ts'
import { decodeRanges } from '#/wire/nftables/elements.ts'
import { both, type Level, levelOfRanges, opposite, type PacketClass } from './packet.ts'
import {
  bits,
  compared,
  ctValue,
  destinationType,
  equals,
  exactBytes,
  inRange,
  masked,
  metaValue,
  payloadValue,
  unknown,
  type Value,
} from './values.ts'
import { xtMatch, xtTarget } from './xt-extensions.ts'

export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'return' }
  | { readonly kind: 'continue' }
  /** The source or destination address is replaced, and the packet goes on. */
  | { readonly kind: 'translate' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  /**
   * What becomes of the packet is decided elsewhere (a queue to user space, a map that cannot be read), or by chance: then `chains` has
   * those that a map may lead to.
   */
  | { readonly kind: 'other'; readonly chains?: readonly string[] }

export type Step = { readonly level: Level; readonly verdict: Verdict }
/** Reads the elements of a set of the rule's table; undefined when it cannot be read. */
export type ReadSet = (name: string) => Promise<readonly ElementAttrs[] | undefined>

const noVerdict: Verdict = { kind: 'continue' }

function verdictOf({ code = 0, chain = '' }: { readonly code?: number; readonly chain?: string }): Verdict {
  switch (code | 0) {
    case 0:
      return { kind: 'drop' }
    case 1:
      return { kind: 'accept' }
    case -1:
      return noVerdict
    case -3:
      return { kind: 'jump', chain }
    case -4:
      return { kind: 'goto', chain }
    case -5:
      return { kind: 'return' }
    default:
      return { kind: 'other' }
  }
}

/** Registers of 16 bytes are numbered from 1, those of 4 bytes, which overlap them, from 8. */
const registerAt = (number = 0): number => (number >= 8 ? number - 8 : (number - 1) * 4)

/** What the rule does. A promise only when it looks up sets, which `readSet` reads. */
export function stepOf(rule: ForeignRule, packet: PacketClass, readSet: ReadSet): Step | Promise<Step> {
  return new Run(packet, readSet).from(rule.expressions, 0)
}

/** One rule's run: the registers, and how far the matches so far hold. */
class Run {
  readonly #packet: PacketClass
  readonly #readSet: ReadSet
  readonly #registers = new Map<number, Value>()
  #level: Level = 'all'

  constructor(packet: PacketClass, readSet: ReadSet) {
    this.#packet = packet
    this.#readSet = readSet
  }

  from(expressions: readonly DecodedExpression[], start: number): Step | Promise<Step> {
    for (let index = start; index < expressions.length && this.#level !== 'none'; index++) {
      const each = expressions[index]!
      if (each.name === 'lookup')
        return lookedUp(each, (bytes) => this.#loadKey(each.attrs.sreg, bytes), this.#readSet).then(
          ({ level, verdict }) => {
            this.#level = both(this.#level, level)
            if (each.attrs.dreg) this.#store(each.attrs.dreg, unknown)
            return verdict ? { level: this.#level, verdict } : this.from(expressions, index + 1)
          },
        )
      if (each.name === 'other' && !remarks.has(each.kernelName)) {
        if (translates.has(each.kernelName)) return { level: this.#level, verdict: { kind: 'translate' } }
        if (endsElsewhere.has(each.kernelName)) return { level: this.#level, verdict: { kind: 'other' } }
        // it may match or not, and may have loaded any register
        this.#registers.clear()
        this.#level = both(this.#level, 'maybe')
        continue
      }
      const outcome = run(each, this.#packet, this.#load, this.#store)
      if (typeof outcome !== 'string') return { level: this.#level, verdict: outcome }
      this.#level = both(this.#level, outcome)
    }
    return { level: this.#level, verdict: noVerdict }
  }

  /** A key of so many bytes, which may be several values one after the other. */
  #loadKey(register: number | undefined, keyBytes: number): Value {
    const first = this.#load(register)
    const parts: Uint8Array[] = []
    let length = 0
    for (
      let value = first;
      length < keyBytes;
      value = this.#registers.get(registerAt(register) + length / 4) ?? unknown
    ) {
      const bytes = exactBytes(value)
      // a single value is compared as far as it is known
      if (bytes === undefined || bytes.length === 0) return length === 0 ? first : unknown
      parts.push(bytes)
      length += bytes.length
    }
    return parts.length < 2 ? first : bits(Uint8Array.from(parts.flatMap((each) => [...each])))
  }

  readonly #load = (register?: number): Value => this.#registers.get(registerAt(register)) ?? unknown
  readonly #store = (register: number | undefined, value: Value): void => {
    this.#registers.set(registerAt(register), value)
  }
}

/** Runs one expression: gives how far it matches, or the verdict that it ends the rule with. */
function run(
  each: Exclude<DecodedExpression, { name: 'lookup' }>,
  packet: PacketClass,
  load: (register?: number) => Value,
  store: (register: number | undefined, value: Value) => void,
): Level | Verdict {
  switch (each.name) {
    case 'counter':
    case 'log':
    case 'notrack':
      return 'all'
    case 'meta':
      // with a source register it changes the packet
      if (each.attrs.sreg === undefined) store(each.attrs.dreg, metaValue(each.attrs.key ?? 0, packet))
      return 'all'
    case 'ct':
      if (each.attrs.sreg === undefined) store(each.attrs.dreg, ctValue(each.attrs.key ?? 0, packet))
      return 'all'
    case 'fib': {
      const { dreg, result, flags } = each.attrs
      store(dreg, result === 3 && flags === 2 ? destinationType(packet) : unknown)
      return 'all'
    }
    case 'payload': {
      const { dreg, sreg, base = 0, offset = 0, len = 0 } = each.attrs
      if (sreg === undefined) store(dreg, payloadValue(base, offset, len, packet))
      return 'all'
    }
    case 'bitwise': {
      const { sreg, dreg, mask, xor, op = 0, sreg2 } = each.attrs
      const isMask = op === 0 && sreg2 === undefined && mask?.value && xor?.value
      store(dreg, isMask ? masked(load(sreg), mask.value, xor.value) : unknown)
      return 'all'
    }
    case 'immediate': {
      const { dreg = 0, data } = each.attrs
      if (dreg === 0) return verdictOf(data?.verdict ?? {})
      store(dreg, data?.value ? bits(data.value) : unknown)
      return 'all'
    }
    case 'cmp': {
      const { sreg, op = 0, data } = each.attrs
      if (data?.value === undefined) return 'maybe'
      const { level, value } = compared(load(sreg), op, data.value)
      store(sreg, value)
      return level
    }
    case 'range': {
      const { sreg, op = 0, from, to } = each.attrs
      if (from?.value === undefined || to?.value === undefined) return 'maybe'
      const { level } = inRange(load(sreg), from.value, to.value)
      return op === 0 ? level : opposite(level)
    }
    case 'match':
      return xtMatch(each.attrs.name ?? '', each.attrs.revision ?? 0, each.attrs.info ?? new Uint8Array(), packet)
    case 'target': {
      const kind = xtTarget(each.attrs.name ?? '')
      return kind === 'continue' ? 'all' : { kind }
    }
    case 'limit':
      return 'maybe'
    case 'reject':
      return { kind: 'drop' }
    case 'masq':
    case 'nat':
      return { kind: 'translate' }
    case 'other':
      return 'all'
    default:
      return each satisfies never
  }
}

const endsElsewhere = new Set(['queue', 'fwd', 'tproxy', 'synproxy'])
const translates = new Set(['redir'])
const remarks = new Set(['last', 'dup'])

type Found = { readonly level: Level; readonly verdict?: Verdict }

/** Looks a value up in a set, or in a map from values to verdicts. */
async function lookedUp(
  { attrs }: Extract<DecodedExpression, { name: 'lookup' }>,
  load: (keyBytes: number) => Value,
  readSet: ReadSet,
): Promise<Found> {
  const isVerdictMap = attrs.dreg === 0
  const isNot = ((attrs.flags ?? 0) & 1) !== 0
  const single = load(0)
  // single ports of any: no need to know which
  if (single.kind === 'port')
    return isVerdictMap ? { level: 'some', verdict: noVerdict } : { level: isNot ? 'maybe' : 'some' }
  if (single.kind === 'unknown' && !isVerdictMap) return { level: 'maybe' }
  const elements = await readSet(attrs.set ?? '')
  const cannotTell: Found = isVerdictMap
    ? { level: 'maybe', verdict: { kind: 'other', chains: chainsOf(elements ?? []) } }
    : { level: 'maybe' }
  const value = load(elements?.[0]?.key?.value?.length ?? 0)
  if (elements === undefined || value.kind === 'unknown') return cannotTell
  if (isVerdictMap) {
    const [match, ...more] = elements.filter((each) => levelIn([each], value) !== 'none')
    if (match === undefined) return { level: 'none' }
    // an interval, or a value that may be several of the map's keys
    if (more.length > 0 || levelIn([match], value) !== 'all' || elements.some(isOdd)) return cannotTell
    return { level: 'all', verdict: verdictOf(match.data?.verdict ?? { code: -2 }) }
  }
  const level = elements.some((each) => each.timeout !== undefined) ? 'maybe' : levelIn(elements, value)
  return { level: isNot ? opposite(level) : level }
}

/** The chains that a map leads to. */
function chainsOf(elements: readonly ElementAttrs[]): string[] {
  return [...new Set(elements.flatMap(({ data }) => data?.verdict?.chain ?? []))]
}

const isOdd = ({ flags = 0, keyEnd }: ElementAttrs): boolean => flags !== 0 || keyEnd !== undefined

function levelIn(elements: readonly ElementAttrs[], value: Value): Level {
  if (value.kind === 'addr') {
    if (value.mask.some((each) => each !== 0xff)) return 'maybe'
    const isInterval = elements.some(isOdd)
    const ranges = decodeRanges(elements, value.family, isInterval)
    return ranges === undefined
      ? 'maybe'
      : levelOfRanges(
          value.among,
          ranges.map(({ first, last }) => ({ first: first.value, last: last.value })),
        )
  }
  if (elements.some(isOdd)) return 'maybe'
  const levels = elements.map(({ key }) => (key?.value === undefined ? 'maybe' : equals(value, key.value)))
  return levels.includes('all') ? 'all' : levels.includes('maybe') ? 'maybe' : levels.includes('some') ? 'some' : 'none'
}
