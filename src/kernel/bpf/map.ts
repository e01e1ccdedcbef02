// A BPF map as the kernel has it: keys and values are bytes, as src/wire/bpf lays them out.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type AttrField, bpf } from '#/sys/bpf-call.ts'
import { closeFd } from '#/sys/libc.ts'
import { possibleCpus } from '#/sys/cpus.ts'
import {
  BPF_MAP_DELETE_ELEM,
  BPF_MAP_GET_FD_BY_ID,
  BPF_MAP_GET_NEXT_KEY,
  BPF_MAP_LOOKUP_BATCH,
  BPF_MAP_LOOKUP_ELEM,
  BPF_MAP_UPDATE_ELEM,
} from './commands.ts'
import { bpfErrorOf, mustBpf } from './error.ts'
import { type MapInfo, readMapInfo } from './info.ts'
import { openPin, pinObject } from './pins.ts'

/** Whether `set` may make an entry, and may change one (BPF_ANY, BPF_NOEXIST, BPF_EXIST). */
export type UpdateMode = 'any' | 'new' | 'existing'

const modes = { any: 0, new: 1, existing: 2 } as const satisfies Record<UpdateMode, number>

/** Entries in one call. A bucket of a hash that holds more makes it grow. */
const batchEntries = 256

export class BpfMap implements Disposable {
  readonly fd: number
  readonly info: MapInfo
  /** Bytes of a value in calls: of all CPUs where each has its own. */
  readonly callValueBytes: number

  /** Takes over a descriptor of a map. */
  constructor(fd: number, about = 'map') {
    this.fd = fd
    this.info = readMapInfo(fd, about)
    const { type, valueBytes } = this.info
    this.callValueBytes = type.startsWith('percpu_') ? Math.ceil(valueBytes / 8) * 8 * possibleCpus() : valueBytes
  }

  /** Throws BpfError, ENOENT when nothing is pinned there. */
  static openPinned(path: string): BpfMap {
    return new BpfMap(openPin(path), path)
  }

  /** Needs CAP_SYS_ADMIN. Throws BpfError, ENOENT when there is no such map (any more). */
  static byId(id: number): BpfMap {
    return new BpfMap(mustBpf(BPF_MAP_GET_FD_BY_ID, [[0, 'u32', id]], `map ${id}: open`).result, `map ${id}`)
  }

