// Follows probes through this node's kernel: programs at tracepoints tell where they, their answers and errors about them are seen. The
// programs look at every packet of every namespace, so they are attached only while somebody traces. All of it ends with the process.
import { release } from 'node:os'
import { readFile } from 'node:fs/promises'
import { errorCode } from '#/lib/error-code.ts'
import { type TraceProtocol } from '#/wire/bpf/trace-words.ts'
import {
  learnedStruct,
  netnsStruct,
  probeKeyStruct,
  probeStruct,
  traceConfigStruct,
  type TraceMapName,
  traceMapLayouts,
  tracePrograms,
} from '#/wire/bpf/trace.ts'
import { indexStruct } from '#/wire/bpf/maps.ts'
import { BpfError } from '../bpf/error.ts'
import { type BpfMap } from '../bpf/map.ts'
import { mustMatch } from '../bpf/must-match.ts'
import { bpfObjectPath } from '../bpf/object-file.ts'
import { loadObject, type LoadedObject } from '../bpf/object.ts'
import { RingBuffer } from '../bpf/ring-buffer.ts'
import { attachTracepoint } from '../bpf/tracepoint.ts'
import { decodeSighting, type Sighting } from './sighting.ts'

/** IPPROTO_…; ICMPv6 goes by ICMP's. */
const protocolNumbers = { icmp: 1, tcp: 6, udp: 17 } as const satisfies Record<TraceProtocol, number>

const firstIndex = indexStruct.encode({ index: 0 })
/** Functions that free a tap's own copy for which its process had no room: the packet itself goes on. */
const tapFunctions = new Set(['packet_rcv', 'packet_rcv_spkt', 'tpacket_rcv'])

/** By what a probe is recognised: eight bytes that it carries, or the sequence number of its SYN. */
export type Probe =
  | { readonly protocol: 'icmp' | 'udp'; readonly cookie: Uint8Array }
  | { readonly protocol: 'tcp'; readonly seq: number }

