// What decides about packets in the maps of the eBPF datapath, as the kernel has it.
import { type ProgramMapsFacts } from '#/api/schemas/facts.ts'
import { type Generation } from '#/datapath/programs.ts'
import { layoutHash } from '#/wire/bpf/layout-hash.ts'
import { type MapName } from '#/wire/bpf/maps.ts'
import { type Cuts } from './limits.ts'

/** Neither counters nor what is watched or was denied: that is nobody's to read here. */
const deciding: readonly MapName[] = ['cw_pods4', 'cw_pods6', 'cw_ports', 'cw_nodes4', 'cw_nodes6', 'cw_ends']

async function readEntries(generation: Generation, map: MapName): Promise<Map<string, string>> {
  // while entries come and go one may be told twice
  const entries = new Map<string, string>()
  for await (const batch of generation.map(map).entriesInTurns())
    for (const [key, value] of batch) entries.set(key.toHex(), value.toHex())
  return entries
}

/** Undefined: there are no programs. Rejects with BpfError. */
export async function readProgramMaps(
  generation: Generation | undefined,
  cuts: Cuts,
): Promise<ProgramMapsFacts | undefined> {
  if (generation === undefined) return undefined
  const kind = 'entries of maps of programs'
  const maps: ProgramMapsFacts['maps'][number][] = []
  for (const map of deciding) {
    const all = [...(await readEntries(generation, map))]
    const entries = await cuts.told(kind, all, ([key, value]) => `${key} ${value}`)
    maps.push({ map, entries, ...(entries.length < all.length && { isCut: true }) })
  }
  return { layout: layoutHash(), maps }
}
