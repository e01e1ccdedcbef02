// The maps of network policy in words.
import { Addr, Prefix } from '#/lib/addr.ts'
import { denialTextOf } from '#/plan/policy-maps/denial.ts'
import { portProtocols } from '#/policy/policy.ts'
import { indexStruct, mapLayouts, policedStruct, policyVerdicts } from '#/wire/bpf/maps.ts'
import { type Generation } from './generation.ts'
import { deviceText, entriesOf, type MapTable, type Names, podText } from './map-words.ts'
import { readDenied } from './read-counters.ts'

const noneText = (number: number): string => (number === 0 ? '-' : String(number))

export function policedTable(generation: Generation, names: Names): MapTable {
  const policed = generation.map('cw_policed')
  const rows = entriesOf(generation, 'cw_ports', mapLayouts.cw_ports).flatMap(([{ index }, { slot }]) => {
    const bytes = policed.get(indexStruct.encode({ index: slot }))
    if (bytes === undefined) return []
    const { egress, ingress } = policedStruct.decode(bytes)
    return [[podText(names, index), String(slot), noneText(egress), noneText(ingress)]]
  })
  return { columns: ['POD', 'SLOT', 'CLASS OF EGRESS', 'CLASS OF INGRESS'], rows }
}

export function peersTable(generation: Generation, map: 'cw_peers4' | 'cw_peers6'): MapTable {
  const entries = entriesOf(generation, map, mapLayouts[map]).map(([{ addr, length }, { kind }]) => ({
    prefix: new Prefix(Addr.fromBytes(addr), length),
    kind,
  }))
  const rows = entries
    .toSorted((a, b) => a.prefix.compare(b.prefix))
    .map(({ prefix, kind }) => [String(prefix), String(kind)])
  return { columns: ['PREFIX', 'KIND'], rows }
}

/** Bits of class and kind, of those with a protocol, and of all. */
const [classBits, protocolBits, allBits] = [64, 80, 96]

function protocolText(length: number, protocol: number): string {
  if (length === classBits) return 'any'
  const known = Object.entries(portProtocols).find(([, number]) => number === protocol)
  return known?.[0] ?? `protocol ${protocol}`
}

function portsText(length: number, port: number): string {
  if (length <= protocolBits) return 'all'
  const last = port + 2 ** (allBits - length) - 1
  return last === port ? String(port) : `${port}-${last}`
}

export function verdictsTable(generation: Generation): MapTable {
  const entries = entriesOf(generation, 'cw_verdicts', mapLayouts.cw_verdicts)
  const rows = entries
    .toSorted(
      ([a], [b]) =>
        a.class - b.class || a.kind - b.kind || a.protocol - b.protocol || a.length - b.length || a.port - b.port,
    )
    .map(([{ length, class: number, kind, protocol, port }, { verdict, rule }]) => [
      String(number),
      kind === 0 ? 'any other' : String(kind),
      protocolText(length, protocol),
      portsText(length, port),
      verdict === policyVerdicts.denied ? `denied by ${ruleText(rule)}` : 'to the stack',
    ])
  return { columns: ['CLASS', 'KIND', 'PROTOCOL', 'PORTS', 'VERDICT'], rows }
}

/** What denies, by its number; an earlier agent's rule may not be known to this one. */
export function ruleText(rule: number): string {
  return denialTextOf(rule) ?? `a rule that is gone (${rule.toString(16).padStart(8, '0')})`
}

export function deniedTable(generation: Generation, names: Names): MapTable {
  const rows = readDenied(generation).map(({ device, rule, packets, bytes }) => [
    deviceText(names, device),
    podText(names, device),
    ruleText(rule),
    String(packets),
    String(bytes),
  ])
  return { columns: ['DEVICE', 'POD', 'RULE', 'PACKETS', 'BYTES'], rows }
}
