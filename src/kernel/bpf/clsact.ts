// Programs at a device's tc hooks by filters of the qdisc clsact, for kernels without tcx. A filter holds its program.
import {
  clsactHandle,
  decodeFilter,
  encodeBpfFilter,
  encodeFilterPlace,
  type FilterMessage,
  filterParents,
  RTM_DELTFILTER,
  RTM_GETTFILTER,
  RTM_NEWTFILTER,
  TC_H_CLSACT,
} from '#/wire/netlink/filter.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '#/wire/netlink/message.ts'
import { decodeQdisc, encodeQdisc, RTM_DELQDISC, RTM_GETQDISC, RTM_NEWQDISC } from '#/wire/netlink/qdisc.ts'
import { KernelError, type Netlink, type Operation } from '../netlink.ts'
import { type Hook } from './commands.ts'
import { BpfError } from './error.ts'
import { type BpfProgram } from './program.ts'
import { type Device } from './tcx.ts'

/** Priority and handle of Causeway's filter at a hook ("CW"). tc(8) gives filters without one priorities from 49152 on, which are later. */
export const ownPriority = 0x4357
export const ownHandle = 0x4357

const kindTaken =
  'the device has the qdisc "ingress", which has no hook for egress: replace it by clsact, which takes the same filters'

/** The qdisc clsact or ingress of a device; undefined when it has none. */
function qdiscOf(netlink: Netlink, device: Device): string | undefined {
  const payload = encodeQdisc({ index: device.index, handle: 0, parent: 0 })
  return netlink
    .dump({ what: `tc qdisc show dev ${device.name}`, type: RTM_GETQDISC, payload })
    .filter(({ type }) => type === RTM_NEWQDISC)
    .map((message) => decodeQdisc(message.payload))
    .find(({ index, parent }) => index === device.index && parent === TC_H_CLSACT)?.kind
}

function clsactOperation(device: Device, type: number, flags: number): Operation {
  const verb = type === RTM_NEWQDISC ? 'add' : 'del'
  const payload = encodeQdisc({ index: device.index, handle: clsactHandle, parent: TC_H_CLSACT, kind: 'clsact' })
  return { what: `tc qdisc ${verb} dev ${device.name} clsact`, type, flags, payload }
}

/** A program for one hook of a device; the name is shown to people. */
export type HookProgram = { readonly hook: Hook; readonly program: BpfProgram; readonly name: string }

/**
 * Attaches programs by filters, or puts them in place of those which Causeway's filters have, each in one step: every packet meets one of
 * them. Makes the qdisc clsact where the device has none: on a device that is up, packets that it is to send are lost for a moment then
 * (qdisc_graft of net/sched/sch_api.c deactivates the device). Throws KernelError, ENODEV when the device is gone; BpfError when another
 * qdisc is in the way.
 */
export function clsactAttach(netlink: Netlink, device: Device, programs: readonly HookProgram[]): void {
  const filters = programs.map(({ hook, program, name }): Operation => {
    const place = { index: device.index, parent: filterParents[hook], priority: ownPriority, handle: ownHandle }
    return {
      what: `tc filter replace dev ${device.name} ${hook} prio ${ownPriority} handle ${ownHandle} bpf direct-action ${name}`,
      type: RTM_NEWTFILTER,
      flags: NLM_F_CREATE,
      payload: encodeBpfFilter(place, program.fd, name),
    }
  })
  ensureClsact(netlink, device)
  netlink.execute(...filters)
}

/** Makes the qdisc clsact unless the device has it. The qdisc "ingress" would take a filter for egress, and show it what comes in. */
function ensureClsact(netlink: Netlink, device: Device): void {
  const [failure] = netlink.executeAll([clsactOperation(device, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL)])
  if (failure === undefined) return
  if (failure.code !== 'EEXIST') throw failure
  if (qdiscOf(netlink, device) === 'ingress') throw new BpfError(`${failure.message}: ${kindTaken}`, { code: 'EEXIST' })
}

/** Codes of deletions where there is nothing to delete: no device, no qdisc, no filter. */
const nothingThere = ['ENODEV', 'EINVAL', 'ENOENT']

/**
 * Removes Causeway's filter, and unless `keepsQdisc` the qdisc when nobody has a filter in it any more, for which packets are lost as in
 * `clsactAttach`. No error when there is none. Throws KernelError.
 */
export function clsactDetach(
  netlink: Netlink,
  device: Device,
  hook: Hook,
  { keepsQdisc }: { readonly keepsQdisc: boolean },
): void {
  const place = { index: device.index, parent: filterParents[hook], priority: ownPriority, handle: ownHandle }
  const [failure] = netlink.executeAll([
    {
      what: `tc filter del dev ${device.name} ${hook} prio ${ownPriority} handle ${ownHandle} bpf`,
      type: RTM_DELTFILTER,
      payload: encodeFilterPlace(place),
    },
  ])
  if (failure !== undefined) {
    if (!nothingThere.includes(failure.code)) throw failure
    return
  }
  if (keepsQdisc) return
  const isUsed = (['ingress', 'egress'] as const).some((each) => listFilters(netlink, device, each).length > 0)
  if (isUsed || qdiscOf(netlink, device) !== 'clsact') return
  const [kept] = netlink.executeAll([clsactOperation(device, RTM_DELQDISC, 0)])
  if (kept !== undefined && !nothingThere.includes(kept.code)) throw kept
}

/** The filters at a hook, of any kind, in the order in which they see packets. None when the device, or its qdisc, is not there. */
export function listFilters(netlink: Netlink, device: Device, hook: Hook): FilterMessage[] {
  const place = { index: device.index, parent: filterParents[hook], priority: 0, handle: 0 }
  try {
    return (
      netlink
        .dump({
          what: `tc filter show dev ${device.name} ${hook}`,
          type: RTM_GETTFILTER,
          payload: encodeFilterPlace(place),
        })
        .filter(({ type }) => type === RTM_NEWTFILTER)
        .map((message) => decodeFilter(message.payload))
        // a classifier that has no filter yet, or holds none of its own, is told too
        .filter(({ handle }) => handle !== 0)
    )
  } catch (error) {
    if (error instanceof KernelError && nothingThere.includes(error.code)) return []
    throw error
  }
}
