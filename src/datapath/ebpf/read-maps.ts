// The programs' maps in words: what each entry is about, with the names of pods, nodes and devices.
import { Addr, Prefix } from '#/lib/addr.ts'
import {
  budgetStruct,
  configFlags,
  configStruct,
  denialBudgets,
  type Constants,
  indexStruct,
  type MapLayout,
  mapLayouts,
  type MapName,
  nodeFlags,
  pairStruct,
  podFlags,
  portStruct,
} from '#/wire/bpf/maps.ts'
import { hookName, podDirections, reasonTold, trafficWays, wayName, wayWords } from '#/wire/bpf/words.ts'
import { type Generation } from './generation.ts'
import { deviceText, entriesOf, type MapTable, type Names, podText } from './map-words.ts'
import { readDrops, readTraffic } from './read-counters.ts'
import { deniedTable, peersTable, policedTable, verdictsTable } from './read-policy-maps.ts'

/** What each map is for, as one phrase. */
export const mapPurposes: Readonly<Record<MapName, string>> = {
  cw_config: 'the settings of this node',
  cw_pods4: 'IPv4 addresses of pods of this node',
  cw_pods6: 'IPv6 addresses of pods of this node',
  cw_ports: 'host devices of pods of this node',
  cw_nodes4: 'the way to IPv4 prefixes, and who owns them',
  cw_nodes6: 'the way to IPv6 prefixes, and who owns them',
  cw_ends: 'addresses of nodes',
  cw_traffic: 'counters of pods, by direction and way',
  cw_budgets: 'multicast and broadcast of pods in this second',
  cw_drops: 'dropped packets, by device and reason',
  cw_policed: 'classes of pods, by the slot of their counters',
  cw_peers4: 'kinds of peers in policies, by IPv4 prefix',
  cw_peers6: 'kinds of peers in policies, by IPv6 prefix',
  cw_verdicts: 'what classes of pods say of kinds of peers',
  cw_denied: 'packets that policies denied, by device and rule',
  cw_told: 'denied packets that were told of in this second',
  cw_denials: 'packets that policies denied, for the log',
  cw_watched: 'pairs of addresses that are watched',
  cw_events: 'events of watched packets',
}

function macText(bytes: Uint8Array): string {
  return bytes.toHex().replaceAll(/..(?=.)/g, '$&:')
}

const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)

/** An address of 4 or 16 bytes; of 16, also an IPv4 address. */
function addrOf(bytes: Uint8Array): Addr {
  const isIpv4 = bytes.length === 16 && mapped.every((each, index) => bytes[index] === each)
  return Addr.fromBytes(isIpv4 ? bytes.subarray(12) : bytes)
}

const isNone = (bytes: Uint8Array): boolean => bytes.every((each) => each === 0)

function flagWords(constants: Constants, flags: number): string {
  const words = Object.entries(constants).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]))
  return words.join(', ') || '-'
}

const mtuText = (mtuBytes: number): string => (mtuBytes === 0 ? "the device's" : String(mtuBytes))

function configTable(generation: Generation, names: Names): MapTable {
  const bytes = generation.map('cw_config').get(indexStruct.encode({ index: 0 }))
  const columns = ['SETTING', 'VALUE']
  if (bytes === undefined) return { columns, rows: [] }
  const config = configStruct.decode(bytes)
  const rows = [
    ['flags', flagWords(configFlags, config.flags)],
    ['bridge', `${deviceText(names, config.bridge_device)}, ${macText(config.bridge_mac)}`],
    ['tunnel', `${deviceText(names, config.tunnel_device)}, ${macText(config.tunnel_mac)}`],
    ['VNI', String(config.vni)],
    ['tunnel port', String(config.vxlan_port)],
    ['timeout of TCP', `${config.tcp_timeout_s} s`],
    ['timeout of UDP', `${config.udp_timeout_s} s`],
    ['jiffies', config.jiffies_hz === 0 ? 'not measured yet' : `${config.jiffies_hz} a second`],
  ]
  return { columns, rows }
}

