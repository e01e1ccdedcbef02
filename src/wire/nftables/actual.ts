// A table as the kernel has it, read from the answers to dumps.
import { decodeRanges } from './elements.ts'
import { fingerprint } from './expressions.ts'
import {
  chainCodec,
  decodeComment,
  decodeNft,
  elementsCodec,
  ruleCodec,
  setCodec,
  type ElementAttrs,
} from './messages.ts'
import { keyTypes, SET_INTERVAL } from './numbers.ts'
import { familyOfSet, type Range } from './ranges.ts'
import { type NftFamily } from './ruleset.ts'

/** `flags` are the kernel's NFT_TABLE_F_*: a dormant table (1) is there without effect. */
export type NftActual = {
  readonly family: NftFamily
  readonly name: string
  readonly flags: number
  readonly sets: readonly NftActualSet[]
  readonly chains: readonly NftActualChain[]
}

/** `ranges` are missing when the set or its elements are of a kind that we never make. */
export type NftActualSet = {
  readonly name: string
  readonly keyType: number
  readonly flags: number
  readonly counter: boolean
  readonly ranges: readonly Range[] | undefined
}

/** Hook, type and policy in the kernel's numbers: others than we use may stand there. */
export type NftActualChain = {
  readonly name: string
  readonly hook: NftActualHook | undefined
  readonly rules: readonly NftActualRule[]
}

export type NftActualHook = {
  readonly type: string
  readonly number: number
  readonly priority: number
  readonly policy: number
  readonly devices: readonly string[]
}

/** `does` is the fingerprint of the rule's expressions. */
export type NftActualRule = {
  readonly chain: string
  readonly handle: bigint
  readonly comment: string | undefined
  readonly does: string
}

/** An NFT_MSG_NEWCHAIN, without its rules, and the name of its table. Throws WireError. */
export function decodeChain(payload: Uint8Array): Omit<NftActualChain, 'rules'> & { readonly table: string } {
  const { table = '', name = '', hook, policy = 1, type = '' } = decodeNft(payload, chainCodec)
  if (hook === undefined) return { table, name, hook: undefined }
  const { number = 0, priority = 0, device, devices = device === undefined ? [] : [device] } = hook
  // the attribute is a signed number
  return { table, name, hook: { type, number, priority: priority | 0, policy, devices } }
}

/** An NFT_MSG_NEWRULE. Throws WireError. */
export function decodeRule(payload: Uint8Array): NftActualRule {
  const { chain = '', handle = 0n, expressions = [], userdata } = decodeNft(payload, ruleCodec)
  const does = fingerprint(expressions.map(({ name = '', data = new Uint8Array() }) => ({ name, data })))
  return { chain, handle, comment: userdata && decodeComment(userdata), does }
}

/** An NFT_MSG_NEWSET; its elements come from another dump. Throws WireError. */
export function decodeSet(payload: Uint8Array, elements: readonly ElementAttrs[]): NftActualSet {
  const { name = '', keyType = 0, flags = 0, expression } = decodeNft(payload, setCodec)
  const type = keyType === keyTypes.ipv4_addr ? 'ipv4_addr' : 'ipv6_addr'
  const isOurKind = keyType === keyTypes[type] && (flags === 0 || flags === SET_INTERVAL)
  return {
    name,
    keyType,
    flags,
    counter: expression?.name === 'counter',
    ranges: isOurKind ? decodeRanges(elements, familyOfSet[type], flags === SET_INTERVAL) : undefined,
  }
}

/** An NFT_MSG_NEWSETELEM. Throws WireError. */
export function decodeElements(payload: Uint8Array): readonly ElementAttrs[] {
  return decodeNft(payload, elementsCodec).elements ?? []
}
