// The kernel's tables of neighbours: struct ndtmsg, NDTA_*, struct ndt_config and struct ndt_stats (include/uapi/linux/neighbour.h).
import { type Family } from '#/lib/addr.ts'
import { viewOf, WireError } from '#/lib/bytes.ts'
import { type Codec, nest, text, u32 } from './attr.ts'
import { familyOf } from './family.ts'

export const RTM_NEWNEIGHTBL = 64
export const RTM_GETNEIGHTBL = 66

/** The table of a family, which is one for all namespaces of a kernel. */
export type NeighbourTable = {
  readonly family: Family
  /** The kernel's name of it: arp_cache or ndisc_cache. */
  readonly name: string
  /** Of all namespaces. */
  readonly entries: number
  /** The sysctl gc_thresh3: with so many entries, beside permanent ones, new ones are refused. */
  readonly most: number
  /** How often an entry was refused since the kernel was booted; absent where it does not count that. */
  readonly refusals?: bigint
}

const headerBytes = 4
/** Where ndtc_entries is in struct ndt_config, behind the sizes of a key and of an entry. */
const entriesAt = 4
/** Where ndts_table_fulls is in struct ndt_stats, behind ten other counters; kernels before 4.3 end before it. */
const refusalsAt = 80

const entriesOfConfig: Codec<number> = {
  decode(bytes) {
    if (bytes.length < entriesAt + 4) throw new WireError(`configuration of ${bytes.length} bytes`, 0)
    return viewOf(bytes).getUint32(entriesAt, true)
  },
  encode: notSent,
}

const refusalsOfStats: Codec<bigint | undefined> = {
  decode: (bytes) => (bytes.length < refusalsAt + 8 ? undefined : viewOf(bytes).getBigUint64(refusalsAt, true)),
  encode: notSent,
}

function notSent(): never {
  throw new WireError('only the kernel tells of it', 0)
}

const tableAttrs = nest({
  name: [1, text],
  most: [4, u32],
  entries: [5, entriesOfConfig],
  refusals: [7, refusalsOfStats],
})

/** The payload of a request for the tables of all families. */
export const encodeNeighTableDump = (): Uint8Array => new Uint8Array(headerBytes)

/** Decodes a table; undefined for other families, and for the messages on its devices, which have neither limit nor entries. */
export function decodeNeighTable(payload: Uint8Array): NeighbourTable | undefined {
  if (payload.length < headerBytes) throw new WireError('neighbour table message cut off', payload.length)
  const family = familyOf(payload[0]!)
  if (family === undefined) return undefined
  const { name, most, entries, refusals } = tableAttrs.decode(payload.subarray(headerBytes))
  if (name === undefined || most === undefined || entries === undefined) return undefined
  return { family, name, entries, most, ...(refusals !== undefined && { refusals }) }
}
