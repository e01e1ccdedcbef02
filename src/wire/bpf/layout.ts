// Describes C structs once, for both sides: the C header is generated from these tables (header.ts), and values are encoded and decoded by
// them. Offsets follow the rules of C: each field is aligned to its own size, the struct to its largest field.

/** `be16` and `be32` are in network byte order in memory; the value is a plain number. `bytes`: as many as given. */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'be16' | 'be32' | { readonly bytes: number }

export type FieldTypes = Readonly<Record<string, FieldType>>

type ValueOf<T> = T extends 'u64' ? bigint : T extends { readonly bytes: number } ? Uint8Array : number

/** The value of a struct, field by field. */
export type StructValue<F extends FieldTypes> = { readonly [K in keyof F]: ValueOf<F[K]> }

const sizes = { u8: 1, u16: 2, u32: 4, u64: 8, be16: 2, be32: 4 } as const

function sizeOf(type: FieldType): number {
  return typeof type === 'string' ? sizes[type] : type.bytes
}

function alignmentOf(type: FieldType): number {
  return typeof type === 'string' ? sizes[type] : 1
}

export type FieldPlace = { readonly name: string; readonly type: FieldType; readonly offset: number }

/** A struct that programs and agent share. Padding is explicit nowhere and zero always: keys with padding are compared bytewise. */
export class Struct<F extends FieldTypes = FieldTypes> {
  readonly name: string
  readonly size: number
  readonly places: readonly FieldPlace[]

  constructor(name: string, fields: F) {
    this.name = name
    let offset = 0
    let alignment = 1
    const places: FieldPlace[] = []
    for (const [field, type] of Object.entries(fields)) {
      const own = alignmentOf(type)
      alignment = Math.max(alignment, own)
      offset = Math.ceil(offset / own) * own
      places.push({ name: field, type, offset })
      offset += sizeOf(type)
    }
    this.places = places
    this.size = Math.ceil(offset / alignment) * alignment
  }

  /** Throws RangeError when a field of bytes has another length. */
  encode(value: StructValue<F>): Uint8Array {
    const bytes = new Uint8Array(this.size)
    const view = new DataView(bytes.buffer)
    for (const { name, type, offset } of this.places) {
      const field = value[name] as number | bigint | Uint8Array
      if (typeof type === 'object') {
        const from = field as Uint8Array
        if (from.length !== type.bytes)
          throw new RangeError(`${this.name}.${name}: ${from.length} bytes instead of ${type.bytes}`)
        bytes.set(from, offset)
      } else if (type === 'u64') view.setBigUint64(offset, field as bigint, true)
      else if (type === 'u8') view.setUint8(offset, field as number)
      else if (type === 'u16' || type === 'be16') view.setUint16(offset, field as number, type === 'u16')
      else view.setUint32(offset, field as number, type === 'u32')
    }
    return bytes
  }

  /** Throws RangeError when there are not exactly as many bytes as the struct has. */
  decode(bytes: Uint8Array): StructValue<F> {
    if (bytes.length !== this.size) throw new RangeError(`${this.name}: ${bytes.length} bytes instead of ${this.size}`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const read = ({ type, offset }: FieldPlace): number | bigint | Uint8Array => {
      if (typeof type === 'object') return bytes.slice(offset, offset + type.bytes)
      if (type === 'u64') return view.getBigUint64(offset, true)
      if (type === 'u8') return view.getUint8(offset)
      if (type === 'u16' || type === 'be16') return view.getUint16(offset, type === 'u16')
      return view.getUint32(offset, type === 'u32')
    }
    return Object.fromEntries(this.places.map((place) => [place.name, read(place)])) as StructValue<F>
  }
}
