// Which programs see a device's packets, whoever attached them.
import { type Netlink } from '../netlink.ts'
import { listFilters, ownHandle, ownPriority } from './clsact.ts'
import { type Hook } from './commands.ts'
import { BpfError } from './error.ts'
import { BpfProgram } from './program.ts'
import { type Device, queryNetkit, queryTcx } from './tcx.ts'

export type Attached = {
  readonly mechanism: 'tcx' | 'clsact' | 'netkit'
  /** Undefined for a filter that is no program, such as flower or classic BPF. */
  readonly programId?: number
  /** The program's name (kernelName), or the filter's, or its kind; empty for a program that this process may not look at. */
  readonly name: string
  /** Of tcx and netkit. */
  readonly linkId?: number
  /** Of clsact. */
  readonly filter?: { readonly priority: number; readonly handle: number; readonly isOurs: boolean }
}

/** The program's name; empty when it has gone meanwhile, or this process has no CAP_SYS_ADMIN. */
function nameOf(programId: number): string {
  try {
    using program = BpfProgram.byId(programId)
    return program.info.name
  } catch (error) {
    if (error instanceof BpfError && (error.code === 'EPERM' || error.code === 'ENOENT')) return ''
    throw error
  }
}

type Ids = { readonly programId: number; readonly linkId: number }

function linked(mechanism: 'tcx' | 'netkit', { programId, linkId }: Ids): Attached {
  return { mechanism, programId, name: nameOf(programId), ...(linkId !== 0 && { linkId }) }
}

/**
 * All programs and filters at a hook in the order in which they see packets. Call it on a thread that is in the same namespace as
 * `netlink`. Throws BpfError, ENODEV.
 */
export function listAttached(netlink: Netlink, device: Device, hook: Hook): Attached[] {
  // a program of netkit runs where the packet leaves one end, which is before the other end receives it
  const netkit = hook === 'egress' ? queryNetkit(device, 'primary') : queryNetkit(device, 'peer')
  const filters = listFilters(netlink, device, hook).map(({ kind = '', bpf, priority, handle }): Attached => {
    const isOurs = bpf !== undefined && priority === ownPriority && handle === ownHandle
    return {
      mechanism: 'clsact',
      name: bpf?.name || kind,
      ...(bpf?.programId !== undefined && { programId: bpf.programId }),
      filter: { priority, handle, isOurs },
    }
  })
  return [
    ...netkit.map((ids) => linked('netkit', ids)),
    ...queryTcx(device, hook).map((ids) => linked('tcx', ids)),
    ...filters,
  ]
}
