// Whether a map in the kernel is as src/wire/bpf lays it out.
import { type MapLayout } from '#/wire/bpf/maps.ts'
import { BpfError } from './error.ts'
import { type BpfMap } from './map.ts'

/** Throws BpfError when the map in the kernel is not as the layout says. A ring buffer has neither keys nor values. */
export function mustMatch({ info }: BpfMap, layout: MapLayout): void {
  const due = {
    type: layout.type,
    keyBytes: layout.key?.size ?? 0,
    valueBytes: layout.value?.size ?? 0,
    maxEntries: layout.maxEntries,
  } as const
  const wrong = (Object.keys(due) as (keyof typeof due)[]).filter((field) => due[field] !== info[field])
  if (wrong.length === 0) return
  const differences = wrong.map((field) => `${field} ${info[field]} instead of ${due[field]}`).join(', ')
  throw new BpfError(`map ${info.name}: ${differences}: the object file and this program are not of one build`)
}
