// libbpf opens object files of eBPF and loads them: it makes maps, relocates programs, and finds the kernel's types and functions (BTF).
// The library is loaded when it is first needed: an agent without eBPF runs without it.
import koffi from 'koffi'
import { viewOf } from '#/lib/bytes.ts'
import { errnoName } from './errno.ts'
import { allocate, libc, type NativeMemory } from './libc.ts'

const soname = 'libbpf.so.1'

const prototypes = {
  bpf_object__open_mem: 'void *bpf_object__open_mem(const void *, size_t, const void *)',
  bpf_object__load: 'int bpf_object__load(void *)',
  bpf_object__close: 'void bpf_object__close(void *)',
  bpf_object__next_map: 'void *bpf_object__next_map(void *, void *)',
  bpf_map__name: 'const char *bpf_map__name(void *)',
  bpf_map__fd: 'int bpf_map__fd(void *)',
  bpf_map__type: 'int bpf_map__type(void *)',
  bpf_map__key_size: 'uint32 bpf_map__key_size(void *)',
  bpf_map__value_size: 'uint32 bpf_map__value_size(void *)',
  bpf_map__max_entries: 'uint32 bpf_map__max_entries(void *)',
  bpf_map__reuse_fd: 'int bpf_map__reuse_fd(void *, int)',
  bpf_object__next_program: 'void *bpf_object__next_program(void *, void *)',
  bpf_program__name: 'const char *bpf_program__name(void *)',
  bpf_program__fd: 'int bpf_program__fd(void *)',
  libbpf_strerror: 'int libbpf_strerror(int, void *, size_t)',
  libbpf_set_print: 'void *libbpf_set_print(void *)',
} as const

type CFunction = { (...args: readonly unknown[]): unknown; async(...args: readonly unknown[]): void }
type Library = Readonly<Record<keyof typeof prototypes, CFunction>>

let library: Library | undefined

/** Throws an Error that names the package when the library is not there. */
function libbpf(): Library {
  if (library === undefined) {
    let file
    try {
      file = koffi.load(soname)
    } catch (error) {
      throw new Error(
        `${soname} is missing: install libbpf 1.x (package libbpf1 of Debian and Ubuntu, libbpf of others)`,
        {
          cause: error,
        },
      )
    }
    library = Object.fromEntries(
      Object.entries(prototypes).map(([name, prototype]) => [name, file.func(prototype)]),
    ) as unknown as Library
    // or else it writes to this process's standard error
    library.libbpf_set_print(null)
  }
  return library
}

/** libbpf refused. `code` is the errno's name, undefined for its own errors; `text` says what the number means. */
export type LibbpfFailure = { readonly code: string | undefined; readonly text: string }

/** First of the numbers that libbpf has beside the kernel's (enum libbpf_errno). */
const firstOwnError = 4000

function failureOf(error: number): LibbpfFailure {
  if (error < firstOwnError) return { code: errnoName(error), text: errnoName(error) }
  const text = new Uint8Array(256)
  libbpf().libbpf_strerror(error, text, text.length)
  return { code: undefined, text: textUntilNul(text) }
}

function textUntilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

const LIBBPF_WARN = 0
const printProto = koffi.proto('int causeway_libbpf_print(int, void *, void *)')
const vsnprintf = koffi.load('libc.so.6').func('int vsnprintf(void *, size_t, void *, void *)')

/**
 * Runs `work` and gives what libbpf warned of meanwhile. It hands over a format and a va_list, which on x86-64 and arm64 is the address of
 * a struct: so the C library's vsnprintf takes it as it is. Only one at a time: libbpf has one such function for all of the process.
 */
export async function withWarnings<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly warnings: string }> {
  const lines: string[] = []
  const print = koffi.register((level: number, format: unknown, args: unknown): number => {
    if (level !== LIBBPF_WARN) return 0
    const line = new Uint8Array(4096)
    vsnprintf(line, line.length, format, args)
    lines.push(textUntilNul(line))
    return 0
  }, koffi.pointer(printProto))
  libbpf().libbpf_set_print(print)
  try {
    const result = await work()
    return { result, warnings: lines.join('').trim() }
  } finally {
    libbpf().libbpf_set_print(null)
    koffi.unregister(print)
  }
}

/** A map or a program of an object file. `handle` is libbpf's pointer. */
export type ObjectPart = { readonly name: string; readonly handle: bigint }

