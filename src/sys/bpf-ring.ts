// A BPF ring buffer as the kernel maps it (kernel/bpf/ringbuf.c): a page with how far the reader is, a page with how far the kernel is, and
// the data, mapped twice in a row so that a record that passes the end lies in one piece.
import { libc, mappedMemory, type NativeMemory } from './libc.ts'

const PROT_READ = 1
const PROT_WRITE = 2
const MAP_SHARED = 1
/** Pages are of 4 KiB on x86-64; arm64 may have larger ones. */
const pageBytes = pageSize()

/** In front of each record: its length with two flags above, and a number of the kernel's. */
const headerBytes = 8
const busyBit = 0x8000_0000
const discardBit = 0x4000_0000

function pageSize(): number {
  const _SC_PAGESIZE = 30
  return libc('sysconf', [_SC_PAGESIZE])
}

export class MappedRing implements Disposable {
  readonly #bytes: number
  readonly #consumerPage: NativeMemory
  readonly #producerPages: NativeMemory
  readonly #consumed: BigUint64Array
  readonly #produced: BigUint64Array
  readonly #headers: Uint32Array
  readonly #data: Uint8Array
  #isConsuming = false
  #isClosed = false

  /** `bytes` is the map's number of entries. Throws SysError. */
  constructor(fd: number, bytes: number, about: string) {
    this.#bytes = bytes
    this.#consumerPage = map(fd, pageBytes, PROT_READ | PROT_WRITE, 0, about)
    try {
      this.#producerPages = map(fd, pageBytes + 2 * bytes, PROT_READ, pageBytes, about)
    } catch (error) {
      unmap(this.#consumerPage)
      throw error
    }
    const { buffer } = this.#producerPages.bytes
    this.#consumed = new BigUint64Array(this.#consumerPage.bytes.buffer, 0, 1)
    this.#produced = new BigUint64Array(buffer, 0, 1)
    this.#data = new Uint8Array(buffer, pageBytes, 2 * bytes)
    this.#headers = new Uint32Array(buffer, pageBytes, (2 * bytes) / 4)
  }

  /** How many bytes wait to be read, headers included. */
  get waitingBytes(): number {
    return Number(Atomics.load(this.#produced, 0) - Atomics.load(this.#consumed, 0))
  }

  /**
   * Calls `take` for each record that is there, up to `limit`; returns whether there may be more. The bytes are the kernel's own, and valid
   * only until `take` returns.
   */
  consume(take: (record: Uint8Array) => void, limit: number): boolean {
    this.#isConsuming = true
    try {
      return this.#consume(take, limit)
    } finally {
      this.#isConsuming = false
      if (this.#isClosed) this.#unmap()
    }
  }

  #consume(take: (record: Uint8Array) => void, limit: number): boolean {
    for (let count = 0; count < limit && !this.#isClosed;) {
      const position = Atomics.load(this.#consumed, 0)
      if (position >= Atomics.load(this.#produced, 0)) return false
      const offset = Number(position % BigInt(this.#bytes))
      const header = Atomics.load(this.#headers, offset / 4)
      // a program is writing it at this moment, and those behind have to wait for it
      if (header & busyBit) return false
      const length = header & ~(busyBit | discardBit)
      const start = offset + headerBytes
      try {
        if ((header & discardBit) === 0) {
          count++
          take(this.#data.subarray(start, start + length))
        }
      } finally {
        Atomics.store(this.#consumed, 0, position + BigInt((headerBytes + length + 7) & ~7))
      }
    }
    return true
  }

  /** Nothing may call `consume` afterwards. `take` may call this. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (!this.#isConsuming) this.#unmap()
  }

  #unmap(): void {
    unmap(this.#consumerPage)
    unmap(this.#producerPages)
  }
}

function map(fd: number, length: number, access: number, offset: number, about: string): NativeMemory {
  return mappedMemory(BigInt(libc('mmap', [null, length, access, MAP_SHARED, fd, offset], about)), length)
}

function unmap({ address, bytes }: NativeMemory): void {
  libc('munmap', [address, bytes.length])
}