function podsTable(generation: Generation, map: 'cw_pods4' | 'cw_pods6', names: Names): MapTable {
  const entries = entriesOf(generation, map, mapLayouts[map]).map(([{ addr }, pod]) => ({ addr: addrOf(addr), pod }))
  const rows = entries
    .toSorted((a, b) => a.addr.compare(b.addr))
    .map(({ addr, pod: { device, mac, slot, mtu, flags } }) => [
      String(addr),
      podText(names, device),
      deviceText(names, device),
      macText(mac),
      String(slot),
      mtuText(mtu),
      flagWords(podFlags, flags),
    ])
  return { columns: ['ADDRESS', 'POD', 'DEVICE', 'MAC', 'SLOT', 'MTU', 'FLAGS'], rows }
}

function portsTable(generation: Generation, names: Names): MapTable {
  const rows = entriesOf(generation, 'cw_ports', mapLayouts.cw_ports).map(([{ index }, { mac, slot, flags }]) => [
    deviceText(names, index),
    podText(names, index),
    macText(mac),
    String(slot),
    flagWords(podFlags, flags),
  ])
  return { columns: ['DEVICE', 'POD', 'MAC', 'SLOT', 'FLAGS'], rows }
}

function nodeText(names: Names, owner: bigint): string {
  return names.node(owner) ?? `not known (${owner.toString(16)})`
}

function nodesTable(generation: Generation, map: 'cw_nodes4' | 'cw_nodes6', names: Names): MapTable {
  const entries = entriesOf(generation, map, mapLayouts[map]).map(([{ addr, length }, node]) => ({
    prefix: new Prefix(Addr.fromBytes(addr), length),
    node,
  }))
  const endText = (bytes: Uint8Array): string => (isNone(bytes) ? '-' : String(addrOf(bytes)))
  const rows = entries
    .toSorted((a, b) => a.prefix.compare(b.prefix))
    .map(({ prefix, node: { owner, way, tunnel_src, tunnel_dst, mtu, flags, vtep_mac } }) => {
      const name = wayName(way)
      return [
        String(prefix),
        nodeText(names, owner),
        name === undefined ? `way ${way}` : wayWords[name],
        endText(tunnel_src),
        endText(tunnel_dst),
        isNone(vtep_mac) ? '-' : macText(vtep_mac),
        mtuText(mtu),
        flagWords(nodeFlags, flags),
      ]
    })
  return { columns: ['PREFIX', 'NODE', 'WAY', 'TUNNEL FROM', 'TUNNEL TO', 'VTEP MAC', 'MTU', 'FLAGS'], rows }
}

function endsTable(generation: Generation, names: Names): MapTable {
  const entries = entriesOf(generation, 'cw_ends', mapLayouts.cw_ends).map(([{ addr }, { owner }]) => ({
    addr: addrOf(addr),
    owner,
  }))
  const rows = entries
    .toSorted((a, b) => a.addr.compare(b.addr))
    .map(({ addr, owner }) => [String(addr), nodeText(names, owner)])
  return { columns: ['ADDRESS', 'NODE'], rows }
}

async function trafficTable(generation: Generation, names: Names): Promise<MapTable> {
  const rows = [...(await readTraffic(generation))].flatMap(([device, traffic]) =>
    podDirections.flatMap((direction) =>
      trafficWays.map((way) => {
        const { packets, bytes } = traffic[direction][way]
        return [podText(names, device), direction.replace('_', ' '), way, String(packets), String(bytes)]
      }),
    ),
  )
  return { columns: ['POD', 'DIRECTION', 'WAY', 'PACKETS', 'BYTES'], rows }
}

