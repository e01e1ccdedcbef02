// Where programs of ours are attached: by filters of clsact at the device of a new pod, and before Linux 6.6; by links of tcx, pinned under the
// names of device and hook, at devices that are at work already (docs/decisions/0016-how-programs-are-attached.md). Both go on without an
// agent. Nothing of others at the same hooks is touched.
import { join } from 'node:path'
import {
  clsactAttach,
  clsactDetach,
  type HookProgram,
  listFilters,
  ownHandle,
  ownPriority,
} from '#/kernel/bpf/clsact.ts'
import { BpfLink } from '#/kernel/bpf/link.ts'
import { listPins, makePinFolder, unpin } from '#/kernel/bpf/pins.ts'
import { type BpfProgram } from '#/kernel/bpf/program.ts'
import { attachTcx, type Device, hasTcx } from '#/kernel/bpf/tcx.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { errorCode } from '#/lib/error-code.ts'
import { type BpfHook } from '#/model/bpf.ts'
import { isPodDevice } from '#/model/names.ts'
import { type ProgramName } from '#/wire/bpf/maps.ts'
import { linksFolder } from './generation.ts'

/** An attachment of ours as it is found. */
export type Found = {
  readonly device: string
  readonly hook: BpfHook
  readonly mechanism: 'tcx' | 'clsact'
  /** The device that it is at work on; undefined when that is gone. */
  readonly index: number | undefined
  readonly programId: number | undefined
}

const hookNames: readonly BpfHook[] = ['ingress', 'egress']

/** A bpffs takes no name with a dot (bpf_lookup of kernel/bpf/inode.c). */
function pinNameOf(device: string, hook: BpfHook): string {
  return `${device.replaceAll('%', '%25').replaceAll('.', '%2e')}-${hook}`
}

function pinned(name: string): { device: string; hook: BpfHook } | undefined {
  const hook = hookNames.find((each) => name.endsWith(`-${each}`))
  if (hook === undefined) return undefined
  const device = name
    .slice(0, -hook.length - 1)
    .replaceAll('%2e', '.')
    .replaceAll('%25', '%')
  return { device, hook }
}

export class Hooks {
  readonly #folder: string
  readonly #keepsQdiscs: boolean
  #tcx: boolean | undefined
  /** The names that are pinned, as far as this process knows; undefined until it has looked. An ADD and a DEL need no look at the folder. */
  #pins: Set<string> | undefined

  /** `keepsQdiscs`: a qdisc clsact that has no filter any more stays, since removing it would cost packets of the device. */
  constructor(folder: string, { keepsQdiscs = true }: { readonly keepsQdiscs?: boolean } = {}) {
    this.#folder = join(folder, linksFolder)
    this.#keepsQdiscs = keepsQdiscs
  }

  get #hasTcx(): boolean {
    return (this.#tcx ??= hasTcx())
  }