  get #what(): string {
    return `map ${this.info.name}`
  }

  #element(key: Uint8Array | undefined, value?: readonly ['in' | 'out', Uint8Array]): AttrField[] {
    return [[0, 'u32', this.fd], [8, 'in', key], ...(value === undefined ? [] : [[16, ...value] as const])]
  }

  /** The value; of a map per CPU those of all CPUs, each padded to a multiple of eight bytes. Undefined when there is no such entry. */
  get(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.callValueBytes)
    const { code } = bpf(BPF_MAP_LOOKUP_ELEM, this.#element(key, ['out', value]))
    if (code === 'ENOENT') return undefined
    if (code !== undefined) throw bpfErrorOf(`${this.#what}: read an entry`, code)
    return value
  }

  /** Throws BpfError: EEXIST and ENOENT by mode, E2BIG or ENOSPC when the map is full. */
  set(key: Uint8Array, value: Uint8Array, mode: UpdateMode = 'any'): void {
    const { code } = bpf(BPF_MAP_UPDATE_ELEM, [...this.#element(key, ['in', value]), [24, 'u64', modes[mode]]])
    if (code !== undefined) throw bpfErrorOf(`${this.#what}: write an entry`, code, this.#whyNot(code))
  }

  /** Sets the value, that of every CPU where each has one, to zeros. Throws BpfError. */
  clear(key: Uint8Array): void {
    this.set(key, new Uint8Array(this.callValueBytes))
  }

  #whyNot(code: string): string | undefined {
    const { maxEntries, type } = this.info
    if (code !== 'E2BIG' && code !== 'ENOSPC') return undefined
    return type.endsWith('array')
      ? `it has ${maxEntries} entries, and none with that index`
      : `it is full: it holds ${maxEntries} entries`
  }

  /** Returns whether there was such an entry. */
  delete(key: Uint8Array): boolean {
    const { code } = bpf(BPF_MAP_DELETE_ELEM, this.#element(key))
    if (code !== undefined && code !== 'ENOENT') throw bpfErrorOf(`${this.#what}: remove an entry`, code)
    return code === undefined
  }

  /** All entries, in no order. One that comes or goes meanwhile may be there or not; the others are. */
  entries(): [key: Uint8Array, value: Uint8Array][] {
    return this.#entriesByBatch() ?? this.#entriesByKey()
  }

  /** The same in turns of the event loop, some hundred entries in each: for maps with thousands. An entry may come twice. */
  async *entriesInTurns(): AsyncGenerator<[key: Uint8Array, value: Uint8Array][]> {
    for (const batch of this.#batches()) {
      yield batch ?? this.#entriesByKey()
      await nextTurn()
    }
  }

  /** Undefined when the kernel has no such call for this type of map, or did not come to its end. */
  #entriesByBatch(): [Uint8Array, Uint8Array][] | undefined {
    const found: [Uint8Array, Uint8Array][] = []
    for (const batch of this.#batches()) {
      if (batch === undefined) return undefined
      found.push(...batch)
    }
    return found
  }

  /** Up to some hundred entries at a time; undefined, as the last: as above. */
  *#batches(): Generator<[Uint8Array, Uint8Array][] | undefined, void> {
    const { keyBytes, maxEntries } = this.info
    // what the kernel notes there to go on from: the last key, or the number of a bucket
    const position = new Uint8Array(Math.max(keyBytes, 4))
    let count = Math.min(batchEntries, maxEntries)
    for (let isFirst = true; ;) {
      const [keys, values] = [new Uint8Array(count * keyBytes), new Uint8Array(count * this.callValueBytes)]
      const next = new Uint8Array(position.length)
      const { code, attr } = bpf(BPF_MAP_LOOKUP_BATCH, [
        [0, 'in', isFirst ? undefined : position],
        [8, 'out', next],
        [16, 'out', keys],
        [24, 'out', values],
        [32, 'u32', count],
        [36, 'u32', this.fd],
      ])
      if (code === 'ENOSPC' && count < maxEntries) {
        count = Math.min(2 * count, maxEntries)
        continue
      }
      if (code !== undefined && code !== 'ENOENT') return yield undefined
      const told = attr.getUint32(32, true)
      yield Array.from({ length: told }, (_, index) => [
        keys.subarray(index * keyBytes, (index + 1) * keyBytes),
        values.subarray(index * this.callValueBytes, (index + 1) * this.callValueBytes),
      ])
      if (code === 'ENOENT') return
      if (told === 0) return yield undefined
      position.set(next)
      isFirst = false
    }
  }

  #entriesByKey(): [Uint8Array, Uint8Array][] {
    const found = new Map<string, [Uint8Array, Uint8Array]>()
    let key: Uint8Array | undefined
    // a hash starts over when the key has gone meanwhile: so it ends after as many steps as there can be entries
    for (let step = 0; step <= this.info.maxEntries; step++) {
      const next = new Uint8Array(this.info.keyBytes)
      const { code } = bpf(BPF_MAP_GET_NEXT_KEY, this.#element(key, ['out', next]))
      if (code === 'ENOENT') break
      if (code !== undefined) throw bpfErrorOf(`${this.#what}: list its entries`, code)
      const value = this.get(next)
      if (value !== undefined) found.set(next.toHex(), [next, value])
      key = next
    }
    return [...found.values()]
  }

  /** Throws BpfError: EEXIST, and when the path is in no bpffs. */
  pin(path: string): void {
    pinObject(this.fd, path, this.#what)
  }

  [Symbol.dispose](): void {
    closeFd(this.fd)
  }
}
