// What the agent sees of the programs of the eBPF datapath: their state, the drivers that keep them, whether a pod has them, and what they
// count.
import { findLink } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Driver } from '#/reconcile/driver.ts'
import { AttachmentDriver } from './ebpf/attachment-driver.ts'
import { NodeMapDriver } from './ebpf/node-map-driver.ts'
import { PodMapDriver } from './ebpf/pod-map-driver.ts'
import { podHooks } from './ebpf/pod-plug.ts'
import { ProgramDriver } from './ebpf/program-driver.ts'
import { type EbpfState } from './ebpf/state.ts'

import { type Generation } from './ebpf/generation.ts'

export { type Generation }
export { type HookState, readAttached } from './ebpf/read-attached.ts'
export * from './ebpf/read-counters.ts'
export { PolicyMaps, type PolicyMapsDeps } from './ebpf/policy-maps.ts'
export { type DeniedPacket } from './ebpf/denied-packets.ts'
export * from './ebpf/map-words.ts'
export * from './ebpf/read-maps.ts'
export { ruleText } from './ebpf/read-policy-maps.ts'
export { EbpfState } from './ebpf/state.ts'
export * from './ebpf/watches.ts'

/** In the order in which objects are made: maps are full before the programs that read them are attached. */
export function programDrivers(netlink: Netlink, ebpf: EbpfState, isInUse: (port: string) => boolean): Driver[] {
  return [
    new ProgramDriver(netlink, ebpf),
    new PodMapDriver(netlink, ebpf, isInUse),
    new NodeMapDriver(netlink, ebpf),
    new AttachmentDriver(netlink, ebpf, isInUse),
  ]
}

/** Whether the programs are attached to a pod's host device; `unknown` when there is no such device. */
export function programsAt(
  netlink: Netlink,
  { hooks }: EbpfState,
  hostDevice: string,
): 'all' | 'none' | 'some' | 'unknown' {
  const device = findLink(netlink, hostDevice)
  if (device === undefined) return 'unknown'
  const attached = podHooks.filter(([hook]) => hooks.programAt(netlink, device, hook) !== undefined)
  return attached.length === podHooks.length ? 'all' : attached.length === 0 ? 'none' : 'some'
}

/** The programs of ours at devices, by the kernel's numbers. */
export function ownProgramIds(generation: Generation | undefined): number[] {
  if (generation === undefined) return []
  return (['cw_from_pod', 'cw_to_pod', 'cw_from_underlay', 'cw_from_tunnel'] as const).map(
    (name) => generation.program(name).info.id,
  )
}
