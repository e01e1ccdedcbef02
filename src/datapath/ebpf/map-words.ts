// What all tables of maps' entries share: the names of what the numbers stand for, and entries as values.
import { type FieldTypes, type Struct, type StructValue } from '#/wire/bpf/layout.ts'
import { type MapName } from '#/wire/bpf/maps.ts'
import { type Generation } from './generation.ts'

/** What the numbers in the maps are called. Undefined for one that nothing has now. */
export type Names = {
  readonly device: (index: number) => string | undefined
  /** The pod whose host device has this index. */
  readonly pod: (device: number) => string | undefined
  readonly node: (owner: bigint) => string | undefined
}

export type MapTable = { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }

/** An index with the name of its device, or that there is none. */
export function deviceText(names: Names, index: number): string {
  return index === 0 ? '-' : (names.device(index) ?? `gone (index ${index})`)
}

export function podText(names: Names, device: number): string {
  return names.pod(device) ?? '-'
}

export function entriesOf<K extends FieldTypes, V extends FieldTypes>(
  generation: Generation,
  map: MapName,
  { key, value }: { readonly key: Struct<K>; readonly value: Struct<V> },
): [StructValue<K>, StructValue<V>][] {
  return generation
    .map(map)
    .entries()
    .map(([keyBytes, bytes]) => [key.decode(keyBytes), value.decode(bytes)])
}
