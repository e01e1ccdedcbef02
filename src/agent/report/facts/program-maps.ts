// What decides about packets in the maps of the eBPF datapath, as the kernel has it.
import { type ProgramMapsFacts } from '#/api/schemas/facts.ts'
import { type Generation, ruleText } from '#/datapath/programs.ts'
import { BpfError } from '#/kernel/bpf/error.ts'
import { layoutHash } from '#/wire/bpf/layout-hash.ts'
import { mapLayouts, type MapName, policyVerdicts, verdictStruct } from '#/wire/bpf/maps.ts'
import { type Cuts, madeInTurns, most } from './limits.ts'

const kind = 'entries of maps of programs'

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

type Entries = { readonly told: ReadonlyMap<string, string>; readonly left: number }

/** As many as are told, and how many more there are. */
async function readEntries(generation: Generation, map: MapName): Promise<Entries> {
  // while entries come and go one may be read twice
  const told = new Map<string, string>()
  let left = 0
  const isArray = mapLayouts[map].type === 'array'
  for await (const batch of generation.map(map).entriesInTurns())
    for (const [key, value] of batch) {
      // an array has all its entries, and those that nobody has set say nothing
      if (isArray && value.every((byte) => byte === 0)) continue
      if (told.size < most[kind]) told.set(key.toHex(), value.toHex())
      else left++
    }
  return { told, left }
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

/** Undefined: there are no programs, or they go just now. */
export async function readProgramMaps(
  generation: Generation | undefined,
  cuts: Cuts,
): Promise<ProgramMapsFacts | undefined> {
  if (generation === undefined) return undefined
  try {
    return await readMaps(generation, cuts)
  } catch (error) {
    if (error instanceof BpfError) return undefined
    throw error
  }
}

async function readMaps(generation: Generation, cuts: Cuts): Promise<ProgramMapsFacts> {
  const maps: ProgramMapsFacts['maps'][number][] = []
  let denials: ProgramMapsFacts['denials'] = {}
  for (const map of deciding) {
    const { told, left } = await readEntries(generation, map)
    if (left > 0) cuts.note(kind, left)
    if (map === 'cw_verdicts') denials = denialsIn(told.values())
    const entries = await madeInTurns(told, ([key, value]) => `${key} ${value}`)
    maps.push({ map, entries, ...(left > 0 && { isCut: true }) })
  }
  return { layout: layoutHash(), maps, denials }
}
