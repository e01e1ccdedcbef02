// The one system call of BPF: bpf(2), which takes a command and a union of structs (include/uapi/linux/bpf.h). What the struct points to
// is copied to memory that does not move, and back afterwards.
import { viewOf } from '#/lib/bytes.ts'
import { allocate, libc, type NativeMemory, SysError } from './libc.ts'

const numbers: Readonly<Record<string, number>> = { x64: 321, arm64: 280 }

/** Longer than any kernel's union so far. The kernel takes what it does not know as long as it is zero. */
const attrBytes = 144
/** Most calls need no more; memory for larger ones is kept too, as who needs it once needs it again. */
const usualBytes = 16_384

let memory: NativeMemory | undefined

function memoryOf(length: number): NativeMemory {
  if (memory === undefined || memory.bytes.length < length)
    memory = allocate(Math.max(usualBytes, 2 ** Math.ceil(Math.log2(length))))
  return memory
}

/** A field of the struct, by its offset: a number, or bytes that the struct points to. */
export type AttrField =
  | readonly [offset: number, type: 'u32', value: number]
  | readonly [offset: number, type: 'u64', value: number | bigint]
  /** Bytes that the kernel reads, and may write: then they are changed in place. */
  | readonly [offset: number, type: 'in' | 'inout' | 'out', bytes: Uint8Array | undefined]

const align = (length: number): number => (length + 7) & ~7

/** What a call gave: its result, or why it failed, and the struct as the kernel left it, valid until the next call. */
export type BpfOutcome = { readonly result: number; readonly code: string | undefined; readonly attr: DataView }

/** Calls bpf(2). A failure is an outcome too, since the kernel may have written a part of the answer. */
export function bpf(command: number, fields: readonly AttrField[]): BpfOutcome {
  const number = numbers[process.arch]
  if (number === undefined) throw new Error(`no eBPF on ${process.arch}: Causeway knows bpf(2) on x64 and arm64 only`)
  let length = attrBytes
  for (const [, type, value] of fields) if (type !== 'u32' && type !== 'u64') length += align(value?.length ?? 0)
  const { address, bytes } = memoryOf(length)
  bytes.fill(0, 0, attrBytes)
  const attr = viewOf(bytes)
  let end = attrBytes
  for (const [offset, type, value] of fields) {
    if (type === 'u32') attr.setUint32(offset, value, true)
    else if (type === 'u64') attr.setBigUint64(offset, BigInt(value), true)
    else if (value !== undefined) {
      if (type === 'out') bytes.fill(0, end, end + value.length)
      else bytes.set(value, end)
      attr.setBigUint64(offset, address + BigInt(end), true)
      end += align(value.length)
    }
  }
  const outcome = call(number, command, address)
  end = attrBytes
  for (const [, type, value] of fields) {
    if (type === 'u32' || type === 'u64' || value === undefined) continue
    if (type !== 'in') value.set(bytes.subarray(end, end + value.length))
    end += align(value.length)
  }
  return { ...outcome, attr }
}

function call(number: number, command: number, address: bigint): Pick<BpfOutcome, 'result' | 'code'> {
  try {
    return { result: libc('syscall', [number, command, address, attrBytes]), code: undefined }
  } catch (error) {
    if (error instanceof SysError) return { result: -1, code: error.code }
    throw error
  }
}
