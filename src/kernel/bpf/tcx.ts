// Programs at a device's tc hooks by tcx (Linux 6.6): a link holds the attachment, and ends it when nothing holds the link any more.
// Devices are those of the calling thread's network namespace, in which the link stays.
import { bpf, type AttrField } from '#/sys/bpf-call.ts'
import { viewOf } from '#/lib/bytes.ts'
import { BPF_LINK_CREATE, BPF_PROG_QUERY, type Hook, tcxHooks } from './commands.ts'
import { bpfErrorOf, mustBpf } from './error.ts'
import { BpfLink } from './link.ts'
import { type BpfProgram } from './program.ts'

export type Device = { readonly index: number; readonly name: string }

/** Where among the programs of others; packets that a program lets pass (TCX_NEXT) go on to the next one. */
export type Place = 'first' | 'last'

/** BPF_F_BEFORE and BPF_F_AFTER without another program: at the very beginning, or at the end. */
const places = { first: 8, last: 16 } as const satisfies Record<Place, number>

/** The loopback device of every namespace. */
const loopback = 1

/** Whether the kernel has tcx. Throws BpfError when the process may not ask. */
export function hasTcx(): boolean {
  const { code } = query(loopback, 'ingress')
  if (code === undefined || code === 'ENODEV') return true
  if (code === 'EINVAL') return false
  throw bpfErrorOf('ask for programs of tcx', code)
}

/** Attaches a program, beside others. Disposing of a link that is pinned nowhere ends the attachment. Throws BpfError: ENODEV. */
export function attachTcx(device: Device, hook: Hook, program: BpfProgram, place: Place = 'last'): BpfLink {
  const where = `${hook} of ${device.name}`
  const fields: AttrField[] = [
    [0, 'u32', program.fd],
    [4, 'u32', device.index],
    [8, 'u32', tcxHooks[hook]],
    [12, 'u32', places[place]],
  ]
  const { result } = mustBpf(BPF_LINK_CREATE, fields, `attach ${program.info.name} to ${where}`, whyNot)
  return new BpfLink(result, where)
}

function whyNot(code: string): string | undefined {
  if (code === 'EINVAL') return 'the kernel has no such hook (tcx needs Linux 6.6), or the program is none for packets'
  if (code === 'ENODEV') return 'there is no such device'
  return code === 'ERANGE' ? 'as many programs as the kernel takes are attached there (64)' : undefined
}

function query(
  index: number,
  hook: Hook,
): { readonly code: string | undefined; readonly ids: { readonly programId: number; readonly linkId: number }[] } {
  const [programIds, linkIds] = [new Uint8Array(4 * maxPrograms), new Uint8Array(4 * maxPrograms)]
  const { code, attr } = bpf(BPF_PROG_QUERY, [
    [0, 'u32', index],
    [4, 'u32', tcxHooks[hook]],
    [16, 'out', programIds],
    [24, 'u32', maxPrograms],
    [40, 'out', linkIds],
  ])
  const count = code === undefined ? attr.getUint32(24, true) : 0
  const ids = Array.from({ length: Math.min(count, maxPrograms) }, (_, at) => ({
    programId: viewOf(programIds).getUint32(4 * at, true),
    linkId: viewOf(linkIds).getUint32(4 * at, true),
  }))
  return { code, ids }
}

/** BPF_MPROG_MAX of the kernel: no device has more at one hook. */
const maxPrograms = 64

/** The programs at a hook in the order in which they run. `linkId` is 0 for one that is attached without a link. None without tcx. */
export function queryTcx(device: Device, hook: Hook): { readonly programId: number; readonly linkId: number }[] {
  const { code, ids } = query(device.index, hook)
  if (code !== undefined && code !== 'EINVAL') throw bpfErrorOf(`list programs at ${hook} of ${device.name}`, code)
  return ids
}