/** Throws BpfError when they are not there: in a clone they are compiled for who asks for them. */
async function readPrograms(): Promise<Uint8Array> {
  const path = bpfObjectPath('trace')
  try {
    return await readFile(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new BpfError(`${path} is not there: "sh scripts/setup.sh ebpf" compiles it`, { code: 'ENOENT', cause: error })
  }
}

function keyOf(probe: Probe): Uint8Array {
  const token = new Uint8Array(8)
  if (probe.protocol === 'tcp') new DataView(token.buffer).setBigUint64(0, BigInt(probe.seq), true)
  else token.set(probe.cookie)
  return probeKeyStruct.encode({ token, protocol: protocolNumbers[probe.protocol], reserved: new Uint8Array(7) })
}

/** A probe that is followed, until this is disposed of. */
export type Followed = Disposable & {
  /** Sightings that were not told: there were too many at once, or of this probe. */
  readonly lost: number
}

type Follower = {
  readonly probe: Probe
  readonly key: Uint8Array
  readonly onSighting: (sighting: Sighting) => void
  /** Where a packet was seen last. */
  readonly netnsOf: Map<bigint, number>
}

export type ObserverOptions = {
  /** The UDP port of the tunnel, within which packets are looked for. */
  readonly vxlanPort: number
  /** The inodes of the network namespaces whose packets are told. */
  readonly namespaces: Iterable<number>
}

export class Observer implements Disposable {
  readonly #stack = new DisposableStack()
  readonly #object: LoadedObject
  readonly #vxlanPort: number
  readonly #followers = new Map<number, Follower>()
  readonly #namespaces = new Set<number>()
  #lastId = 0

  private constructor(object: LoadedObject, { vxlanPort, namespaces }: ObserverOptions) {
    this.#object = object
    this.#vxlanPort = vxlanPort
    this.#stack.use(object)
    try {
      this.#attach(namespaces)
    } catch (error) {
      this.#stack.dispose()
      throw error
    }
  }

  #attach(namespaces: Iterable<number>): void {
    for (const name of Object.keys(traceMapLayouts) as TraceMapName[]) mustMatch(this.#map(name), traceMapLayouts[name])
    this.addNamespaces(namespaces)
    this.#writeSettings()
    this.#stack.use(new RingBuffer(this.#map('cw_sightings'), (record) => this.#read(record)))
    for (const name of tracePrograms) this.#stack.use(attachTracepoint(this.#program(name)))
  }

  /** Loads the programs and attaches them: afterwards nothing is missed. Throws BpfError with what the kernel lacks. */
  static async open(options: ObserverOptions): Promise<Observer> {
    return new Observer(await loadObject({ bytes: await readPrograms() }), options)
  }

  /** The release of the kernel that is observed. */
  get kernel(): string {
    return release()
  }

  #map(name: TraceMapName): BpfMap {
    const map = this.#object.maps.get(name)
    if (map === undefined) throw new BpfError(`the object file of a trace has no map ${name}`)
    return map
  }

  #program(name: (typeof tracePrograms)[number]) {
    const program = this.#object.programs.get(name)
    if (program === undefined) throw new BpfError(`the object file of a trace has no program ${name}`)
    return program
  }

  /** Tells also of packets in these. Throws BpfError when there are too many. */
  addNamespaces(inodes: Iterable<number>): void {
    for (const inode of inodes) {
      if (this.#namespaces.has(inode)) continue
      this.#map('cw_namespaces').set(netnsStruct.encode({ inode }), firstIndex)
      this.#namespaces.add(inode)
    }
  }

  /** Follows a probe. Throws BpfError, RangeError when the same one is followed already. */
  follow(probe: Probe, onSighting: (sighting: Sighting) => void): Followed {
    const key = keyOf(probe)
    const probes = this.#map('cw_probes')
    if (probes.get(key) !== undefined) throw new RangeError('a probe like this is followed already')
    const id = ++this.#lastId
    this.#followers.set(id, { probe, key, onSighting, netnsOf: new Map() })
    probes.set(key, probeStruct.encode({ told: 0n, lost: 0n, id, reserved: 0 }), 'new')
    this.#writeSettings()
    let lost = 0
    const readLost = (): number => {
      const value = this.#followers.has(id) ? probes.get(key) : undefined
      return value === undefined ? lost : (lost = Number(probeStruct.decode(value).lost))
    }
    return {
      get lost() {
        return readLost()
      },
      [Symbol.dispose]: () => {
        readLost()
        if (this.#followers.delete(id)) this.#unfollow(key)
      },
    }
  }

  #unfollow(key: Uint8Array): void {
    this.#map('cw_probes').delete(key)
    const learned = this.#map('cw_learned_tuples')
    const token = probeKeyStruct.decode(key).token.toHex()
    for (const [tuple, value] of learned.entries())
      if (learnedStruct.decode(value).token.toHex() === token) learned.delete(tuple)
    if (this.#followers.size === 0) this.#map('cw_learned_ports').clear(firstIndex)
    this.#writeSettings()
  }

  /** Which protocols programs look at. */
  #writeSettings(): void {
    const isFollowed = (protocol: TraceProtocol): number =>
      [...this.#followers.values()].some(({ probe }) => probe.protocol === protocol) ? 1 : 0
    const cookies = [...this.#followers.values()].flatMap(({ probe }) =>
      probe.protocol === 'tcp' ? [] : [probe.cookie[0]!],
    )
    const settings = {
      cookies: cookies.reduce((mask, first) => mask | (1n << BigInt(first % 64)), 0n),
      vxlan_port: this.#vxlanPort,
      icmp: isFollowed('icmp'),
      udp: isFollowed('udp'),
      tcp: isFollowed('tcp'),
      reserved: new Uint8Array(3),
    }
    this.#map('cw_trace_settings').set(firstIndex, traceConfigStruct.encode(settings))
  }

  #read(record: Uint8Array): void {
    const { probe, sighting } = decodeSighting(record) ?? {}
    const follower = probe === undefined ? undefined : this.#followers.get(probe)
    if (follower === undefined || sighting === undefined) return
    if (sighting.drop !== undefined && tapFunctions.has(sighting.drop.function)) return
    // a packet without device and socket is where it was seen last; one that was not seen is another node's on the same kernel
    const netns = sighting.netns || follower.netnsOf.get(sighting.skb)
    if (netns === undefined) return
    follower.netnsOf.set(sighting.skb, netns)
    follower.onSighting({ ...sighting, netns })
  }

  /** Detaches the programs and frees everything. */
  [Symbol.dispose](): void {
    this.#followers.clear()
    this.#stack.dispose()
  }
}
