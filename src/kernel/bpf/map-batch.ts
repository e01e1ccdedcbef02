// Many entries of a map in one call of the kernel: the call itself costs more than what the kernel does for an entry.
import { type AttrField, bpf } from '#/sys/bpf-call.ts'
import { BPF_MAP_DELETE_BATCH, BPF_MAP_UPDATE_BATCH } from './commands.ts'
import { type BpfMap } from './map.ts'

type Entry = { readonly key: Uint8Array; readonly value: Uint8Array }

/** Entries in one call. */
const batchEntries = 256

/** Writes entries in their order. Throws BpfError like `set`; those before the one that the kernel refuses are written. */
export function setEntries(map: BpfMap, entries: readonly Entry[]): void {
  inBatches(entries, (batch) => {
    const fields: AttrField[] = [
      [16, 'in', joined(batch.map(({ key }) => key))],
      [24, 'in', joined(batch.map(({ value }) => value))],
    ]
    const done = countDone(map, BPF_MAP_UPDATE_BATCH, batch.length, fields)
    for (const { key, value } of batch.slice(done)) map.set(key, value)
  })
}

/** Removes entries in their order; those that are not there are none to remove. Throws BpfError like `delete`. */
export function deleteEntries(map: BpfMap, entries: readonly Pick<Entry, 'key'>[]): void {
  inBatches(entries, (batch) => {
    const done = countDone(map, BPF_MAP_DELETE_BATCH, batch.length, [[16, 'in', joined(batch.map(({ key }) => key))]])
    for (const { key } of batch.slice(done)) map.delete(key)
  })
}

function inBatches<T>(all: readonly T[], visit: (batch: readonly T[]) => void): void {
  for (let start = 0; start < all.length; start += batchEntries) visit(all.slice(start, start + batchEntries))
}

/** Of how many entries the kernel has done what it was told: it ends before the first that it refuses, and says of none why it does. */
function countDone(map: BpfMap, command: number, count: number, fields: readonly AttrField[]): number {
  if (count === 1) return 0
  const { code, attr } = bpf(command, [...fields, [32, 'u32', count], [36, 'u32', map.fd]])
  if (code === undefined) return count
  const done = attr.getUint32(32, true)
  // a kernel without this call for this type of map leaves the number as it was
  return done < count ? done : 0
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts[0]?.length ?? 0
  const bytes = new Uint8Array(length * parts.length)
  for (const [index, part] of parts.entries()) bytes.set(part, index * length)
  return bytes
}