/** struct bpf_object_open_opts. */
const openOptions = { bytes: 80, name: 8, logBuffer: 56, logSize: 64 } as const
/** The kernel refuses a log that does not fit, so there is much room; pages that nobody writes take no memory. */
const logBytes = 16 << 20

/** An object file that libbpf has open. Closing it closes its descriptors. */
export class ObjectFile implements Disposable {
  readonly maps: readonly ObjectPart[]
  readonly programs: readonly ObjectPart[]
  readonly #handle: bigint
  readonly #log: NativeMemory & Disposable
  /** libbpf reads these while the object is open. */
  readonly #kept: readonly (NativeMemory & Disposable)[]

  private constructor(handle: bigint, log: NativeMemory & Disposable, kept: readonly (NativeMemory & Disposable)[]) {
    this.#handle = handle
    this.#log = log
    this.#kept = kept
    this.maps = this.#parts('map')
    this.programs = this.#parts('program')
  }

  /** Throws an Error when the library is not there. */
  static open(bytes: Uint8Array, name: string): ObjectFile | LibbpfFailure {
    const { bpf_object__open_mem: open } = libbpf()
    const file = allocate(bytes.length)
    file.bytes.set(bytes)
    const text = new TextEncoder().encode(`${name}\0`)
    const nameText = allocate(text.length)
    nameText.bytes.set(text)
    const log = allocate(logBytes)
    const options = allocate(openOptions.bytes)
    options.bytes.fill(0)
    const view = viewOf(options.bytes)
    view.setBigUint64(0, BigInt(openOptions.bytes), true)
    view.setBigUint64(openOptions.name, nameText.address, true)
    view.setBigUint64(openOptions.logBuffer, log.address, true)
    view.setBigUint64(openOptions.logSize, BigInt(logBytes), true)
    log.bytes[0] = 0
    const kept = [file, nameText, options, log]
    const handle = open(file.address, bytes.length, options.address) as bigint | null
    if (handle !== null) return new ObjectFile(handle, log, kept)
    const failure = failureOf(koffi.errno())
    for (const memory of kept) memory[Symbol.dispose]()
    return failure
  }

  #parts(kind: 'map' | 'program'): ObjectPart[] {
    const parts: ObjectPart[] = []
    let handle: bigint | null = null
    for (;;) {
      handle = libbpf()[`bpf_object__next_${kind}`](this.#handle, handle) as bigint | null
      if (handle === null) return parts
      parts.push({ name: libbpf()[`bpf_${kind}__name`](handle) as string, handle })
    }
  }

  /** What the file says of a map. */
  layoutOf({ handle }: ObjectPart): { type: number; keyBytes: number; valueBytes: number; maxEntries: number } {
    const { bpf_map__type, bpf_map__key_size, bpf_map__value_size, bpf_map__max_entries } = libbpf()
    return {
      type: bpf_map__type(handle) as number,
      keyBytes: bpf_map__key_size(handle) as number,
      valueBytes: bpf_map__value_size(handle) as number,
      maxEntries: bpf_map__max_entries(handle) as number,
    }
  }

  /** Makes `load` take this map instead of making one. libbpf compares nothing. */
  reuse({ handle }: ObjectPart, fd: number): LibbpfFailure | undefined {
    const result = libbpf().bpf_map__reuse_fd(handle, fd) as number
    return result < 0 ? failureOf(-result) : undefined
  }

  /** Makes the maps and loads the programs, on a thread of its own: the verifier may take long. */
  async load(): Promise<LibbpfFailure | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    libbpf().bpf_object__load.async(this.#handle, (error: Error | null, result: number) => {
      if (error) reject(error)
      else resolve(result)
    })
    const result = await promise
    return result < 0 ? failureOf(-result) : undefined
  }

  /** The descriptor of a map or a program that `load` made, not to be closed. */
  descriptorOf(kind: 'map' | 'program', { handle }: ObjectPart): number {
    return libbpf()[`bpf_${kind}__fd`](handle) as number
  }

  /** The log of the kernel's verifier on the program that it refused; empty when it was asked for none. */
  get log(): string {
    return textUntilNul(this.#log.bytes)
  }

  [Symbol.dispose](): void {
    libbpf().bpf_object__close(this.#handle)
    for (const memory of this.#kept) memory[Symbol.dispose]()
    // it has read all types of the kernel, megabytes that the C library would keep for later
    libc('malloc_trim', [0])
  }
}
