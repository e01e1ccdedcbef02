// Numbers of bpf(2): enum bpf_cmd, bpf_map_type, bpf_prog_type, bpf_attach_type, bpf_link_type (include/uapi/linux/bpf.h).

export const BPF_MAP_LOOKUP_ELEM = 1
export const BPF_MAP_UPDATE_ELEM = 2
export const BPF_MAP_DELETE_ELEM = 3
export const BPF_MAP_GET_NEXT_KEY = 4
export const BPF_OBJ_PIN = 6
export const BPF_OBJ_GET = 7
export const BPF_PROG_TEST_RUN = 10
export const BPF_PROG_GET_FD_BY_ID = 13
export const BPF_MAP_GET_FD_BY_ID = 14
export const BPF_OBJ_GET_INFO_BY_FD = 15
export const BPF_PROG_QUERY = 16
export const BPF_RAW_TRACEPOINT_OPEN = 17
export const BPF_MAP_LOOKUP_BATCH = 24
export const BPF_MAP_UPDATE_BATCH = 26
export const BPF_MAP_DELETE_BATCH = 27
export const BPF_LINK_CREATE = 28
export const BPF_LINK_UPDATE = 29
export const BPF_LINK_DETACH = 34

/** The kernel keeps no more characters of the names of maps and programs (BPF_OBJ_NAME_LEN). */
const nameLength = 15

/** A name as the kernel has it. */
export function kernelName(name: string): string {
  return name.slice(0, nameLength)
}

const names: Readonly<Record<number, string>> = {
  1: 'hash',
  2: 'array',
  3: 'prog_array',
  4: 'perf_event_array',
  5: 'percpu_hash',
  6: 'percpu_array',
  9: 'lru_hash',
  10: 'lru_percpu_hash',
  11: 'lpm_trie',
  12: 'array_of_maps',
  13: 'hash_of_maps',
  27: 'ringbuf',
}

/** The name of a map type as src/wire/bpf and bpftool(8) have it; "type 99" for one that is not known here. */
export function mapTypeName(type: number): string {
  return names[type] ?? `type ${type}`
}

export const BPF_PROG_TYPE_SYSCALL = 31

export const BPF_LINK_TYPE_TCX = 11

/** The hook of a device, as seen from the device: what comes in by it, and what is sent out by it. */
export type Hook = 'ingress' | 'egress'

/** Attach types of tcx (from 6.6) by hook. */
export const tcxHooks = { ingress: 46, egress: 47 } as const satisfies Record<Hook, number>
