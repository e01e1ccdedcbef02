// A growing buffer to write binary messages into, and small helpers for bytes.
// Netlink is host-endian: `le` writers are for it (all platforms we run on are little-endian; sys/libc.ts checks that),
// `be` writers are for network protocols and for netlink's big-endian fields.

export class Writer {
  #buffer: Uint8Array
  #view: DataView
  length = 0

  constructor(capacityBytes = 256) {
    this.#buffer = new Uint8Array(capacityBytes)
    this.#view = new DataView(this.#buffer.buffer)
  }

  /**
   * Makes room for `count` more bytes and returns the offset at which they start; they are zero. It may replace the buffer:
   * call it before naming that.
   */
  reserve(count: number): number {
    const offset = this.length
    this.length += count
    if (this.length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#buffer.length * 2))
      grown.set(this.#buffer)
      this.#buffer = grown
      this.#view = new DataView(grown.buffer)
    }
    return offset
  }

  u8(value: number): void {
    const offset = this.reserve(1)
    this.#view.setUint8(offset, value)
  }

  u16le(value: number): void {
    const offset = this.reserve(2)
    this.#view.setUint16(offset, value, true)
  }

  u32le(value: number): void {
    const offset = this.reserve(4)
    this.#view.setUint32(offset, value, true)
  }

  u16be(value: number): void {
    const offset = this.reserve(2)
    this.#view.setUint16(offset, value)
  }

  u32be(value: number): void {
    const offset = this.reserve(4)
    this.#view.setUint32(offset, value)
  }

  u64le(value: bigint): void {
    const offset = this.reserve(8)
    this.#view.setBigUint64(offset, value, true)
  }

  u64be(value: bigint): void {
    const offset = this.reserve(8)
    this.#view.setBigUint64(offset, value)
  }

  bytes(bytes: Uint8Array): void {
    const offset = this.reserve(bytes.length)
    this.#buffer.set(bytes, offset)
  }

  /** Pads with zeros to a multiple of `size` from the start of the buffer. */
  align(size: number): void {
    const over = this.length % size
    if (over !== 0) this.reserve(size - over)
  }

  /** Overwrites the number at `offset`: for lengths that are known only afterwards. */
  patchU8(offset: number, value: number): void {
    this.#view.setUint8(offset, value)
  }

  /** The same. */
  patchU16le(offset: number, value: number): void {
    this.#view.setUint16(offset, value, true)
  }

  /** A copy of the bytes written so far. */
  toBytes(): Uint8Array {
    return this.#buffer.slice(0, this.length)
  }

  /** The bytes written so far, without copying: valid until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.length)
  }

  /** Empties the buffer, keeping its memory. */
  clear(): void {
    this.#buffer.fill(0, 0, this.length)
    this.length = 0
  }
}

/** Writers not in use: messages are made by the ten thousand, and a new buffer for each would be garbage at once. */
const spare: Writer[] = []

/** The bytes that `write` writes. */
export function written(write: (into: Writer) => void): Uint8Array {
  const into = spare.pop() ?? new Writer()
  try {
    write(into)
    return into.toBytes()
  } finally {
    into.clear()
    spare.push(into)
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}

/** The outside gave bytes that do not fit the format. `offset` is where. */
export class WireError extends Error {
  override name = 'WireError'
  readonly offset: number

  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`)
    this.offset = offset
  }
}
