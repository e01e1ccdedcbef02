// The maps in which programs find the nodes: which way packets to a pod CIDR take, and which node owns an address. A change of another
// node costs its own entries only. Before programs carry packets of a prefix no more, its connections are given back to the stack (drain.ts).
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type BpfNode, type DesiredBpf } from '#/model/bpf.ts'
import { type DesiredNetwork, type NetworkDelta } from '#/model/network.ts'
import { type Change, type Comparison, type Driver, nothingToDo } from '#/reconcile/driver.ts'
import { type MapName, ownerStruct } from '#/wire/bpf/maps.ts'
import { drainNodes } from './drain.ts'
import { endEntry, type Entry, hexOf, nodeEntry, stopsCarrying } from './entries.ts'
import { type Generation } from './generation.ts'
import {
  compareMaps,
  type LeftEntry,
  type Present,
  removeChange,
  type WantedEntry,
  writeChange,
} from './map-changes.ts'
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
  readonly #netlink: Netlink
  readonly #state: EbpfState
  /** The node's devices at the last comparison, and whether programs take what comes in by each. */
  #devices: ReadonlyMap<string, boolean> = new Map()
  /** Whether the last comparison asked for entries, so that changes of them are to be written. */
  #isWanted = false
  /** The keys that several nodes have, such as an address of two nodes: the first node by name is the owner. */
  #shared: ReadonlySet<string> = new Set()

  constructor(netlink: Netlink, state: EbpfState) {
    this.#netlink = netlink
    this.#state = state
  }

  async compare({ bpf }: DesiredNetwork): Promise<Comparison> {
    const generation = this.#state.current
    this.#isWanted = bpf !== undefined && generation !== undefined
    if (bpf === undefined || generation === undefined) return nothingToDo
    this.#devices = takenDevices(bpf, listLinks(this.#netlink))
    const shared = new Set<string>()
    const comparison = await compareMaps(this.#place(generation), maps, this.#entriesOf(bpf), {
      onTwice: (entry) => shared.add(nameOf(entry)),
      needsDrain: (map, was, now) => map !== 'cw_ends' && stopsCarrying(was, now),
    })
    this.#shared = shared
    return comparison
  }

  fromDelta({ bpf }: NetworkDelta): Comparison | undefined {
    const generation = this.#state.current
    if (!this.#isWanted) return nothingToDo
    if (generation === undefined) return undefined
    if (bpf === undefined) return nothingToDo
    const wanted = new Map<MapName, WantedEntry[]>()
    const left = new Map<MapName, LeftEntry[]>()
    for (const [text, node] of bpf.nodes) {
      if (node) {
        // a device that is new since the last comparison
        if (node.way === 'native' && !node.devices.every((device) => this.#devices.has(device))) return undefined
        const entry = nodeEntry(this.#carried(node))
        add(wanted, entry.map, { ...entry, drained: drainedFor(generation, entry) })
      } else {
        const entry = keyOfPrefix(text)
        add(left, entry.map, { ...entry, drained: drainedFor(generation, entry) })
      }
    }
    for (const [text, end] of bpf.ends) {
      const entry = end ? endEntry(end) : keyOfEnd(text)
      if ('value' in entry) add(wanted, entry.map, entry)
      else add(left, entry.map, entry)
    }
    const isShared = (entry: Pick<Entry, 'map' | 'key'>): boolean => this.#shared.has(nameOf(entry))
    const touched = [...bpf.nodes.keys().map(keyOfPrefix), ...bpf.ends.keys().map(keyOfEnd)]
    const added = [...wanted.values()].flat()
    // which node is the owner then, only all of them tell
    if (touched.some(isShared) || added.some((entry) => isOfAnother(generation, entry))) return undefined
    const place = (map: MapName) => ({ ...this.#place(generation), map })
    const changes = [...wanted].map(([map, entries]): Change => writeChange(place(map), entries))
    const leftovers = [...left].map(([map, entries]): Change => removeChange(place(map), entries))
    return { keys: changes.map(({ key }) => key), changes, leftovers, failures: new Map() }
  }

  *#entriesOf({ nodes, ends }: DesiredBpf): Generator<Entry, void> {
    for (const node of nodes) yield nodeEntry(this.#carried(node))
    for (const end of ends) yield endEntry(end)
  }

  /**
   * The node as programs are to take it. Where no program takes what comes from the node, as on a device of WireGuard, programs may not carry
   * what goes there: connection tracking would see one direction only, and call it invalid.
   */
  #carried(node: BpfNode): BpfNode {
    if (node.way !== 'native' || node.devices.every((device) => this.#devices.get(device))) return node
    return { prefix: node.prefix, owner: node.owner, way: 'none' }
  }

  #place(generation: Generation) {
    return {
      folder: this.#state.folder,
      generation,
      drain: async (map: MapName, entries: readonly Present[]) => {
        if (map === 'cw_nodes4' || map === 'cw_nodes6') await drainNodes(generation.map(map), map, entries)
      },
    }
  }
}

/** The value by which programs carry packets to the entry's prefix now, if they are not to any more. */
function drainedFor(
  generation: Generation,
  { map, key, value }: Pick<Entry, 'map' | 'key'> & Partial<Entry>,
): Uint8Array | undefined {
  // a prefix without an entry of its own has that of the prefix around it
  const was = generation.map(map).get(key)
  return was !== undefined && stopsCarrying(was, value) ? was : undefined
}

function add<T>(to: Map<MapName, T[]>, map: MapName, entry: T): void {
  const list = to.get(map)
  if (list) list.push(entry)
  else to.set(map, [entry])
}

/** Programs read Ethernet headers: where a device has none, none is attached. */
function takenDevices({ attachments }: DesiredBpf, links: readonly Link[]): Map<string, boolean> {
  const attached = new Set(
    attachments.filter(({ program }) => program === 'cw_from_underlay').map(({ device }) => device),
  )
  return new Map(links.map(({ name, isEthernet }) => [name, isEthernet && attached.has(name)]))
}

const nameOf = ({ map, key }: Pick<Entry, 'map' | 'key'>): string => `${map} ${hexOf(key)}`

/** The first field of the values of these maps. */
function ownerIn(value: Uint8Array): string {
  return hexOf(value.subarray(0, ownerStruct.size))
}

/** Whether the key has another owner now. */
function isOfAnother(generation: Generation, { map, key, value }: Entry): boolean {
  const present = generation.map(map).get(key)
  return present !== undefined && ownerIn(present) !== ownerIn(value)
}
