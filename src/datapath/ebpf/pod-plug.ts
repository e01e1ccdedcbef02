// Makes one pod known to the programs and attaches them to its host device, within the call; and the way back.
import { BpfError } from '#/kernel/bpf/error.ts'
import { type Device } from '#/kernel/bpf/tcx.ts'
import { findLink } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type BpfHook, type BpfPod } from '#/model/bpf.ts'
import { notPoliced, type PolicedClasses, policedValue } from '#/plan/policy-maps/entries.ts'
import { indexStruct, type MapName, podStruct, type ProgramName, trafficKindsPerPod } from '#/wire/bpf/maps.ts'
import { hexOf, podEntries, podKey, type PodPlace, portKey } from './entries.ts'
import { type Generation } from './generation.ts'
import { type EbpfState } from './state.ts'

/** Where each program of a pod's host device is attached. What leaves towards the pod is counted before the pod can answer. */
export const podHooks: readonly (readonly [BpfHook, ProgramName])[] = [
  ['egress', 'cw_to_pod'],
  ['ingress', 'cw_from_pod'],
]

/** Sets the counters of a slot to zero: they are those of a pod that is gone. */
function clearCounters(generation: Generation, slot: number): void {
  const clear = (map: MapName, index: number): void => generation.map(map).clear(indexStruct.encode({ index }))
  for (let kind = 0; kind < trafficKindsPerPod; kind++) clear('cw_traffic', slot * trafficKindsPerPod + kind)
  clear('cw_budgets', slot)
}

/**
 * The pod's place in the maps, with what its policies deny as far as that is known; undefined when all slots are taken. `device`: the host end of
 * its veth.
 */
export function placeOf(
  state: EbpfState,
  generation: Generation,
  { name, index }: Device,
  mtuBytes: number,
): PodPlace | undefined {
  const taken = state.slots.take(index)
  if (taken === undefined) return undefined
  const { slot, isNew } = taken
  if (isNew) {
    clearCounters(generation, slot)
    setPoliced(generation, slot, state.policedOf(name))
  }
  return { index, slot, mtuBytes }
}

/** Tells the programs the classes of the pod with a slot. */
export function setPoliced(generation: Generation, slot: number, classes: PolicedClasses): void {
  generation.map('cw_policed').set(indexStruct.encode({ index: slot }), policedValue(classes))
}

/** Throws BpfError and KernelError; what was done of it then is undone by `unplugPod`. */
export function plugPod(state: EbpfState, netlink: Netlink, pod: BpfPod, host: Device, mtuBytes: number): void {
  const generation = state.current
  if (generation === undefined) throw new BpfError('the programs of the eBPF datapath are not loaded')
  const place = placeOf(state, generation, host, mtuBytes)
  if (place === undefined) throw new BpfError('no slot is free for the counters of another pod')
  state.plugged.set(host.name, { index: host.index, addrs: pod.addrs })
  for (const { map, key, value } of podEntries(pod, place)) generation.map(map).set(key, value)
  const programs = podHooks.map(([hook, name]) => ({ hook, name, program: generation.program(name) }))
  state.hooks.attachNew(netlink, host, programs)
}

/**
 * Removes a pod's entries: no program may send to a device that is gone. The filters of its device go with the device, which is to go next.
 * No error when there are none.
 */
export function unplugPod(state: EbpfState, netlink: Netlink, hostDevice: string): void {
  const generation = state.current
  const known = state.plugged.get(hostDevice)
  const index = known?.index ?? findLink(netlink, hostDevice)?.index
  if (generation !== undefined && index !== undefined) {
    const addrs = known?.addrs.map(podKey) ?? keysOfDevice(generation, index)
    for (const { map, key } of addrs) if (isOf(generation, map, key, index)) generation.map(map).delete(key)
    const port = portKey(index)
    generation.map(port.map).delete(port.key)
    const slot = state.slots.slotOf(index)
    if (slot !== undefined) setPoliced(generation, slot, notPoliced)
    state.slots.free(index)
  }
  state.plugged.delete(hostDevice)
  state.hooks.forget(hostDevice)
}

type Key = ReturnType<typeof podKey>

/** Whether the entry is of that device: another pod may have the address by now. */
function isOf(generation: Generation, map: Key['map'], key: Uint8Array, index: number): boolean {
  const value = generation.map(map).get(key)
  return value !== undefined && podStruct.decode(value).device === index
}

function keysOfDevice(generation: Generation, index: number): Key[] {
  return (['cw_pods4', 'cw_pods6'] as const).flatMap((map) =>
    generation
      .map(map)
      .entries()
      .filter(([, value]) => podStruct.decode(value).device === index)
      .map(([key]) => ({ map, key })),
  )
}

/** What of a pod's entries and programs is not as it should be, each as one phrase. */
export function plugFaults(state: EbpfState, netlink: Netlink, pod: BpfPod, host: Device): string[] {
  const generation = state.current
  if (generation === undefined) return ['the programs of the eBPF datapath are not loaded']
  const faults: string[] = []
  for (const addr of pod.addrs) {
    const { map, key } = podKey(addr)
    const value = generation.map(map).get(key)
    if (value === undefined) faults.push(`${map} has no entry for ${addr}`)
    else if (podStruct.decode(value).device !== host.index) faults.push(`${map} has another device for ${addr}`)
    else if (hexOf(podStruct.decode(value).mac) !== pod.mac.replaceAll(':', ''))
      faults.push(`${map} has another MAC for ${addr}`)
  }
  for (const [hook, name] of podHooks) {
    const programId = state.hooks.programAt(netlink, host, hook)
    if (programId !== generation.program(name).info.id) faults.push(`${name} is not attached to ${host.name}`)
  }
  return faults
}
