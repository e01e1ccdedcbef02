// Loads object files of eBPF programs: makes their maps, or takes those that are there, and has the kernel verify the programs.
import { existsSync } from 'node:fs'
import { InOrder } from '#/lib/in-order.ts'
import { duplicateFd } from '#/sys/libc.ts'
import { type LibbpfFailure, ObjectFile, type ObjectPart, withWarnings } from '#/sys/libbpf.ts'
import { mapTypeName } from './commands.ts'
import { BpfError, explanationOf } from './error.ts'
import { BpfMap } from './map.ts'
import { BpfProgram } from './program.ts'

/** The types of the kernel, without which no program is relocated. */
const kernelTypes = '/sys/kernel/btf/vmlinux'
/** Lines of the verifier's log in a message; its last ones say what is wrong. */
const shownLines = 4

/** Maps and programs by their full names, as the file has them. */
export class LoadedObject implements Disposable {
  readonly maps: ReadonlyMap<string, BpfMap>
  readonly programs: ReadonlyMap<string, BpfProgram>

  constructor(maps: ReadonlyMap<string, BpfMap>, programs: ReadonlyMap<string, BpfProgram>) {
    this.maps = maps
    this.programs = programs
  }

  /** Closes all descriptors. What is pinned or attached stays. */
  [Symbol.dispose](): void {
    for (const part of [...this.maps.values(), ...this.programs.values()]) part[Symbol.dispose]()
  }
}

export type ObjectSource = {
  readonly bytes: Uint8Array
  /** Maps to take instead of making new ones, by name. */
  readonly maps?: ReadonlyMap<string, BpfMap>
}

/** libbpf has one place for what it prints. */
const order = new InOrder()

/** Loads all programs of an object file. Throws BpfError. */
export async function loadObject(source: ObjectSource): Promise<LoadedObject> {
  return order.run(async () => {
    const outcome = await attempt(source)
    if (outcome instanceof LoadedObject) return outcome
    // again, now listening: why it failed is in what libbpf prints
    const { result, warnings } = await withWarnings(async () => attempt(source))
    if (result instanceof LoadedObject) return result
    throw errorOf(result, warnings)
  })
}

type Failure = LibbpfFailure & { readonly log: string }

async function attempt({ bytes, maps = new Map() }: ObjectSource): Promise<LoadedObject | Failure> {
  const opened = openFile(bytes)
  if (!(opened instanceof ObjectFile)) return { ...opened, log: '' }
  using file = opened
  for (const part of file.maps) {
    const map = maps.get(part.name)
    if (map === undefined) continue
    mustFit(file, part, map)
    const failure = file.reuse(part, map.fd)
    if (failure !== undefined) return { ...failure, log: '' }
  }
  const failure = await file.load()
  if (failure !== undefined) return { ...failure, log: file.log }
  const fdOf = (kind: 'map' | 'program', part: ObjectPart): number => duplicateFd(file.descriptorOf(kind, part))
  return new LoadedObject(
    new Map(file.maps.map((part) => [part.name, new BpfMap(fdOf('map', part), `map ${part.name}`)])),
    new Map(file.programs.map((part) => [part.name, new BpfProgram(fdOf('program', part), `program ${part.name}`)])),
  )
}

function openFile(bytes: Uint8Array): ObjectFile | LibbpfFailure {
  try {
    return ObjectFile.open(bytes, 'causeway')
  } catch (error) {
    throw new BpfError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** The programs were compiled for what the file says of the map; libbpf takes any. */
function mustFit(file: ObjectFile, part: ObjectPart, { info }: BpfMap): void {
  const { type, keyBytes, valueBytes, maxEntries } = file.layoutOf(part)
  const due = { type: mapTypeName(type), keyBytes, valueBytes, maxEntries }
  const wrong = (Object.keys(due) as (keyof typeof due)[]).filter((field) => due[field] !== info[field])
  if (wrong.length === 0) return
  const differences = wrong.map((field) => `${field} ${info[field]} instead of ${due[field]}`).join(', ')
  throw new BpfError(`map ${part.name}: the one in the kernel does not fit the object file: ${differences}`)
}

function errorOf({ code, text, log }: Failure, warnings: string): BpfError {
  const message = `load the eBPF programs: ${reasonOf({ code, text, log }, warnings)}`
  return new BpfError(message, { ...(code !== undefined && { code }), log: [warnings, log].filter(Boolean).join('\n') })
}

function reasonOf({ code, text, log }: Failure, warnings: string): string {
  if (code === 'EPERM') return `EPERM${explanationOf('EPERM')}`
  const [, missing] = /extern \(func ksym\) '(\w+)': not found/.exec(warnings) ?? []
  if (missing !== undefined)
    return `${text}: neither the kernel nor a module that is loaded has the function ${missing}`
  if (!existsSync(kernelTypes))
    return `${text}: the kernel has no types of its own (${kernelTypes}): it needs CONFIG_DEBUG_INFO_BTF`
  const said = log
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('processed '))
    .slice(-shownLines)
  const [, program] = /prog '(\w+)': BPF program load failed/.exec(warnings) ?? []
  if (said.length > 0)
    return `the kernel's verifier refuses ${program ?? 'a program'}: ${text}: ${said.map((line) => line.trim()).join(' | ')}`
  const lines = warnings.split('\n').map((line) => line.replace(/^libbpf: /, ''))
  return [text + explanationOf(code ?? ''), ...lines].filter(Boolean).join(': ')
}
