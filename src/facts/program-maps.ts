// Maps of programs as they were told, looked up as the kernel does.
import { type ProgramMapsFacts } from '#/api/schemas/facts.ts'
import { type PredictPrograms } from '#/predict/context.ts'
import { layoutHash } from '#/wire/bpf/layout-hash.ts'
import { type MapLayout, mapLayouts, type MapName } from '#/wire/bpf/maps.ts'
import { FactsError } from './parsed.ts'

type Entries = ReadonlyMap<string, Uint8Array>
type LookUp = (key: Uint8Array) => Uint8Array | undefined

function bytesIn(hex: string, length: number, map: string): Uint8Array {
  if (hex.length !== 2 * length || !/^[0-9a-f]*$/.test(hex)) throw new FactsError(`an entry of ${map} is none`)
  return Uint8Array.fromHex(hex)
}

function entriesOf({ map, entries }: ProgramMapsFacts['maps'][number], { key, value }: MapLayout): Entries {
  const [keyBytes, valueBytes] = [key?.size ?? 0, value?.size ?? 0]
  return new Map(
    entries.map((text) => {
      const [keyHex = '', valueHex = ''] = text.split(' ')
      return [bytesIn(keyHex, keyBytes, map).toHex(), bytesIn(valueHex, valueBytes, map)]
    }),
  )
}

const lengthBytes = 4

/** The first so many bits behind the length, which is before them. */
function prefixOf(key: Uint8Array, bits: number): string {
  const bytes = key.slice(lengthBytes)
  for (let index = 0; index < bytes.length; index++) {
    const kept = Math.max(0, Math.min(8, bits - 8 * index))
    bytes[index]! &= 0xff << (8 - kept)
  }
  return bytes.toHex()
}

const bitsOf = (key: Uint8Array): number => new DataView(key.buffer, key.byteOffset).getUint32(0, true)

/** The entry with the longest prefix that the key begins with. */
function longestOf(entries: Entries): LookUp {
  const byLength = new Map<number, Map<string, Uint8Array>>()
  for (const [hex, value] of entries) {
    const key = Uint8Array.fromHex(hex)
    const bits = bitsOf(key)
    byLength.getOrInsertComputed(bits, () => new Map()).set(prefixOf(key, bits), value)
  }
  const lengths = [...byLength.keys()].toSorted((a, b) => b - a)
  return (key) => {
    for (const bits of lengths) {
      const found = bits <= bitsOf(key) ? byLength.get(bits)?.get(prefixOf(key, bits)) : undefined
      if (found !== undefined) return found
    }
    return undefined
  }
}

const ofPolicies: readonly string[] = ['cw_policed', 'cw_peers4', 'cw_peers6', 'cw_verdicts'] satisfies MapName[]

/**
 * What was told of maps, as far as lookups can be trusted: not those of another layout, nor one of which not all is told. Lookups throw FactsError
 * for entries that cannot be.
 */
export function lookUpsIn(told: ProgramMapsFacts | undefined): Pick<PredictPrograms, 'lookUp' | 'denialText'> {
  if (told === undefined || told.layout !== layoutHash()) return {}
  const cut = told.maps.filter(({ isCut }) => isCut).map(({ map }) => map)
  if (cut.some((map) => !ofPolicies.includes(map))) return {}
  const made = new Map<MapName, LookUp>()
  const lookUpOf = (map: MapName): LookUp => {
    const own = told.maps.find((each) => each.map === map)
    if (own === undefined) throw new FactsError(`it has no map ${map}`)
    const entries = entriesOf(own, mapLayouts[map])
    return mapLayouts[map].type === 'lpm_trie' ? longestOf(entries) : (key) => entries.get(key.toHex())
  }
  return {
    lookUp: (map, key) => made.getOrInsertComputed(map, lookUpOf)(key),
    ...(cut.length === 0 && { denialText: (rule) => told.denials[rule] }),
  }
}
