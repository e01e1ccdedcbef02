// The maps in which programs find this node's pods, and its settings. CNI ADD and DEL write a pod's entries themselves (pod-plug.ts); this
// driver keeps them right.
import { listLinks, type Link } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type DesiredBpf } from '#/model/bpf.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type Comparison, type Driver, nothingToDo } from '#/reconcile/driver.ts'
import { type Failure } from '#/reconcile/status.ts'
import { readSysctl } from '#/sys/sysctl.ts'
import { configFlags, configStruct, indexStruct, type MapName, podStruct, portStruct } from '#/wire/bpf/maps.ts'
import { configEntry, type Entry, podEntries } from './entries.ts'
import { type Generation } from './generation.ts'
import { compareMaps, type WantedEntry } from './map-changes.ts'
import { placeOf } from './pod-plug.ts'
import { type EbpfState } from './state.ts'

/** As the kernel has them where nobody changed them (net/netfilter/nf_conntrack_proto_tcp.c and …_udp.c). */
const defaultTcpTimeoutS = 432_000
const defaultUdpTimeoutS = 120

function secondsOf(sysctl: string, otherwise: number): number {
  const value = Number(readSysctl(`net/netfilter/${sysctl}`) ?? Number.NaN)
  return Number.isSafeInteger(value) && value > 0 ? value : otherwise
}

const maps = ['cw_config', 'cw_pods4', 'cw_pods6', 'cw_ports'] as const satisfies readonly MapName[]

type Keys = { readonly key: Uint8Array; readonly value: Uint8Array }

export class PodMapDriver implements Driver {
  readonly kind = 'pod-map'
  readonly #netlink: Netlink
  readonly #state: EbpfState
  readonly #isInUse: (port: string) => boolean

  constructor(netlink: Netlink, state: EbpfState, isInUse: (port: string) => boolean) {
    this.#netlink = netlink
    this.#state = state
    this.#isInUse = isInUse
  }

  async compare({ bpf }: DesiredNetwork): Promise<Comparison> {
    const generation = this.#state.current
    if (bpf === undefined || generation === undefined) return nothingToDo
    const links = new Map(listLinks(this.#netlink).map((link) => [link.name, link]))
    this.#learnSlots(generation, new Set([...links.values()].map(({ index }) => index)))
    const wanted: WantedEntry[] = [this.#config(generation, bpf, links)]
    const failures = new Map<string, Failure>()
    for (const pod of bpf.pods) {
      const link = links.get(pod.device)
      // without a device the port driver tells of it
      if (link === undefined || !this.#isInUse(pod.device)) continue
      const place = placeOf(this.#state, generation, link, bpf.deviceMtuBytes)
      if (place === undefined) {
        failures.set('cw_ports', { message: `no slot is free for the counters of pod ${pod.pod}` })
        continue
      }
      this.#state.plugged.set(pod.device, { index: link.index, addrs: pod.addrs })
      const isDue = (): boolean => this.#isInUse(pod.device)
      // a bucket of a plugin after ours (bandwidth) limits what the pod receives, as ours does
      const isLimited = pod.isLimited || link.hasQueue
      for (const entry of podEntries({ ...pod, isLimited }, place)) wanted.push({ ...entry, isDue })
    }
    const names = new Map([...links.values()].map(({ index, name }) => [index, name]))
    // an ADD that came after the plan was made has written entries of its own
    const mayRemove = (map: MapName, key: Uint8Array, value: Uint8Array): boolean => {
      const name = names.get(deviceOf(map, { key, value })) ?? this.#nameOf(deviceOf(map, { key, value }))
      return name === undefined || !this.#isInUse(name)
    }
    const place = { folder: this.#state.folder, generation }
    return { ...(await compareMaps(place, maps, wanted, { mayRemove })), failures }
  }

  /** The name of a device that came after the devices were read. */
  #nameOf(index: number): string | undefined {
    return [...this.#state.plugged].find(([, each]) => each.index === index)?.[0]
  }

  /** Slots that an earlier agent gave are read from the maps. */
  #learnSlots(generation: Generation, devices: ReadonlySet<number>): void {
    for (const [key, value] of generation.map('cw_ports').entries()) {
      const { index } = indexStruct.decode(key)
      if (devices.has(index)) this.#state.slots.keep(index, portStruct.decode(value).slot)
    }
    const plugged = [...this.#state.plugged.values()].map(({ index }) => index)
    this.#state.slots.retain(new Set([...devices, ...plugged]))
  }

  #config(generation: Generation, { podDevice, tunnel }: DesiredBpf, links: ReadonlyMap<string, Link>): Entry {
    const present = generation.map('cw_config').get(indexStruct.encode({ index: 0 }))
    // who watches packets sets that flag
    const flags = present === undefined ? 0 : configStruct.decode(present).flags & configFlags.watching
    const [bridge, tunnelDevice] = [links.get(podDevice), links.get(tunnel.device)]
    return configEntry({
      flags,
      ...(bridge && { bridge }),
      ...(tunnelDevice && { tunnelDevice }),
      tunnel,
      tcpTimeoutS: secondsOf('nf_conntrack_tcp_timeout_established', defaultTcpTimeoutS),
      udpTimeoutS: secondsOf('nf_conntrack_udp_timeout_stream', defaultUdpTimeoutS),
      jiffiesHz: this.#state.jiffiesHz,
    })
  }
}

function deviceOf(map: MapName, { key, value }: Keys): number {
  return map === 'cw_ports' ? indexStruct.decode(key).index : podStruct.decode(value).device
}