/** In the newest second of which a processor knows. */
function packetsOf(bytes: Uint8Array): string {
  const perCpu = Array.from({ length: bytes.length / budgetStruct.size }, (_, cpu) =>
    budgetStruct.decode(bytes.subarray(cpu * budgetStruct.size, (cpu + 1) * budgetStruct.size)),
  )
  const newest = perCpu.reduce((last, { second }) => (second > last ? second : last), 0n)
  return String(perCpu.reduce((sum, each) => sum + (each.second === newest ? each.packets : 0n), 0n))
}

function toldTable(generation: Generation): MapTable {
  const bytes = generation.map('cw_told').get(indexStruct.encode({ index: denialBudgets })) ?? new Uint8Array()
  return { columns: ['IN THE LAST SECOND WITH ANY'], rows: [[packetsOf(bytes)]] }
}

function budgetsTable(generation: Generation, names: Names): MapTable {
  const map = generation.map('cw_budgets')
  const rows = entriesOf(generation, 'cw_ports', mapLayouts.cw_ports).map(([{ index }, { slot }]) => {
    const bytes = map.get(indexStruct.encode({ index: slot })) ?? new Uint8Array()
    return [podText(names, index), String(slot), packetsOf(bytes)]
  })
  return { columns: ['POD', 'SLOT', 'IN THE LAST SECOND WITH ANY'], rows }
}

function dropsTable(generation: Generation, names: Names): MapTable {
  const rows = readDrops(generation).map(({ device, hook, reason, packets, bytes }) => [
    deviceText(names, device),
    podText(names, device),
    hookName(hook) ?? `hook ${hook}`,
    reasonTold(reason).text,
    String(packets),
    String(bytes),
  ])
  return { columns: ['DEVICE', 'POD', 'HOOK', 'REASON', 'PACKETS', 'BYTES'], rows }
}

function watchedTable(generation: Generation): MapTable {
  const { key, value } = { key: pairStruct, value: mapLayouts.cw_watched.value }
  const rows = entriesOf(generation, 'cw_watched', { key, value }).map(([{ src, dst }, { id }]) => [
    String(addrOf(src)),
    String(addrOf(dst)),
    String(id),
  ])
  return { columns: ['FROM', 'TO', 'WATCH'], rows }
}

/** Maps with entries to look at: what is in a ring buffer is gone once it is read. */
export type EntryMapName = Exclude<MapName, 'cw_events' | 'cw_denials'>

/** All entries of a map, in words. A ring buffer has none to look at: who reads it takes them. Rejects with BpfError. */
export async function mapTable(generation: Generation, map: EntryMapName, names: Names): Promise<MapTable> {
  if (map === 'cw_config') return configTable(generation, names)
  if (map === 'cw_pods4' || map === 'cw_pods6') return podsTable(generation, map, names)
  if (map === 'cw_ports') return portsTable(generation, names)
  if (map === 'cw_nodes4' || map === 'cw_nodes6') return nodesTable(generation, map, names)
  if (map === 'cw_ends') return endsTable(generation, names)
  if (map === 'cw_traffic') return trafficTable(generation, names)
  if (map === 'cw_budgets') return budgetsTable(generation, names)
  if (map === 'cw_drops') return dropsTable(generation, names)
  if (map === 'cw_told') return toldTable(generation)
  if (map === 'cw_policed') return policedTable(generation, names)
  if (map === 'cw_peers4' || map === 'cw_peers6') return peersTable(generation, map)
  if (map === 'cw_verdicts') return verdictsTable(generation)
  if (map === 'cw_denied') return deniedTable(generation, names)
  return watchedTable(generation)
}

/** How many entries a map has; undefined for one where that says nothing, since all of them are always there. */
export function entryCount(generation: Generation, map: MapName): number | undefined {
  const { type }: MapLayout = mapLayouts[map]
  return type === 'ringbuf' || type.endsWith('array') ? undefined : generation.map(map).entries().length
}

/** The slots that pods have, which tell how full the arrays of counters are. */
export function slotsUsed(generation: Generation): number {
  return new Set(
    generation
      .map('cw_ports')
      .entries()
      .map(([, value]) => portStruct.decode(value).slot),
  ).size
}
