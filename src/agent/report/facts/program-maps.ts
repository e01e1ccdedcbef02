// What decides about packets in the maps of the eBPF datapath, as the kernel has it.
import { type ProgramMapsFacts } from '#/api/schemas/facts.ts'
import { type Generation, ruleText } from '#/datapath/programs.ts'
import { layoutHash } from '#/wire/bpf/layout-hash.ts'
import { mapLayouts, type MapName, policyVerdicts, verdictStruct } from '#/wire/bpf/maps.ts'
import { type Cuts, most } from './limits.ts'

/** Neither counters nor what is watched or was denied: that is nobody's to read here. */
const deciding = [
  'cw_pods4',
  'cw_pods6',
  'cw_ports',
  'cw_nodes4',
  'cw_nodes6',
  'cw_ends',
  'cw_policed',
  'cw_peers4',
  'cw_peers6',
  'cw_verdicts',
] as const satisfies readonly MapName[]

async function readEntries(generation: Generation, map: MapName): Promise<Map<string, string>> {
  // while entries come and go one may be told twice
  const entries = new Map<string, string>()
  const isArray = mapLayouts[map].type === 'array'
  for await (const batch of generation.map(map).entriesInTurns())
    for (const [key, value] of batch)
      // an array has all its entries, and those that nobody has set say nothing
      if (!isArray || value.some((byte) => byte !== 0)) entries.set(key.toHex(), value.toHex())
  return entries
}

/** In words what the numbers of denials stand for: only this process knows. */
function denialsIn(verdicts: Iterable<string>): Record<string, string> {
  const denials: Record<string, string> = {}
  for (const value of verdicts) {
    const { verdict, rule } = verdictStruct.decode(Uint8Array.fromHex(value))
    if (verdict === policyVerdicts.denied) denials[rule] ??= ruleText(rule)
  }
  return denials
}

/** Undefined: there are no programs. Rejects with BpfError. */
export async function readProgramMaps(
  generation: Generation | undefined,
  cuts: Cuts,
): Promise<ProgramMapsFacts | undefined> {
  if (generation === undefined) return undefined
  const kind = 'entries of maps of programs'
  const maps: ProgramMapsFacts['maps'][number][] = []
  let denials: ProgramMapsFacts['denials'] = {}
  for (const map of deciding) {
    const all = [...(await readEntries(generation, map))]
    if (map === 'cw_verdicts') denials = denialsIn(all.slice(0, most[kind]).map(([, value]) => value))
    const entries = await cuts.told(kind, all, ([key, value]) => `${key} ${value}`)
    maps.push({ map, entries, ...(entries.length < all.length && { isCut: true }) })
  }
  return { layout: layoutHash(), maps, denials }
}
