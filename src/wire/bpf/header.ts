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
import { placeNumbers, roleNumbers, sightingFlags, sightingStruct, traceLimits, traceMapLayouts } from './trace.ts'

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
    .map(([name, value]) => `#define CW_${prefix}_${name.toUpperCase().replaceAll('-', '_')} ${value}`)
    .join('\n')
}

const mapTypes = {
  array: 'BPF_MAP_TYPE_ARRAY',
  hash: 'BPF_MAP_TYPE_HASH',
  lpm_trie: 'BPF_MAP_TYPE_LPM_TRIE',
  lru_hash: 'BPF_MAP_TYPE_LRU_HASH',
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

/** Structs in the order given, then those of maps that are not among them. */
function headerText(
  constants: readonly (readonly [prefix: string, constants: Constants])[],
  structs: readonly Struct[],
  maps: Readonly<Record<string, MapLayout>>,
): string {
  const layouts = Object.entries(maps)
  const ofMaps = layouts.flatMap(([, { key, value }]) => [key, value]).filter((struct) => struct !== undefined)
  const all = new Map([...ofMaps, ...structs].map((struct) => [struct.name, struct]))
  return [
    '// Generated from src/wire/bpf by scripts/bpf-header.ts. Do not edit.',
    '#pragma once',
    ...constants.map(([prefix, numbers]) => constantsText(prefix, numbers)),
    ...[...all.values()].map(structText),
    ...layouts.map(([name, layout]) => mapText(name, layout)),
    '',
  ].join('\n\n')
}

/** Of the programs that carry packets. */
export function datapathHeader(): string {
  const drops = Object.fromEntries(Object.entries(dropReasons).map(([name, { number }]) => [name, number]))
  return headerText(
    [
      ['FLAG', configFlags],
      ['POD', podFlags],
      ['NODE', nodeFlags],
      ['WAY', ways],
      ['HOOK', hooks],
      ['VERDICT', verdicts],
      ['TRAFFIC', trafficKinds],
      ['POLICY', policyVerdicts],
      ['LIMIT', limits],
      ['DROP', drops],
    ],
    [eventStruct],
    mapLayouts,
  )
}

/** Of the programs that follow a trace's packets. */
export function traceHeader(): string {
  return headerText(
    [
      ['PLACE', placeNumbers],
      ['ROLE', roleNumbers],
      ['SEEN', sightingFlags],
      ['LIMIT', traceLimits],
    ],
    [sightingStruct],
    traceMapLayouts,
  )
}
