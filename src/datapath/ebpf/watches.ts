// Watches of chosen packets: the programs compare each packet with pairs of addresses and tell what they did with it. It costs every packet a
// little, so programs are told to look only while somebody watches, and what an agent that was killed has left is cleared by the next one.
import { BpfMap } from '#/kernel/bpf/map.ts'
import { RingBuffer } from '#/kernel/bpf/ring-buffer.ts'
import { type Addr } from '#/lib/addr.ts'
import { configFlags, configStruct, eventStruct, indexStruct, pairStruct, watchStruct } from '#/wire/bpf/maps.ts'
import { hexOf, in16Bytes } from './entries.ts'
import { type Generation } from './generation.ts'

export type Pair = { readonly src: Addr; readonly dst: Addr }
export type WatchEvent = ReturnType<typeof eventStruct.decode>

/** Who may watch at once; the map has room for more. */
const maxPairs = 64
const configKey = indexStruct.encode({ index: 0 })

type WatchMaps = Readonly<Record<'cw_config' | 'cw_watched' | 'cw_events', BpfMap>>
export type WatchListener = {
  readonly onEvent: (event: WatchEvent) => void
  /** Programs may have had no room to tell of more packets, of this pair or another. */
  readonly onFull: () => void
}

type Watched = { readonly key: Uint8Array; readonly id: number; readonly listeners: Set<WatchListener> }

/** Sets or clears the flag by which programs know that somebody watches. Throws BpfError. */
function setWatching(map: BpfMap, isWatching: boolean): void {
  const bytes = map.get(configKey)
  if (bytes === undefined) return
  const config = configStruct.decode(bytes)
  const flags = isWatching ? config.flags | configFlags.watching : config.flags & ~configFlags.watching
  if (flags !== config.flags) map.set(configKey, configStruct.encode({ ...config, flags }))
}

/** Removes what an earlier agent watched: nobody would read those events. Throws BpfError. */
export function clearWatches(generation: Generation): void {
  setWatching(generation.map('cw_config'), false)
  const watched = generation.map('cw_watched')
  for (const [key] of watched.entries()) watched.delete(key)
}

function keyOf({ src, dst }: Pair): Uint8Array {
  return pairStruct.encode({ src: in16Bytes(src), dst: in16Bytes(dst) })
}

/** The watches of one generation of programs. */
export class Watches implements Disposable {
  readonly #maps: WatchMaps
  readonly #watched = new Map<string, Watched>()
  readonly #byId = new Map<number, Watched>()
  /** Events of earlier watches may still be in the ring: no number comes again soon. */
  #lastId = Math.trunc(Math.random() * 0x7fff_ffff)
  #ring: RingBuffer | undefined

  constructor(generation: Generation) {
    // descriptors of its own: the generation's may be closed while somebody watches
    const open = (name: keyof WatchMaps): BpfMap => BpfMap.byId(generation.map(name).info.id)
    this.#maps = { cw_config: open('cw_config'), cw_watched: open('cw_watched'), cw_events: open('cw_events') }
  }

  /** Whether another pair can be watched. */
  get hasRoom(): boolean {
    return this.#watched.size < maxPairs
  }

  /** Tells of each packet of the pair until the result is disposed of. Throws RangeError when too many watch; BpfError. */
  add(pair: Pair, listener: WatchListener): Disposable {
    const key = keyOf(pair)
    const name = hexOf(key)
    const watched = this.#watched.get(name) ?? this.#begin(name, key)
    watched.listeners.add(listener)
    return {
      [Symbol.dispose]: () => {
        watched.listeners.delete(listener)
        if (watched.listeners.size === 0 && this.#watched.get(name) === watched) this.#end(name, watched)
      },
    }
  }

  #begin(name: string, key: Uint8Array): Watched {
    if (!this.hasRoom) throw new RangeError(`${maxPairs} pairs of addresses are watched already`)
    this.#lastId = (this.#lastId % 0x7fff_ffff) + 1
    const watched: Watched = { key, id: this.#lastId, listeners: new Set() }
    this.#ring ??= new RingBuffer(
      this.#maps.cw_events,
      (bytes) => this.#read(bytes),
      () => this.#full(),
    )
    this.#maps.cw_watched.set(key, watchStruct.encode({ id: watched.id }))
    this.#watched.set(name, watched)
    this.#byId.set(watched.id, watched)
    setWatching(this.#maps.cw_config, true)
    return watched
  }

  #end(name: string, { key, id }: Watched): void {
    this.#watched.delete(name)
    this.#byId.delete(id)
    if (this.#watched.size === 0) {
      setWatching(this.#maps.cw_config, false)
      this.#ring?.[Symbol.dispose]()
      this.#ring = undefined
    }
    this.#maps.cw_watched.delete(key)
  }

  /** Puts the flag right when a pass of the agent has written the settings with that of a moment before. Throws BpfError. */
  settle(): void {
    setWatching(this.#maps.cw_config, this.#watched.size > 0)
  }

  #read(bytes: Uint8Array): void {
    const event = eventStruct.decode(bytes.subarray(0, eventStruct.size))
    for (const listener of this.#byId.get(event.watch)?.listeners ?? []) listener.onEvent(event)
  }

  #full(): void {
    for (const { listeners } of this.#watched.values()) for (const listener of listeners) listener.onFull()
  }

  [Symbol.dispose](): void {
    for (const [name, watched] of this.#watched) this.#end(name, watched)
    for (const map of Object.values(this.#maps)) map[Symbol.dispose]()
  }
}
