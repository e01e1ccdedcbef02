// Reads one header of a packet, field by field, and keeps what it read for people and programs. Pure. What comes from the wire may be anything:
// who reads further than the bytes go gets CutShort, and what was read until then stays.
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { macText } from '../ethernet/mac.ts'

export type Field = {
  readonly name: string
  /** Numbers as they are, addresses and bytes as text. */
  readonly value: number | string
  /** The value for people. */
  readonly text: string
}

/** The bytes ended before what was to be read. */
export class CutShort extends Error {}

/** What a number means, in words that follow it; undefined where it means nothing more. */
export type Meaning = (value: number) => string | undefined

/** 0x0800, with as many digits as the field has. */
export function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`
}

/** The names of the bits that are set, of a number whose lowest bit has the first name. */
export function bitNames(value: number, names: readonly string[]): string {
  return names.filter((_, bit) => value & (1 << bit)).join(' ')
}

export class Header {
  readonly fields: Field[] = []
  readonly start: number
  /** Where the bytes that belong to the packet end. */
  readonly end: number
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.start = start
    this.end = Math.min(end, bytes.length)
    this.#at = start
  }

  /** Where the next field begins. */
  get at(): number {
    return this.#at
  }

  #advance(length: number): number {
    const at = this.#at
    if (at + length > this.end) throw new CutShort()
    this.#at = at + length
    return at
  }

  /** Reads bytes and notes nothing. */
  bytes(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4))
  }

  /** Notes a field. */
  note(name: string, value: number | string, text = String(value)): void {
    this.fields.push({ name, value, text })
  }

  /** Reads a number of so many bytes and notes it, with what it means behind it in parentheses. */
  number(name: string, bytes: 1 | 2 | 4, meaning?: Meaning): number {
    const value = bytes === 1 ? this.u8() : bytes === 2 ? this.u16() : this.u32()
    const words = meaning?.(value)
    this.note(name, value, words === undefined ? String(value) : `${value} (${words})`)
    return value
  }

  /** The same, written in hexadecimal. */
  hex(name: string, bytes: 1 | 2 | 4, meaning?: Meaning): number {
    const value = bytes === 1 ? this.u8() : bytes === 2 ? this.u16() : this.u32()
    const words = meaning?.(value)
    const text = hex(value, 2 * bytes)
    this.note(name, value, words === undefined ? text : `${text} (${words})`)
    return value
  }

  addr(name: string, bytes: 4 | 16): void {
    this.note(name, String(Addr.fromBytes(this.bytes(bytes))))
  }

  mac(name: string): void {
    this.note(name, macText(this.bytes(6)))
  }

  /** Bytes whose meaning is not told; nothing when there are none. */
  raw(name: string, length: number): void {
    if (length > 0) this.note(name, this.bytes(length).toHex())
  }
}
