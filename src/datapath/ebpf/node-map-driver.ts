// The maps in which programs find the nodes: which way packets to a pod CIDR take, and which node owns an address. A change of another
// node costs its own entries only.
import { Addr, Prefix } from '#/lib/addr.ts'
import { type DesiredNetwork, type NetworkDelta } from '#/model/network.ts'
import { type Change, type Comparison, type Driver, nothingToDo } from '#/reconcile/driver.ts'
import { type MapName } from '#/wire/bpf/maps.ts'
import { endEntry, type Entry, nodeEntry } from './entries.ts'
import { compareMaps, type LeftEntry, removeChange, writeChange } from './map-changes.ts'
import { type EbpfState } from './state.ts'

const maps = ['cw_nodes4', 'cw_nodes6', 'cw_ends'] as const satisfies readonly MapName[]

/** The key of a prefix or an end, given as text: those of an entry that is about nothing more. */
function keyOfPrefix(text: string): Pick<Entry, 'map' | 'key'> {
  const { map, key } = nodeEntry({ prefix: Prefix.parse(text), owner: '', way: 'none' })
  return { map, key }
}

function keyOfEnd(text: string): Pick<Entry, 'map' | 'key'> {
  const { map, key } = endEntry({ addr: Addr.parse(text), owner: '' })
  return { map, key }
}

export class NodeMapDriver implements Driver {
  readonly kind = 'node-map'
  readonly #state: EbpfState
  /** Whether the last comparison asked for entries, so that changes of them are to be written. */
  #isWanted = false

  constructor(state: EbpfState) {
    this.#state = state
  }

  compare({ bpf }: DesiredNetwork): Comparison {
    const generation = this.#state.current
    this.#isWanted = bpf !== undefined && generation !== undefined
    if (bpf === undefined || generation === undefined) return nothingToDo
    const wanted = new Map<MapName, Entry[]>(maps.map((map) => [map, []]))
    for (const entry of [...bpf.nodes.map(nodeEntry), ...bpf.ends.map(endEntry)]) wanted.get(entry.map)!.push(entry)
    return compareMaps(this.#state.folder, generation, wanted)
  }

  fromDelta({ bpf }: NetworkDelta): Comparison | undefined {
    const generation = this.#state.current
    if (!this.#isWanted) return nothingToDo
    if (generation === undefined) return undefined
    if (bpf === undefined) return nothingToDo
    const wanted = new Map<MapName, Entry[]>()
    const left = new Map<MapName, LeftEntry[]>()
    for (const [text, node] of bpf.nodes) {
      const entry = node ? nodeEntry(node) : keyOfPrefix(text)
      if ('value' in entry) add(wanted, entry.map, entry)
      else add(left, entry.map, entry)
    }
    for (const [text, end] of bpf.ends) {
      const entry = end ? endEntry(end) : keyOfEnd(text)
      if ('value' in entry) add(wanted, entry.map, entry)
      else add(left, entry.map, entry)
    }
    const place = (map: MapName) => ({ folder: this.#state.folder, generation, map })
    const changes = [...wanted].map(([map, entries]): Change => writeChange(place(map), entries))
    const leftovers = [...left].map(([map, entries]): Change => removeChange(place(map), entries))
    return { keys: changes.map(({ key }) => key), changes, leftovers, failures: new Map() }
  }
}

function add<T>(to: Map<MapName, T[]>, map: MapName, entry: T): void {
  const list = to.get(map)
  if (list) list.push(entry)
  else to.set(map, [entry])
}
