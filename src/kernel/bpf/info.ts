// What the kernel tells of an object: struct bpf_map_info, bpf_prog_info and bpf_link_info (include/uapi/linux/bpf.h).
import { viewOf } from '#/lib/bytes.ts'
import { withPointer } from '#/sys/libc.ts'
import { BPF_OBJ_GET_INFO_BY_FD, mapTypeName } from './commands.ts'
import { mustBpf } from './error.ts'

export type MapInfo = {
  readonly id: number
  /** Cut by the kernel (kernelName). */
  readonly name: string
  /** As src/wire/bpf and bpftool(8) name it. */
  readonly type: string
  readonly keyBytes: number
  readonly valueBytes: number
  readonly maxEntries: number
}

export type ProgramInfo = {
  readonly id: number
  /** Cut by the kernel (kernelName). */
  readonly name: string
  /** A hash over the instructions. */
  readonly tag: string
  /** BPF_PROG_TYPE_… */
  readonly type: number
  readonly mapIds: readonly number[]
  /** How many instructions the verifier walked through; 0 before Linux 5.16. */
  readonly verifiedInstructions: number
  readonly xlatedBytes: number
  /** 0 when the program is interpreted. */
  readonly jitedBytes: number
  /** CLOCK_BOOTTIME. */
  readonly loadedAtNs: bigint
  /** While the sysctl kernel.bpf_stats_enabled is set. */
  readonly runs: bigint
  readonly runTimeNs: bigint
}

export type LinkInfo = {
  readonly id: number
  /** BPF_LINK_TYPE_… */
  readonly type: number
  readonly programId: number
  /** Of a link to a device; 0 when the device is gone, or the link was detached. */
  readonly device: number
  readonly attachType: number
}

function read(fd: number, bytes: Uint8Array, what: string): DataView {
  mustBpf(
    BPF_OBJ_GET_INFO_BY_FD,
    [
      [0, 'u32', fd],
      [4, 'u32', bytes.length],
      [8, 'inout', bytes],
    ],
    `${what}: read its info`,
  )
  return viewOf(bytes)
}

const decoder = new TextDecoder()

function textAt(bytes: Uint8Array, offset: number, length: number): string {
  const field = bytes.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return decoder.decode(end < 0 ? field : field.subarray(0, end))
}

export function readMapInfo(fd: number, what: string): MapInfo {
  const bytes = new Uint8Array(88)
  const view = read(fd, bytes, what)
  return {
    id: view.getUint32(4, true),
    name: textAt(bytes, 24, 16),
    type: mapTypeName(view.getUint32(0, true)),
    keyBytes: view.getUint32(8, true),
    valueBytes: view.getUint32(12, true),
    maxEntries: view.getUint32(16, true),
  }
}

const programInfoBytes = 232
/** Where the struct says how many maps a program has, and where their ids are to go. */
const mapIds = { count: 52, pointer: 56 } as const

/** The ids of a program's maps; the kernel had to say before how many they are. */
function readMapIds(fd: number, count: number, what: string): number[] {
  if (count === 0) return []
  const ids = new Uint8Array(4 * count)
  withPointer(ids, (address) => {
    const bytes = new Uint8Array(programInfoBytes)
    viewOf(bytes).setUint32(mapIds.count, count, true)
    viewOf(bytes).setBigUint64(mapIds.pointer, address, true)
    read(fd, bytes, what)
  })
  return Array.from({ length: count }, (_, index) => viewOf(ids).getUint32(4 * index, true))
}

export function readProgramInfo(fd: number, what: string): ProgramInfo {
  const bytes = new Uint8Array(programInfoBytes)
  const view = read(fd, bytes, what)
  return {
    id: view.getUint32(4, true),
    name: textAt(bytes, 64, 16),
    tag: bytes.subarray(8, 16).toHex(),
    type: view.getUint32(0, true),
    mapIds: readMapIds(fd, view.getUint32(mapIds.count, true), what),
    verifiedInstructions: view.getUint32(216, true),
    xlatedBytes: view.getUint32(20, true),
    jitedBytes: view.getUint32(16, true),
    loadedAtNs: view.getBigUint64(40, true),
    runs: view.getBigUint64(200, true),
    runTimeNs: view.getBigUint64(192, true),
  }
}

/** Device and attach type are those of a link to a device; other kinds of link have other fields there. */
export function readLinkInfo(fd: number, what: string): LinkInfo {
  const view = read(fd, new Uint8Array(64), what)
  return {
    id: view.getUint32(4, true),
    type: view.getUint32(0, true),
    programId: view.getUint32(8, true),
    device: view.getUint32(16, true),
    attachType: view.getUint32(20, true),
  }
}
