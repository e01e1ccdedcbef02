// Maps with the layouts of src/wire/bpf, for tests: keys and values as objects.
import { type BpfMap, type UpdateMode } from '#/kernel/bpf/map.ts'
import { mustMatch } from '#/kernel/bpf/must-match.ts'
import { type FieldTypes, type Struct, type StructValue } from '#/wire/bpf/layout.ts'
import { type MapLayout } from '#/wire/bpf/maps.ts'

type Layout<K extends FieldTypes, V extends FieldTypes> = Omit<MapLayout, 'key' | 'value'> & {
  readonly key: Struct<K>
  readonly value: Struct<V>
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
    this.map.clear(this.layout.key.encode(key))
  }

  #valuesOf(bytes: Uint8Array): StructValue<V>[] {
    const { size } = this.layout.value
    const stride = Math.ceil(size / 8) * 8
    return Array.from({ length: bytes.length / stride }, (_, cpu) =>
      this.layout.value.decode(bytes.subarray(cpu * stride, cpu * stride + size)),
    )
  }
}
