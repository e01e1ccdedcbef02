// Changes of one map's entries: those to write, and those to remove.
import { setImmediate } from 'node:timers/promises'
import { messageOf } from '#/lib/log.ts'
import { type MapName } from '#/wire/bpf/maps.ts'
import { type Change, type Comparison, type KernelRefusal } from '#/reconcile/driver.ts'
import { type Failure } from '#/reconcile/status.ts'
import { type Entry, hexOf } from './entries.ts'
import { type Generation } from './generation.ts'

type Changing = {
  readonly key: Uint8Array
  /** Asked when it is written or removed, since what it is about may have come or gone since the plan was made. */
  readonly isDue?: () => boolean
  /** Its value before, when programs have to be drained before it changes. */
  readonly drained?: Uint8Array | undefined
}

/** An entry to write. */
export type WantedEntry = Entry & Changing

/** An entry to remove. */
export type LeftEntry = Changing

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

function explainMap({ message }: KernelRefusal): Failure {
  return {
    message,
    remedy: "packets to and from what has no entry take the way through the node's own stack until there is one",
  }
}

type Drain = (map: MapName, entries: readonly Present[]) => Promise<void>

type Place = {
  readonly folder: string
  readonly generation: Generation
  readonly map: MapName
  /** Has programs give back what they carry by these entries. */
  readonly drain?: Drain
}

/** Changes entries: first those by which nothing has to be drained, so that a failure of that holds up no other. */
async function changeAll<T extends Changing>(
  { map, drain }: Place,
  entries: readonly T[],
  work: (due: T[]) => void,
): Promise<void> {
  const [drained, others] = [entries.filter((each) => each.drained), entries.filter((each) => !each.drained)]
  work(others)
  if (drained.length === 0) return
  await drain?.(
    map,
    drained.map(({ key, drained: value }) => ({ key, value: value! })),
  )
  work(drained)
}

/** A change of the entries of one map. `command`, `about` and `work` are of one entry. */
function changeOfEntries<T extends Changing>(
  place: Place,
  entries: readonly T[],
  each: {
    readonly command: (entry: T) => string
    readonly about: (entry: T) => string
    readonly work: (entry: T) => void
    readonly explain?: Change['explain']
  },
): Change {
  const { map } = place
  const work = (entry: T): void => {
    if (entry.isDue?.() !== false) each.work(entry)
  }
  return {
    // the object is the map, which stays
    verb: 'change',
    key: map,
    // made only on demand: there may be thousands
    get commands() {
      return entries.map(each.command)
    },
    work: { call: async () => changeAll(place, entries, (due) => forAll(map, due, work, each.about)) },
    ...(each.explain && { explain: each.explain }),
  }
}

export function writeChange(place: Place, entries: readonly WantedEntry[]): Change {
  const { folder, generation, map } = place
  return changeOfEntries(place, entries, {
    command: ({ key, value, about }) =>
      `${commandAt(folder, generation, 'update', map, key)} value hex ${hexWords(value)} # ${about()}`,
    about: ({ about }) => about(),
    work: ({ key, value }) => generation.map(map).set(key, value),
    explain: explainMap,
  })
}

export function removeChange(place: Place, entries: readonly LeftEntry[]): Change {
  const { folder, generation, map } = place
  return changeOfEntries(place, entries, {
    command: ({ key }) => commandAt(folder, generation, 'delete', map, key),
    about: ({ key }) => `entry ${hexOf(key)}`,
    work: ({ key }) => generation.map(map).delete(key),
  })
}

/** How many entries are compared before other work on the event loop gets its turn. */
const entriesPerTurn = 1000

export type Present = { readonly key: Uint8Array; readonly value: Uint8Array }

/** Bytes as a key of a Map: cheaper than hexadecimal digits. */
export function idOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

/** Compares whole maps with what they are to hold. Of several entries with one key the first counts; `onTwice` is told the others. */
export async function compareMaps(
  where: Omit<Place, 'map'>,
  maps: readonly MapName[],
  wanted: Iterable<WantedEntry>,
  {
    mayRemove = () => true,
    onTwice = () => {},
    needsDrain = () => false,
  }: {
    readonly mayRemove?: (map: MapName, key: Uint8Array, value: Uint8Array) => boolean
    readonly onTwice?: (entry: WantedEntry) => void
    /** Whether programs have to be drained before an entry changes from one value to the other; absent: before it is removed. */
    readonly needsDrain?: (map: MapName, was: Uint8Array, now?: Uint8Array) => boolean
  } = {},
): Promise<Comparison> {
  const { generation } = where
  const found = new Map<MapName, Map<string, Present>>()
  for (const map of maps) {
    const entries = generation.map(map).entries()
    found.set(map, new Map(entries.map(([key, value]) => [idOf(key), { key, value }])))
  }
  const due = new Map<MapName, WantedEntry[]>(maps.map((map) => [map, []]))
  const seen = new Map<MapName, Set<string>>(maps.map((map) => [map, new Set()]))
  let count = 0
  for (const entry of wanted) {
    if (++count % entriesPerTurn === 0) await setImmediate()
    const id = idOf(entry.key)
    const others = seen.get(entry.map)!
    if (others.has(id)) {
      onTwice(entry)
      continue
    }
    others.add(id)
    const present = found.get(entry.map)!.get(id)
    if (present === undefined) due.get(entry.map)!.push(entry)
    else if (Buffer.compare(present.value, entry.value) !== 0) {
      const drained = needsDrain(entry.map, present.value, entry.value) ? present.value : undefined
      due.get(entry.map)!.push({ ...entry, drained })
    }
  }
  const changes: Change[] = []
  const leftovers: Change[] = []
  for (const map of maps) {
    const place = { ...where, map }
    if (due.get(map)!.length > 0) changes.push(writeChange(place, due.get(map)!))
    const left = [...found.get(map)!].filter(([id]) => !seen.get(map)!.has(id))
    const gone = left.map(([, { key, value }]) => ({
      key,
      isDue: () => mayRemove(map, key, value),
      drained: needsDrain(map, value) ? value : undefined,
    }))
    if (gone.length > 0) leftovers.push(removeChange(place, gone))
  }
  return { keys: [...maps], changes, leftovers, failures: new Map() }
}
