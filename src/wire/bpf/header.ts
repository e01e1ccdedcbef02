// The C header that the programs include: structs, constants and maps as src/wire/bpf declares them. Pure.
import { type FieldPlace, type Struct } from './layout.ts'
import {
  type Constants,
  configFlags,
  eventStruct,
  hooks,
  limits,
  type MapLayout,
  mapLayouts,
  nodeFlags,
  podFlags,
  policyVerdicts,
  trafficKinds,
  verdicts,
  ways,
} from './maps.ts'
import { dropReasons } from './reasons.ts'

const cTypes = { u8: '__u8', u16: '__u16', u32: '__u32', u64: '__u64', be16: '__be16', be32: '__be32' } as const

function fieldText({ name, type }: FieldPlace): string {
  return typeof type === 'string' ? `${cTypes[type]} ${name};` : `__u8 ${name}[${type.bytes}];`
}

function structText(struct: Struct): string {
  const { name, size, places } = struct
  const offsets = places.map(
    ({ name: field, offset }) => `_Static_assert(offsetof(struct ${name}, ${field}) == ${offset}, "${name}.${field}");`,
  )
  return [
    `struct ${name} {`,
    ...places.map((place) => `\t${fieldText(place)}`),
    '};',
    `_Static_assert(sizeof(struct ${name}) == ${size}, "${name}");`,
    ...offsets,
  ].join('\n')
}

function constantsText(prefix: string, constants: Constants): string {
  return Object.entries(constants)
    .map(([name, value]) => `#define CW_${prefix}_${name.toUpperCase()} ${value}`)
    .join('\n')
}

const mapTypes = {
  array: 'BPF_MAP_TYPE_ARRAY',
  hash: 'BPF_MAP_TYPE_HASH',
  lpm_trie: 'BPF_MAP_TYPE_LPM_TRIE',
  percpu_array: 'BPF_MAP_TYPE_PERCPU_ARRAY',
  percpu_hash: 'BPF_MAP_TYPE_PERCPU_HASH',
  ringbuf: 'BPF_MAP_TYPE_RINGBUF',
} as const

/** Maps with many possible entries take memory as they fill. */
const growing = new Set<MapLayout['type']>(['lpm_trie', 'percpu_hash'])

function mapText(name: string, { type, key, value, maxEntries }: MapLayout): string {
  return [
    'struct {',
    `\t__uint(type, ${mapTypes[type]});`,
    ...(growing.has(type) || (type === 'hash' && maxEntries > 16_384)
      ? ['\t__uint(map_flags, BPF_F_NO_PREALLOC);']
      : []),
    `\t__uint(max_entries, ${maxEntries});`,
    // the plain index keeps arrays readable for the compiler, which inlines their lookups
    ...(key ? [`\t__type(key, ${key.name === 'cw_index' ? '__u32' : `struct ${key.name}`});`] : []),
    ...(value ? [`\t__type(value, struct ${value.name});`] : []),
    `} ${name} SEC(".maps");`,
  ].join('\n')
}

export function bpfHeader(): string {
  const layouts: [string, MapLayout][] = Object.entries(mapLayouts)
  const structs = new Map<string, Struct>()
  for (const [, { key, value }] of layouts)
    for (const struct of [key, value]) if (struct) structs.set(struct.name, struct)
  structs.set(eventStruct.name, eventStruct)
  return [
    '// Generated from src/wire/bpf by scripts/bpf-header.ts. Do not edit.',
    '#pragma once',
    constantsText('FLAG', configFlags),
    constantsText('POD', podFlags),
    constantsText('NODE', nodeFlags),
    constantsText('WAY', ways),
    constantsText('HOOK', hooks),
    constantsText('VERDICT', verdicts),
    constantsText('TRAFFIC', trafficKinds),
    constantsText('POLICY', policyVerdicts),
    constantsText('LIMIT', limits),
    constantsText('DROP', Object.fromEntries(Object.entries(dropReasons).map(([name, { number }]) => [name, number]))),
    ...[...structs.values()].map(structText),
    ...layouts.map(([name, layout]) => mapText(name, layout)),
    '',
  ].join('\n\n')
}
