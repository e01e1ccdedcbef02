// One generation of the programs: those of one object file, with their maps, pinned in a folder of a bpffs. What is pinned goes on without
// an agent. The folder's name has two hashes: over the maps' layouts, and over the object file. A generation whose layouts are those of an
// earlier one uses that one's maps, so that there is nothing to fill and no counter starts again.
import { createHash } from 'node:crypto'
import { rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { BpfMap } from '#/kernel/bpf/map.ts'
import { loadObject } from '#/kernel/bpf/object.ts'
import { listPins, makePinFolder, removePinFolder } from '#/kernel/bpf/pins.ts'
import { BpfProgram } from '#/kernel/bpf/program.ts'
import { mustMatch } from '#/kernel/bpf/must-match.ts'
import { errorCode } from '#/lib/error-code.ts'
import { layoutHash } from '#/wire/bpf/layout-hash.ts'
import { mapLayouts, type MapName, type ProgramName, programNames } from '#/wire/bpf/maps.ts'

export type AnyProgramName = ProgramName | 'cw_clock'

const mapNames = Object.keys(mapLayouts) as MapName[]
const allPrograms: readonly AnyProgramName[] = [...programNames, 'cw_clock']

/** In the folder of all generations, the pinned links: no generation. */
export const linksFolder = 'links'
const partPattern = '[0-9a-f]{8}'
const generationPattern = new RegExp(`^${partPattern}-${partPattern}$`)

function hash(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 8)
}

/** The name of the generation of an object file. */
export function generationOf(object: Uint8Array): string {
  return `${layoutHash()}-${hash(object)}`
}

const layoutOf = (generation: string): string => generation.slice(0, generation.indexOf('-'))

/** The generations in a folder. */
export function generationsIn(folder: string): string[] {
  return listPins(folder).filter((name) => generationPattern.test(name))
}

export function removeGeneration(folder: string, name: string): void {
  removePinFolder(join(folder, name))
}

/** Removes the folder of all generations, as far as nobody else has anything in it. */
export function removeFolder(folder: string): void {
  for (const path of [join(folder, linksFolder), folder]) {
    try {
      rmdirSync(path)
    } catch (error) {
      const code = errorCode(error)
      if (code !== 'ENOENT' && code !== 'ENOTEMPTY' && code !== 'EBUSY') throw error
    }
  }
}

/** The programs that are pinned of a generation, by the kernel's numbers. */
export function programIdsOf(folder: string, name: string): Set<number> {
  const ids = new Set<number>()
  for (const each of listPins(join(folder, name, 'programs'))) {
    using program = BpfProgram.openPinned(join(folder, name, 'programs', each))
    ids.add(program.info.id)
  }
  return ids
}

export class Generation implements Disposable {
  readonly name: string
  readonly maps: ReadonlyMap<MapName, BpfMap>
  readonly programs: ReadonlyMap<AnyProgramName, BpfProgram>
  /** Whether its maps were filled by nobody yet. */
  readonly isEmpty: boolean

  private constructor(parts: Pick<Generation, 'name' | 'maps' | 'programs' | 'isEmpty'>) {
    this.name = parts.name
    this.maps = parts.maps
    this.programs = parts.programs
    this.isEmpty = parts.isEmpty
  }

  /** Opens what is pinned; undefined when there is nothing, or not all of it, as after a load that was interrupted. Throws BpfError. */
  static openPinned(folder: string, name: string): Generation | undefined {
    using opened = new DisposableStack()
    try {
      const maps = mapNames.map((each) => {
        const map = opened.use(BpfMap.openPinned(mapPath(folder, name, each)))
        mustMatch(map, mapLayouts[each])
        return [each, map] as const
      })
      const programs = allPrograms.map(
        (each) => [each, opened.use(BpfProgram.openPinned(programPath(folder, name, each)))] as const,
      )
      opened.move()
      return new Generation({ name, maps: new Map(maps), programs: new Map(programs), isEmpty: false })
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Loads an object file and pins what comes of it. Throws BpfError. */
  static async load(folder: string, object: Uint8Array): Promise<Generation> {
    const name = generationOf(object)
    using reused = new DisposableStack()
    const former = mapsOfLayout(folder, layoutOf(name), reused)
    const loaded = await loadObject({ bytes: object, ...(former && { maps: former }) })
    const maps = mapNames.map((each) => [each, partOf(loaded.maps, 'map', each)] as const)
    for (const [each, map] of maps) mustMatch(map, mapLayouts[each])
    const programs = allPrograms.map((each) => [each, partOf(loaded.programs, 'program', each)] as const)
    const isEmpty = former === undefined
    const generation = new Generation({ name, maps: new Map(maps), programs: new Map(programs), isEmpty })
    generation.pin(folder)
    return generation
  }

  /** Pins all of it, in place of what an interrupted load has left, which may lack anything. */
  pin(folder: string): void {
    removeGeneration(folder, this.name)
    for (const part of ['maps', 'programs']) makePinFolder(join(folder, this.name, part))
    for (const [name, map] of this.maps) map.pin(mapPath(folder, this.name, name))
    // the programs last: a generation that has all of them is whole
    for (const [name, program] of this.programs) program.pin(programPath(folder, this.name, name))
  }

  map(name: MapName): BpfMap {
    return this.maps.get(name)!
  }

  program(name: AnyProgramName): BpfProgram {
    return this.programs.get(name)!
  }

  /** Closes the descriptors; what is pinned stays. */
  [Symbol.dispose](): void {
    for (const each of [...this.maps.values(), ...this.programs.values()]) each[Symbol.dispose]()
  }
}

function partOf<T>(parts: ReadonlyMap<string, T>, kind: string, name: string): T {
  const part = parts.get(name)
  if (part === undefined) throw new Error(`the object file has no ${kind} ${name}`)
  return part
}

function mapPath(folder: string, generation: string, map: MapName): string {
  return join(folder, generation, 'maps', map)
}

function programPath(folder: string, generation: string, program: AnyProgramName): string {
  return join(folder, generation, 'programs', program)
}

/** The maps of an earlier generation with the same layouts; undefined when there is none that is whole. */
function mapsOfLayout(
  folder: string,
  layout: string,
  opened: DisposableStack,
): ReadonlyMap<string, BpfMap> | undefined {
  for (const name of generationsIn(folder).filter((each) => layoutOf(each) === layout)) {
    const former = Generation.openPinned(folder, name)
    if (former) return opened.use(former).maps
  }
  return undefined
}
