// Changes of one map's entries: those to write, and those to remove.
import { messageOf } from '#/lib/log.ts'
import { type MapName } from '#/wire/bpf/maps.ts'
import { type Change, type Comparison, type KernelRefusal } from '#/reconcile/driver.ts'
import { type Failure } from '#/reconcile/status.ts'
import { type Entry, hexOf } from './entries.ts'
import { type Generation } from './generation.ts'

/** An entry to write; `isDue` is asked when it is written, since what it is about may have gone since the plan was made. */
export type WantedEntry = Entry & { readonly isDue?: () => boolean }

/** An entry to remove: its key and, where it is known, its value as it was found. */
export type LeftEntry = { readonly key: Uint8Array; readonly isDue?: () => boolean }

function hexWords(bytes: Uint8Array): string {
  return hexOf(bytes).replaceAll(/..(?=.)/g, '$& ')
}

function commandAt(folder: string, generation: Generation, verb: string, map: MapName, key: Uint8Array): string {
  return `bpftool map ${verb} pinned ${folder}/${generation.name}/maps/${map} key hex ${hexWords(key)}`
}

/** Tries all; the error tells how many failed, and why the first did. */
function forAll<T>(map: MapName, entries: readonly T[], work: (entry: T) => void, about: (entry: T) => string): void {
  let failed = 0
  let first: { readonly error: unknown; readonly about: string } | undefined
  for (const entry of entries) {
    try {
      work(entry)
    } catch (error) {
      failed++
      first ??= { error, about: about(entry) }
    }
  }
  if (first === undefined) return
  const others = failed === 1 ? '' : `, and ${failed - 1} more`
  throw new Error(`${first.about}${others}: ${messageOf(first.error)} (${map})`)
}

export function explainMap({ message }: KernelRefusal): Failure {
  return {
    message,
    remedy: "packets to and from what has no entry take the way through the node's own stack until there is one",
  }
}

type Place = { readonly folder: string; readonly generation: Generation; readonly map: MapName }

export function writeChange({ folder, generation, map }: Place, entries: readonly WantedEntry[]): Change {
  return {
    verb: 'change',
    key: map,
    // made only on demand: there may be thousands
    get commands() {
      return entries.map(
        ({ key, value, about }) =>
          `${commandAt(folder, generation, 'update', map, key)} value hex ${hexWords(value)} # ${about}`,
      )
    },
    work: {
      call: () =>
        forAll(
          map,
          entries,
          ({ key, value, isDue }) => {
            if (isDue?.() !== false) generation.map(map).set(key, value)
          },
          ({ about }) => about,
        ),
    },
    explain: explainMap,
  }
}

export function removeChange({ folder, generation, map }: Place, entries: readonly LeftEntry[]): Change {
  return {
    // the object is the map, which stays
    verb: 'change',
    key: map,
    get commands() {
      return entries.map(({ key }) => commandAt(folder, generation, 'delete', map, key))
    },
    work: {
      call: () =>
        forAll(
          map,
          entries,
          ({ key, isDue }) => {
            if (isDue?.() !== false) generation.map(map).delete(key)
          },
          ({ key }) => `entry ${hexOf(key)}`,
        ),
    },
  }
}

/** Compares whole maps with what they are to hold. */
export function compareMaps(
  folder: string,
  generation: Generation,
  wanted: ReadonlyMap<MapName, readonly WantedEntry[]>,
  mayRemove: (map: MapName, key: Uint8Array, value: Uint8Array) => boolean = () => true,
): Comparison {
  const changes: Change[] = []
  const leftovers: Change[] = []
  for (const [map, entries] of wanted) {
    const place = { folder, generation, map }
    const found = new Map(
      generation
        .map(map)
        .entries()
        .map(([key, value]) => [hexOf(key), { key, value }]),
    )
    const due: WantedEntry[] = []
    const left = new Map(found)
    for (const entry of entries) {
      const id = hexOf(entry.key)
      left.delete(id)
      const present = found.get(id)
      if (present === undefined || hexOf(present.value) !== hexOf(entry.value)) due.push(entry)
    }
    if (due.length > 0) changes.push(writeChange(place, due))
    if (left.size > 0) {
      const gone = [...left.values()].map(({ key, value }) => ({ key, isDue: () => mayRemove(map, key, value) }))
      leftovers.push(removeChange(place, gone))
    }
  }
  return { keys: [...wanted.keys()], changes, leftovers, failures: new Map() }
}
