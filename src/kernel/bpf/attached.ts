// Which programs see a device's packets, whoever attached them.
import { type Netlink } from '../netlink.ts'
import { listFilters, ownHandle, ownPriority } from './clsact.ts'
import { type Hook } from './commands.ts'
import { BpfError } from './error.ts'
import { BpfProgram } from './program.ts'
import { type Device, queryTcx } from './tcx.ts'

export type Attached = {
  readonly mechanism: 'tcx' | 'clsact'
  /** Undefined for a filter that is no program, such as flower or classic BPF. */
  readonly programId?: number
  /** The program's name (kernelName), or the filter's, or its kind; empty for a program that this process may not look at. */
  readonly name: string
  /** Of tcx. */
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

function linked({ programId, linkId }: ReturnType<typeof queryTcx>[number]): Attached {
  return { mechanism: 'tcx', programId, name: nameOf(programId), ...(linkId !== 0 && { linkId }) }
}

/**
 * All programs and filters at a hook in the order in which they see packets. Call it on a thread that is in the same namespace as
 * `netlink`. Throws BpfError, ENODEV.
 */
export function listAttached(netlink: Netlink, device: Device, hook: Hook): Attached[] {
  const filters = listFilters(netlink, device, hook).map(({ kind = '', bpf, priority, handle }): Attached => {
    const isOurs = bpf !== undefined && priority === ownPriority && handle === ownHandle
    return {
      mechanism: 'clsact',
      name: bpf?.name || kind,
      ...(bpf?.programId !== undefined && { programId: bpf.programId }),
      filter: { priority, handle, isOurs },
    }
  })
  return [...queryTcx(device, hook).map(linked), ...filters]
}
