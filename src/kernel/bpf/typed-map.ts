// Maps with the layouts of src/wire/bpf: keys and values as objects.
import { type FieldTypes, type Struct, type StructValue } from '#/wire/bpf/layout.ts'
import { type MapLayout } from '#/wire/bpf/maps.ts'
import { BpfError } from './error.ts'
import { type BpfMap, type UpdateMode } from './map.ts'

type Layout<K extends FieldTypes, V extends FieldTypes> = Omit<MapLayout, 'key' | 'value'> & {
  readonly key: Struct<K>
  readonly value: Struct<V>
}

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

abstract class LayoutMap<K extends FieldTypes, V extends FieldTypes> implements Disposable {
  readonly map: BpfMap
  protected readonly layout: Layout<K, V>

  constructor(map: BpfMap, layout: Layout<K, V>) {
    mustMatch(map, layout)
    this.map = map
    this.layout = layout
  }

  /** Returns whether there was such an entry. An array's entries cannot be removed: BpfError, EINVAL. */
  delete(key: StructValue<K>): boolean {
    return this.map.delete(this.layout.key.encode(key))
  }

  [Symbol.dispose](): void {
    this.map[Symbol.dispose]()
  }
}

export class TypedMap<K extends FieldTypes, V extends FieldTypes> extends LayoutMap<K, V> {
  get(key: StructValue<K>): StructValue<V> | undefined {
    const value = this.map.get(this.layout.key.encode(key))
    return value && this.layout.value.decode(value)
  }

  /** Throws BpfError: EEXIST and ENOENT by mode, E2BIG or ENOSPC when the map is full. */
  set(key: StructValue<K>, value: StructValue<V>, mode?: UpdateMode): void {
    this.map.set(this.layout.key.encode(key), this.layout.value.encode(value), mode)
  }

  entries(): [StructValue<K>, StructValue<V>][] {
    const { key, value } = this.layout
    return this.map.entries().map(([keyBytes, bytes]) => [key.decode(keyBytes), value.decode(bytes)])
  }
}

/** A map in which every CPU has a value of its own for a key. */
export class PerCpuMap<K extends FieldTypes, V extends FieldTypes> extends LayoutMap<K, V> {
  get(key: StructValue<K>): StructValue<V>[] | undefined {
    const bytes = this.map.get(this.layout.key.encode(key))
    return bytes && this.#valuesOf(bytes)
  }

  entries(): [StructValue<K>, StructValue<V>[]][] {
    return this.map.entries().map(([key, bytes]) => [this.layout.key.decode(key), this.#valuesOf(bytes)])
  }

  /** Sets the values of all CPUs to zeros. */
  clear(key: StructValue<K>): void {
    this.map.set(this.layout.key.encode(key), new Uint8Array(this.map.callValueBytes))
  }

  #valuesOf(bytes: Uint8Array): StructValue<V>[] {
    const { size } = this.layout.value
    const stride = Math.ceil(size / 8) * 8
    return Array.from({ length: bytes.length / stride }, (_, cpu) =>
      this.layout.value.decode(bytes.subarray(cpu * stride, cpu * stride + size)),
    )
  }
}
