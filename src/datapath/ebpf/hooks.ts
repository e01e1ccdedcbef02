// Where programs of ours are attached: by links of tcx, pinned under the names of device and hook, at the node's own devices, and by filters
// of clsact at pods' devices (docs/decisions/0016-how-programs-are-attached.md) and before Linux 6.6. Both go on without an agent. Nothing of
// others at the same hooks is touched.
import { join } from 'node:path'
import { clsactAttach, clsactDetach, listFilters, ownHandle, ownPriority } from '#/kernel/bpf/clsact.ts'
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
  #hasTcx: boolean | undefined

  constructor(folder: string) {
    this.#folder = join(folder, linksFolder)
  }

  /** Whether programs are attached to the device by links, and not by filters. */
  #isLinked(device: string): boolean {
    return !isPodDevice(device) && (this.#hasTcx ??= hasTcx())
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
      return place ? [this.#linkAt(place.device, place.hook)] : []
    })
  }

  /** The filters of ours on a device; none are looked for on one that has links. Throws KernelError. */
  filters(netlink: Netlink, device: Device): Found[] {
    return this.#isLinked(device.name) ? [] : filtersOn(netlink, device)
  }

  /** All attachments of ours; `devices` are the node's. Throws BpfError and KernelError. */
  find(netlink: Netlink, devices: readonly Device[]): Found[] {
    return [...this.links(), ...devices.flatMap((device) => this.filters(netlink, device))]
  }

  /** The program of ours at one hook; undefined when none is attached. */
  programAt(netlink: Netlink, device: Device, hook: BpfHook): number | undefined {
    if (!this.#isLinked(device.name)) return filtersOn(netlink, device).find((each) => each.hook === hook)?.programId
    try {
      const { index, programId } = this.#linkAt(device.name, hook)
      return index === device.index ? programId : undefined
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  #linkAt(device: string, hook: BpfHook): Found {
    using link = BpfLink.openPinned(this.#path(device, hook))
    const { device: index, programId } = link.info()
    return { device, hook, mechanism: 'tcx', index: index === 0 ? undefined : index, programId }
  }

  /** Attaches a program in place of any other of ours, in one step. Throws BpfError and KernelError. */
  attach(netlink: Netlink, device: Device, hook: BpfHook, program: BpfProgram, name: ProgramName): void {
    if (!this.#isLinked(device.name)) return clsactAttach(netlink, device, hook, program, name)
    const path = this.#path(device.name, hook)
    if (this.#replace(path, device, program)) return
    makePinFolder(this.#folder)
    // a link to a device that is gone, or to one that had the name before
    unpin(path)
    using link = attachTcx(device, hook, program)
    link.pin(path)
  }

  /** Puts the program in place of that of the pinned link; false when there is no such link to the device. */
  #replace(path: string, device: Device, program: BpfProgram): boolean {
    let link: BpfLink
    try {
      link = BpfLink.openPinned(path)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false
      throw error
    }
    using opened = link
    const { device: index, programId } = opened.info()
    if (index !== device.index) return false
    if (programId !== program.info.id) opened.replace(program)
    return true
  }

  /** Detaches what of ours is there; no error when nothing is. Throws BpfError and KernelError. */
  detach(netlink: Netlink, device: string, hook: BpfHook, index: number | undefined): void {
    const path = this.#path(device, hook)
    try {
      using link = BpfLink.openPinned(path)
      link.detach()
    } catch (error) {
      // ENOLINK: its device is gone already
      const code = errorCode(error)
      if (code !== 'ENOENT' && code !== 'ENOLINK') throw error
    }
    unpin(path)
    if (!this.#isLinked(device) && index !== undefined) clsactDetach(netlink, { index, name: device }, hook)
  }

  /** The change as a command of bpftool or tc. */
  commandOf(verb: 'attach' | 'detach', device: string, hook: BpfHook, program?: ProgramName): string {
    if (!this.#isLinked(device))
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
