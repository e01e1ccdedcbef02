// IP addresses and prefixes as immutable values, v4 and v6 alike.
// Text is read strictly (RFC 4291 section 2.2; dotted quads without leading zeros) and written canonically (RFC 5952),
// so the canonical text serves as a map key.

import { viewOf } from './bytes.ts'

export type Family = 4 | 6
export const families: readonly Family[] = [4, 6]

export class AddrError extends Error {
  override name = 'AddrError'
}

const widthBits = { 4: 32, 6: 128 } as const
const lastValue = { 4: (1n << 32n) - 1n, 6: (1n << 128n) - 1n } as const

function parse4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    value = value * 256 + Number(part)
  }
  return BigInt(value)
}

function parse6(text: string): bigint | undefined {
  let source = text
  if (source.includes('.')) {
    // RFC 4291 section 2.2 form 3: the last 32 bits as a dotted quad
    const at = source.lastIndexOf(':')
    const quad = parse4(source.slice(at + 1))
    if (at < 0 || quad === undefined) return undefined
    source = `${source.slice(0, at + 1)}${(quad >> 16n).toString(16)}:${(quad & 0xffffn).toString(16)}`
  }
  const halves = source.split('::')
  if (halves.length > 2) return undefined
  const groupsOf = (half: string): string[] => (half === '' ? [] : half.split(':'))
  const head = groupsOf(halves[0]!)
  const tail = halves.length === 2 ? groupsOf(halves[1]!) : []
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail]
  let value = 0n
  for (const group of groups) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    value = (value << 16n) | BigInt(`0x${group}`)
  }
  return value
}

function format4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 0xff}.${(value >>> 8) & 0xff}.${value & 0xff}`
}

function format6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - 16 * index)) & 0xffffn))
  // RFC 5952 section 4.2: the longest run of two or more zero groups, the first one of equals, becomes "::"
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  const hex = groups.map((group) => group.toString(16))
  if (best.start < 0) return hex.join(':')
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`
}

/** One IP address. `value` is the address as an unsigned number of `bits` bits. */
export class Addr {
  readonly family: Family
  readonly value: bigint
  #text: string | undefined

  constructor(family: Family, value: bigint) {
    if (value < 0n || value > lastValue[family]) throw new AddrError(`no IPv${family} address: ${value}`)
    this.family = family
    this.value = value
  }

  /** Reads an address; throws AddrError on anything else, zone identifiers included. */
  static parse(text: string): Addr {
    const addr = Addr.tryParse(text)
    if (addr === undefined) throw new AddrError(`"${text}" is no IP address`)
    return addr
  }

  static tryParse(text: string): Addr | undefined {
    const isV6 = text.includes(':')
    const value = isV6 ? parse6(text) : parse4(text)
    return value === undefined ? undefined : new Addr(isV6 ? 6 : 4, value)
  }

