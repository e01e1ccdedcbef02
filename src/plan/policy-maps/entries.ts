// The entries of the policy's maps, as bytes. Pure.
import { Addr, Prefix } from '#/lib/addr.ts'
import {
  type MapName,
  peerStruct,
  policedStruct,
  policyVerdicts,
  prefix4Struct,
  prefix6Struct,
  verdictKeyStruct,
  verdictStruct,
} from '#/wire/bpf/maps.ts'
import { portProtocols } from '#/policy/policy.ts'
import { askedProtocols, type Decisions, type Said } from './decide.ts'
import { denialNumber } from './denial.ts'
import { portPrefixes } from './port-prefixes.ts'

/** In the order in which they are written. */
export const policyMapNames = ['cw_peers4', 'cw_peers6', 'cw_verdicts'] as const satisfies readonly MapName[]
export type PolicyMapName = (typeof policyMapNames)[number]
export type PolicyEntry = { readonly map: PolicyMapName; readonly key: Uint8Array; readonly value: Uint8Array }
export type PolicyKey = Pick<PolicyEntry, 'map' | 'key'>

/** What the programs look up of a pod; 0: nothing is denied. */
export type PolicedClasses = { readonly egress: number; readonly ingress: number }
export const notPoliced: PolicedClasses = { egress: 0, ingress: 0 }

export const policedValue = (classes: PolicedClasses): Uint8Array => policedStruct.encode(classes)

/** Bits of class and kind. */
const classBits = 64
/** With the protocol, and the byte after it. */
const protocolBits = classBits + 16

/** The map of a peer's prefix. */
export const mapOf = ({ family }: Prefix): 'cw_peers4' | 'cw_peers6' => (family === 4 ? 'cw_peers4' : 'cw_peers6')

export function peerKey(prefix: Prefix): PolicyKey {
  const value = { length: prefix.length, addr: prefix.addr.toBytes() }
  return { map: mapOf(prefix), key: (prefix.family === 4 ? prefix4Struct : prefix6Struct).encode(value) }
}

/** Of a key of one of the maps of peers. */
export function prefixOf({ map, key }: PolicyKey): Prefix {
  const { addr, length } = (map === 'cw_peers4' ? prefix4Struct : prefix6Struct).decode(key)
  return new Prefix(Addr.fromBytes(addr), length)
}

export function peerEntry(prefix: Prefix, kind: number): PolicyEntry {
  return { ...peerKey(prefix), value: peerStruct.encode({ kind }) }
}

function verdictValue(said: Said): Uint8Array {
  return said === undefined
    ? verdictStruct.encode({ verdict: policyVerdicts.allowed, rule: 0 })
    : verdictStruct.encode({ verdict: policyVerdicts.denied, rule: denialNumber(said) })
}

/** What a class says of the ports of a prefix; of all of a protocol; of any protocol. */
export type Cell = { readonly length: number; readonly protocol: number; readonly port: number; readonly said: Said }

/**
 * Decisions as cells. The first is of any protocol and port, so that whoever finds none knows that there are none; the others say where it is
 * different.
 */
export function cellsOf(decisions: Decisions): Cell[] {
  return [
    { length: classBits, protocol: 0, port: 0, said: decisions.other },
    ...askedProtocols.flatMap((protocol) =>
      portPrefixes(decisions[protocol], decisions.other).map(({ port, bits, value }) => ({
        length: protocolBits + bits,
        protocol: portProtocols[protocol],
        port,
        said: value,
      })),
    ),
  ]
}

export function verdictEntry(classNumber: number, kind: number, { length, protocol, port, said }: Cell): PolicyEntry {
  return {
    map: 'cw_verdicts',
    key: verdictKeyStruct.encode({ length, class: classNumber, kind, protocol, reserved: 0, port }),
    value: verdictValue(said),
  }
}
