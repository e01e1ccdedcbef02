// Reads records that programs write to a ring buffer.
import { MappedRing } from '#/sys/bpf-ring.ts'
import { POLLIN, watchFd } from '#/sys/fd-watcher.ts'
import { BpfError } from './error.ts'
import { type BpfMap } from './map.ts'

/** Records in one turn of the event loop: what else waits must not wait for a flood of them. */
const recordsPerTurn = 256
/** A ring counts as full from here on: the last record may be too long for the rest. */
const fullShare = 0.98

export class RingBuffer implements Disposable {
  readonly #ring: MappedRing
  readonly #watch: Disposable

  /**
   * Calls `onRecord` for every record, of which there can be one reader only. The bytes are valid until it returns. Keeps the process
   * running. The map stays the caller's, and is closed after this. Throws BpfError when the map is no ring buffer. `onFull` is called when
   * there was no room, or hardly any: programs may not have been able to write all that they wanted to.
   */
  constructor(map: BpfMap, onRecord: (bytes: Uint8Array) => void, onFull: () => void = () => {}) {
    const { name, type, maxEntries } = map.info
    if (type !== 'ringbuf') throw new BpfError(`map ${name}: it is no ring buffer, but a ${type}`)
    this.#ring = new MappedRing(map.fd, maxEntries, `map ${name}`)
    this.#watch = watchFd(map.fd, POLLIN, () => {
      if (this.#ring.waitingBytes > maxEntries * fullShare) onFull()
      this.#ring.consume(onRecord, recordsPerTurn)
    })
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
    this.#ring[Symbol.dispose]()
  }
}