  /** Makes an address of 4 or 16 bytes in network order; throws AddrError on another length. */
  static fromBytes(bytes: Uint8Array): Addr {
    if (bytes.length !== 4 && bytes.length !== 16)
      throw new AddrError(`an address has 4 or 16 bytes, not ${bytes.length}`)
    if (bytes.length === 4)
      return new Addr(4, BigInt(((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0))
    const view = viewOf(bytes)
    return new Addr(6, (view.getBigUint64(0) << 64n) | view.getBigUint64(8))
  }

  /** The address as 4 or 16 bytes in network order. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(widthBits[this.family] / 8)
    const view = viewOf(bytes)
    if (this.family === 4) view.setUint32(0, Number(this.value))
    else {
      view.setBigUint64(0, this.value >> 64n)
      view.setBigUint64(8, this.value)
    }
    return bytes
  }

  /** The length of the address in bits: 32 or 128. */
  get bits(): number {
    return widthBits[this.family]
  }

  plus(offset: bigint | number): Addr {
    return new Addr(this.family, this.value + BigInt(offset))
  }

  equals(other: Addr): boolean {
    return this.family === other.family && this.value === other.value
  }

  /** Orders v4 before v6, then by value. */
  compare(other: Addr): number {
    if (this.family !== other.family) return this.family - other.family
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0
  }

  get isMulticast(): boolean {
    return this.family === 4 ? this.value >> 28n === 0xen : this.value >> 120n === 0xffn
  }

  get isLinkLocal(): boolean {
    return this.family === 4 ? this.value >> 16n === 0xa9fen : this.value >> 118n === 0x3fan
  }

  get isLoopback(): boolean {
    return this.family === 4 ? this.value >> 24n === 127n : this.value === 1n
  }

  get isUnspecified(): boolean {
    return this.value === 0n
  }

  /** Whether no host has it for its own: of "this network" (RFC 1122), reserved or broadcast (RFC 1112, RFC 919), or IPv4-mapped (RFC 4291). */
  get isReserved(): boolean {
    if (this.family === 6) return this.value >> 32n === 0xffffn
    return this.value >> 24n === 0n || this.value >> 28n === 0xfn
  }

  toString(): string {
    this.#text ??= this.family === 4 ? format4(Number(this.value)) : format6(this.value)
    return this.#text
  }

  toJSON(): string {
    return this.toString()
  }
}

function lengthMisfit(length: number, family: Family): string {
  return `"/${length}" does not fit IPv${family}`
}

/** A network: an address whose host bits are zero, and its length in bits. */
export class Prefix {
  readonly addr: Addr
  readonly length: number
  #text: string | undefined
  /** The value of the last address, once it was needed. */
  #last: bigint | undefined

  /** Clears host bits; throws AddrError when `length` does not fit the family. */
  constructor(addr: Addr, length: number) {
    if (!Number.isInteger(length) || length < 0 || length > addr.bits) {
      throw new AddrError(lengthMisfit(length, addr.family))
    }
    const hostBits = BigInt(addr.bits - length)
    const value = length === addr.bits ? addr.value : (addr.value >> hostBits) << hostBits
    // mostly it is the address of a network, or the prefix of a host: there are thousands of both
    this.addr = value === addr.value ? addr : new Addr(addr.family, value)
    this.length = length
  }

  /** Reads "10.0.0.0/8"; host bits must be zero, so that a typing error is not silently another network. */
  static parse(text: string): Prefix {
    const read = Prefix.#read(text)
    if (typeof read === 'string') throw new AddrError(read)
    return read
  }

  static tryParse(text: string): Prefix | undefined {
    const read = Prefix.#read(text)
    return typeof read === 'string' ? undefined : read
  }

  /** The prefix, or why the text is none. An error that nobody wants costs more than all the reading. */
  static #read(text: string): Prefix | string {
    const slash = text.indexOf('/')
    const lengthText = text.slice(slash + 1)
    if (slash < 0 || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return `"${text}" is no CIDR (expected address/length)`
    const addr = Addr.tryParse(text.slice(0, slash))
    if (addr === undefined) return `"${text}" is no CIDR: "${text.slice(0, slash)}" is no IP address`
    const length = Number(lengthText)
    if (length > addr.bits) return lengthMisfit(length, addr.family)
    const prefix = new Prefix(addr, length)
    return prefix.addr.equals(addr) ? prefix : `"${text}" has host bits set; did you mean ${prefix}?`
  }

  /** The prefix that holds just `addr`. */
  static host(addr: Addr): Prefix {
    return new Prefix(addr, addr.bits)
  }

  get family(): Family {
    return this.addr.family
  }

  /** How many addresses the prefix holds. */
  get size(): bigint {
    return 1n << BigInt(this.addr.bits - this.length)
  }

  get last(): Addr {
    return new Addr(this.family, this.#lastValue)
  }

  get #lastValue(): bigint {
    if (this.length === this.addr.bits) return this.addr.value
    return (this.#last ??= this.addr.value + this.size - 1n)
  }

  /** The prefix of which this one is a half; throws AddrError when it has all addresses of its family. */
  get parent(): Prefix {
    return new Prefix(this.addr, this.length - 1)
  }

  /** The address at `offset` from the network address; throws AddrError outside of the prefix. */
  at(offset: bigint | number): Addr {
    const addr = this.addr.plus(offset)
    if (!this.contains(addr)) throw new AddrError(`${this} has no address number ${offset}`)
    return addr
  }

  contains(other: Addr | Prefix): boolean {
    const addr = other instanceof Addr ? other : other.addr
    if (addr.family !== this.family || (other instanceof Prefix && other.length < this.length)) return false
    // thousands are compared with each other: comparing makes no new values, shifting does
    return this.addr.value <= addr.value && addr.value <= this.#lastValue
  }

  overlaps(other: Prefix): boolean {
    return this.contains(other) || other.contains(this)
  }

  equals(other: Prefix): boolean {
    return this.length === other.length && this.addr.equals(other.addr)
  }

  compare(other: Prefix): number {
    return this.addr.compare(other.addr) || this.length - other.length
  }

  toString(): string {
    this.#text ??= `${this.addr}/${this.length}`
    return this.#text
  }

  toJSON(): string {
    return this.toString()
  }
}

/** The families of the prefixes, IPv4 first. */
export function familiesOf(prefixes: readonly Prefix[]): Family[] {
  return families.filter((family) => prefixes.some((prefix) => prefix.family === family))
}
