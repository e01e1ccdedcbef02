// Reads what the programs count: the packets of each pod by the way that they took, and drops with their reasons. Cheap enough for every
// scrape of metrics: a few system calls for each pod, and none for pods that are gone.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BpfMap } from '#/kernel/bpf/map.ts'
import { viewOf } from '#/lib/bytes.ts'
import {
  countStruct,
  deniedKeyStruct,
  dropKeyStruct,
  indexStruct,
  portStruct,
  trafficKindsPerPod,
} from '#/wire/bpf/maps.ts'
import { type PodDirection, podDirections, trafficKind, type TrafficWay, trafficWays } from '#/wire/bpf/words.ts'
import { type Generation } from './generation.ts'

export type Count = { readonly packets: number; readonly bytes: number }

/** By direction and way. */
export type PodTraffic = Readonly<Record<PodDirection, Readonly<Record<TrafficWay, Count>>>>

export type DropCount = Count & {
  /** The index of the device at which the program was. */
  readonly device: number
  readonly hook: number
  readonly reason: number
}

/** The sum over all CPUs. */
function summed(bytes: Uint8Array): Count {
  const view = viewOf(bytes)
  let [packets, count] = [0, 0]
  for (let at = 0; at + countStruct.size <= bytes.length; at += countStruct.size) {
    packets += Number(view.getBigUint64(at, true))
    count += Number(view.getBigUint64(at + 8, true))
  }
  return { packets, bytes: count }
}

const none: Count = { packets: 0, bytes: 0 }

function trafficOfSlot(map: BpfMap, slot: number): PodTraffic {
  const read = (direction: PodDirection, way: TrafficWay): Count => {
    const value = map.get(indexStruct.encode({ index: slot * trafficKindsPerPod + trafficKind(direction, way) }))
    return value ? summed(value) : none
  }
  const ofDirection = (direction: PodDirection) =>
    Object.fromEntries(trafficWays.map((way) => [way, read(direction, way)])) as Record<TrafficWay, Count>
  return Object.fromEntries(podDirections.map((each) => [each, ofDirection(each)])) as PodTraffic
}

/** Pods in one turn of the event loop: each costs eight system calls. */
const podsPerTurn = 64

/** The counters of each pod, by the index of its host device, as the programs know it. Rejects with BpfError. */
export async function readTraffic(generation: Generation): Promise<Map<number, PodTraffic>> {
  const all = new Map<number, PodTraffic>()
  // a descriptor of its own: the generation's may be closed before the last pod is read
  using traffic = BpfMap.byId(generation.map('cw_traffic').info.id)
  for (const [key, value] of generation.map('cw_ports').entries()) {
    all.set(indexStruct.decode(key).index, trafficOfSlot(traffic, portStruct.decode(value).slot))
    if (all.size % podsPerTurn === 0) await nextTurn()
  }
  return all
}

/** Drops since the programs' maps were made, also at devices that are gone. Throws BpfError. */
export function readDrops(generation: Generation): DropCount[] {
  return generation
    .map('cw_drops')
    .entries()
    .map(([key, value]) => {
      const { device, hook, reason } = dropKeyStruct.decode(key)
      return { device, hook, reason, ...summed(value) }
    })
}

/** Removes the drops at a device that is gone, whose number no other device gets: else the map would fill with them. */
export function forgetDrops(generation: Generation, { device, hook, reason }: DropCount): void {
  generation.map('cw_drops').delete(dropKeyStruct.encode({ device, hook, reason, reserved: 0 }))
}

export type DeniedCount = Count & {
  /** The index of the device at which the program was. */
  readonly device: number
  readonly rule: number
}

/** What policies denied since the programs' maps were made, by the rule; also at devices that are gone. Throws BpfError. */
export function readDenied(generation: Generation): DeniedCount[] {
  return generation
    .map('cw_denied')
    .entries()
    .map(([key, value]) => {
      const { device, rule } = deniedKeyStruct.decode(key)
      return { device, rule, ...summed(value) }
    })
}

/** The same for what policies denied at a device that is gone. */
export function forgetDenied(generation: Generation, { device, rule }: DeniedCount): void {
  generation.map('cw_denied').delete(deniedKeyStruct.encode({ device, rule }))
}

/** What went past the stack, and what took the way through it. */
export type Share = { readonly carried: number; readonly stack: number }

export function shareOf(ways: Readonly<Record<TrafficWay, Count>>): Share {
  return {
    carried: ways.local.packets + ways.native.packets + ways.tunnel.packets,
    stack: ways.stack.packets,
  }
}