  /** Whether filters of ours may be on the device. */
  #mayHaveFilters(device: string): boolean {
    return isPodDevice(device) || !this.#hasTcx
  }

  /** Whether any link is pinned, which may be of no use any more. */
  get hasPins(): boolean {
    return listPins(this.#folder).length > 0
  }

  #path(device: string, hook: BpfHook): string {
    return join(this.#folder, pinNameOf(device, hook))
  }

  /** The links of ours. Throws BpfError. */
  links(): Found[] {
    return listPins(this.#folder).flatMap((name) => {
      const place = pinned(name)
      return place ? (this.#linkAt(place.device, place.hook) ?? []) : []
    })
  }

  /** The filters of ours on a device; none are looked for where there can be none. Throws KernelError. */
  filters(netlink: Netlink, device: Device): Found[] {
    return this.#mayHaveFilters(device.name) ? filtersOn(netlink, device) : []
  }

  /** All attachments of ours; `devices` are the node's. Throws BpfError and KernelError. */
  find(netlink: Netlink, devices: readonly Device[]): Found[] {
    return [...this.links(), ...devices.flatMap((device) => this.filters(netlink, device))]
  }

  /** The program of ours at one hook; undefined when none is attached. */
  programAt(netlink: Netlink, device: Device, hook: BpfHook): number | undefined {
    const link = this.#linkAt(device.name, hook)
    // a device may have the name of one that had a link before
    const linked = link?.index === device.index ? link.programId : undefined
    return linked ?? this.filters(netlink, device).find((each) => each.hook === hook)?.programId
  }

  #linkAt(device: string, hook: BpfHook): Found | undefined {
    using link = BpfLink.ifPinned(this.#path(device, hook))
    if (link === undefined) return undefined
    const { device: index, programId } = link.info()
    return { device, hook, mechanism: 'tcx', index: index === 0 ? undefined : index, programId }
  }

  /** Attaches programs to the device of a new pod, which carries nothing yet. Throws BpfError and KernelError. */
  attachNew(netlink: Netlink, device: Device, programs: readonly HookProgram[]): void {
    this.forget(device.name)
    clsactAttach(netlink, device, programs)
  }

  /** Attaches a program in place of any other of ours, in one step, to a device that may be at work. Throws BpfError and KernelError. */
  attach(netlink: Netlink, device: Device, program: HookProgram): void {
    const path = this.#path(device.name, program.hook)
    if (this.#replace(path, device, program.program)) return
    // making the qdisc would cost packets of the device (dev_deactivate), and a link costs none
    if (!this.#hasTcx || this.filters(netlink, device).length > 0) return clsactAttach(netlink, device, [program])
    makePinFolder(this.#folder)
    // a link to a device that is gone, or to one that had the name before
    unpin(path)
    using link = attachTcx(device, program.hook, program.program)
    link.pin(path)
    this.#pins?.add(pinNameOf(device.name, program.hook))
  }

  /** Puts the program in place of that of the pinned link; false when there is no such link to the device. */
  #replace(path: string, device: Device, program: BpfProgram): boolean {
    using link = BpfLink.ifPinned(path)
    if (link === undefined) return false
    const { device: index, programId } = link.info()
    if (index !== device.index) return false
    if (programId !== program.info.id) link.replace(program)
    return true
  }

  /** Detaches what of ours is there; no error when nothing is. Throws BpfError and KernelError. */
  detach(netlink: Netlink, device: string, hook: BpfHook, index: number | undefined): void {
    const path = this.#path(device, hook)
    using link = BpfLink.ifPinned(path)
    try {
      link?.detach()
    } catch (error) {
      // its device is gone already
      if (errorCode(error) !== 'ENOLINK') throw error
    }
    unpin(path)
    if (index === undefined || !this.#mayHaveFilters(device)) return
    clsactDetach(netlink, { index, name: device }, hook, { keepsQdisc: this.#keepsQdiscs })
  }

  /** Removes the pins of a device that is gone, or is another one by now. */
  forget(device: string): void {
    const pins = (this.#pins ??= new Set(listPins(this.#folder)))
    for (const hook of hookNames) if (pins.delete(pinNameOf(device, hook))) unpin(this.#path(device, hook))
  }

  /** The change as a command of bpftool or tc. */
  commandOf(verb: 'attach' | 'detach', device: string, hook: BpfHook, program?: ProgramName): string {
    if (this.#mayHaveFilters(device))
      return verb === 'attach'
        ? `tc filter replace dev ${device} ${hook} bpf direct-action object-pinned ${program}`
        : `tc filter del dev ${device} ${hook} # the filter of ours`
    return verb === 'attach'
      ? `bpftool net attach tcx_${hook} pinned ${program} dev ${device}`
      : `rm ${this.#path(device, hook)}`
  }
}

function filtersOn(netlink: Netlink, device: Device): Found[] {
  return hookNames.flatMap((hook) => {
    const ours = listFilters(netlink, device, hook).find(
      ({ bpf, priority, handle }) => bpf !== undefined && priority === ownPriority && handle === ownHandle,
    )
    if (ours === undefined) return []
    return [
      { device: device.name, hook, mechanism: 'clsact' as const, index: device.index, programId: ours.bpf?.programId },
    ]
  })
}
