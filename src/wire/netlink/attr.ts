// Netlink attributes (struct nlattr, include/uapi/linux/netlink.h): a length, a type and a value, padded to four bytes. A table of names,
// types and codecs describes a nest of attributes and provides decoding, encoding and the TypeScript type. Decoding skips attributes that
// the table does not name, because the kernel adds new ones with every release.
import { Addr } from '#/lib/addr.ts'
import { viewOf, WireError, type Writer, written } from '#/lib/bytes.ts'

/** Converts one value to and from bytes. */
export interface Codec<T> {
  decode(bytes: Uint8Array): T
  encode(value: T, into: Writer): void
}

export type AttrSpec = Readonly<Record<string, readonly [type: number, codec: Codec<unknown>]>>
type ValueOf<C> = C extends Codec<infer T> ? T : never
export type Attrs<S extends AttrSpec> = { readonly [K in keyof S]?: ValueOf<S[K][1]> }

const headerBytes = 4
const NLA_F_NESTED = 0x8000
/** The mask that clears NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const NLA_TYPE_MASK = 0x3fff

/** Calls `visit` for each attribute, with where its value starts and ends; throws WireError when a length exceeds the data. */
export function eachAttr(bytes: Uint8Array, visit: (type: number, start: number, end: number) => void): void {
  let offset = 0
  while (bytes.length - offset >= headerBytes) {
    const length = bytes[offset]! | (bytes[offset + 1]! << 8)
    if (length < headerBytes || offset + length > bytes.length)
      throw new WireError(`attribute of length ${length}`, offset)
    visit((bytes[offset + 2]! | (bytes[offset + 3]! << 8)) & NLA_TYPE_MASK, offset + headerBytes, offset + length)
    offset += (length + 3) & ~3
  }
}

/** Writes one attribute. */
export function putAttr<T>(into: Writer, type: number, codec: Codec<T>, value: T, nested = false): void {
  const start = into.reserve(headerBytes)
  codec.encode(value, into)
  const length = into.length - start
  if (length > 0xffff) throw new WireError(`attribute ${type} of ${length} bytes does not fit 65535`, start)
  into.patchU16le(start, length)
  into.patchU16le(start + 2, nested ? type | NLA_F_NESTED : type)
  into.align(4)
}

type NestCodec<S extends AttrSpec> = Codec<Attrs<S>> & { readonly isNest: true }

/** A nest of named attributes. */
export function nest<S extends AttrSpec>(spec: S): NestCodec<S> {
  // messages are made and read by the ten thousand: nothing is made for an attribute but its value
  const fields = Object.entries(spec).map(([name, [type, codec]]) => ({ name, type, codec, isNest: 'isNest' in codec }))
  const byType = new Map(fields.map((field) => [field.type, field]))
  return {
    isNest: true,
    decode(bytes) {
      const found: Record<string, unknown> = {}
      eachAttr(bytes, (type, start, end) => {
        const field = byType.get(type)
        if (field !== undefined) found[field.name] = field.codec.decode(bytes.subarray(start, end))
      })
      return found as Attrs<S>
    },
    encode(value, into) {
      for (let index = 0; index < fields.length; index++) {
        const field = fields[index]!
        const entry = value[field.name]
        if (entry !== undefined) putAttr(into, field.type, field.codec, entry, field.isNest)
      }
    },
  }
}

/** A list in which every attribute has the same type (NFTA_LIST_ELEM and its like). */
export function listOf<T>(type: number, item: Codec<T>): Codec<readonly T[]> & { readonly isNest: true } {
  return {
    isNest: true,
    decode(bytes) {
      const items: T[] = []
      eachAttr(bytes, (_type, start, end) => items.push(item.decode(bytes.subarray(start, end))))
      return items
    },
    encode(items, into) {
      for (const entry of items) putAttr(into, type, item, entry, 'isNest' in item)
    },
  }
}

function fixed<T>(size: number, read: (view: DataView) => T, encode: (value: T, into: Writer) => void): Codec<T> {
  return {
    decode(bytes) {
      if (bytes.length < size) throw new WireError(`value of ${bytes.length} bytes where ${size} are due`, 0)
      return read(viewOf(bytes))
    },
    encode,
  }
}

export const u8 = fixed<number>(
  1,
  (view) => view.getUint8(0),
  (value, into) => into.u8(value),
)
export const u16 = fixed<number>(
  2,
  (view) => view.getUint16(0, true),
  (value, into) => into.u16le(value),
)
/** Nearly every message has some, so they are read without a view. */
export const u32: Codec<number> = {
  decode(bytes) {
    if (bytes.length < 4) throw new WireError(`value of ${bytes.length} bytes where 4 are due`, 0)
    return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0
  },
  encode: (value, into) => into.u32le(value),
}
export const u64 = fixed<bigint>(
  8,
  (view) => view.getBigUint64(0, true),
  (value, into) => into.u64le(value),
)
export const be16 = fixed<number>(
  2,
  (view) => view.getUint16(0),
  (value, into) => into.u16be(value),
)
export const be32 = fixed<number>(
  4,
  (view) => view.getUint32(0),
  (value, into) => into.u32be(value),
)
export const be64 = fixed<bigint>(
  8,
  (view) => view.getBigUint64(0),
  (value, into) => into.u64be(value),
)

/** An attribute without a value: present or absent. */
export const flag: Codec<true> = { decode: () => true, encode: () => {} }

export const raw: Codec<Uint8Array> = {
  decode: (bytes) => bytes.slice(),
  encode: (value, into) => into.bytes(value),
}

const utf8 = { decoder: new TextDecoder(), encoder: new TextEncoder() }

/** Text ended by a NUL. */
export const text: Codec<string> = {
  decode(bytes) {
    const end = bytes.indexOf(0)
    return utf8.decoder.decode(end < 0 ? bytes : bytes.subarray(0, end))
  },
  encode(value, into) {
    into.bytes(utf8.encoder.encode(value))
    into.u8(0)
  },
}

/** An IP address of 4 or 16 bytes. */
export const addr: Codec<Addr> = {
  decode(bytes) {
    if (bytes.length !== 4 && bytes.length !== 16) throw new WireError(`address of ${bytes.length} bytes`, 0)
    return Addr.fromBytes(bytes)
  },
  encode(value, into) {
    if (value.family === 4) into.u32be(Number(value.value))
    else {
      into.u64be(value.value >> 64n)
      into.u64be(value.value)
    }
  },
}

/** A hardware address as "02:43:57:00:00:01"; addresses of other lengths than six (tunnels have them) have the same form. */
export const mac: Codec<string> = {
  decode: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':'),
  encode: (value, into) => into.bytes(Uint8Array.from(value.split(':'), (part) => Number.parseInt(part, 16))),
}

/** The bytes of a single value, for attributes whose codec depends on another attribute (IFLA_INFO_DATA). */
export function bytesOf<T>(codec: Codec<T>, value: T): Uint8Array {
  return written((into) => codec.encode(value, into))
}
