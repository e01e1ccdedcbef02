// The instructions that matches and actions are made of: a value is loaded into a register, changed there, and compared or stored.
import { type Expression, expression } from './expressions.ts'
import { verdictCodes } from './numbers.ts'
import { type NftVerdict } from './ruleset.ts'

/**
 * Registers: 0 holds verdicts, 1 to 4 have 16 bytes. The same room has numbers for each four bytes, from 8 on. Most matches load and compare at
 * once, in the first.
 */
export const verdictRegister = 0
export const register = 1
const firstOfFourBytes = 8
const registerBytes = 16

/** The register that begins `offset` bytes (a multiple of four) behind the first, as the kernel numbers it in its answers. */
export function registerAt(offset: number): number {
  return offset % registerBytes === 0 ? register + offset / registerBytes : firstOfFourBytes + offset / 4
}

export const BASE_LINK = 0
export const BASE_NETWORK = 1
export const BASE_TRANSPORT = 2

export const META_PROTOCOL = 1
export const META_MARK = 3
export const META_IIFNAME = 6
export const META_OIFNAME = 7
export const META_RTCLASSID = 13
export const META_NFPROTO = 15
export const META_L4PROTO = 16
export const META_PKTTYPE = 19
export const PACKET_HOST = 0

const CMP_EQ = 0
const CMP_NEQ = 1
const CMP_LT = 2
const CMP_LTE = 3
const CMP_GTE = 5
const LOOKUP_INV = 1

/** NFPROTO_IPV4 and NFPROTO_IPV6 */
export const nfProtocols = { 4: 2, 6: 10 } as const

export const native32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
export const network16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)
export const network24 = (value: number): Uint8Array => Uint8Array.of(value >> 16, (value >> 8) & 0xff, value & 0xff)

export const loadMeta = (key: number, dreg: number = register): Expression => expression('meta', { dreg, key })
export const storeMeta = (key: number): Expression => expression('meta', { key, sreg: register })
export const loadPayload = (base: number, offset: number, len: number, dreg: number = register): Expression =>
  expression('payload', { dreg, base, offset, len })
export const compare = (value: Uint8Array, not = false): Expression =>
  expression('cmp', { sreg: register, op: not ? CMP_NEQ : CMP_EQ, data: { value } })
export const isBelow = (value: Uint8Array): Expression =>
  expression('cmp', { sreg: register, op: CMP_LT, data: { value } })
export const isWithin = (first: Uint8Array, last: Uint8Array): Expression[] => [
  expression('cmp', { sreg: register, op: CMP_GTE, data: { value: first } }),
  expression('cmp', { sreg: register, op: CMP_LTE, data: { value: last } }),
]
export const isNotWithin = (first: Uint8Array, last: Uint8Array): Expression =>
  expression('range', { sreg: register, op: CMP_NEQ, from: { value: first }, to: { value: last } })
export const lookup = (set: string, not = false): Expression =>
  expression('lookup', { set, sreg: register, flags: not ? LOOKUP_INV : 0 })
export const loadValue = (value: Uint8Array, dreg: number = register): Expression =>
  expression('immediate', { dreg, data: { value } })
export const maskAndXor = (mask: Uint8Array, xor: Uint8Array): Expression =>
  expression('bitwise', {
    sreg: register,
    dreg: register,
    len: mask.length,
    mask: { value: mask },
    xor: { value: xor },
    op: 0,
  })
export const maskOnly = (mask: Uint8Array): Expression => maskAndXor(mask, new Uint8Array(mask.length))

/** NFTA_VERDICT_* */
function verdictData(verdict: NftVerdict): { readonly code: number; readonly chain?: string } {
  const code = verdictCodes[verdict.kind]
  return 'chain' in verdict ? { code, chain: verdict.chain } : { code }
}

export const decide = (verdict: NftVerdict): Expression =>
  expression('immediate', { dreg: verdictRegister, data: { verdict: verdictData(verdict) } })
