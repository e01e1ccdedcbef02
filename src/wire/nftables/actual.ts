// A table as it is in the kernel, read from the answers to dumps.
import { eachAttr } from '../netlink/attr.ts'
import { decodeExpression, type Expression, expression } from './expressions.ts'
import { decodeRanges } from './elements.ts'
import { fingerprint } from './expressions.ts'
import {
  chainCodec,
  decodeComment,
  decodeNft,
  elementsCodec,
  nftHeaderBytes,
  ruleCodec,
  setCodec,
  type ElementAttrs,
} from './messages.ts'
import { keyTypes, SET_ANONYMOUS, SET_INTERVAL } from './numbers.ts'
import { familyOfSet, type Range } from './ranges.ts'
import { type NftFamily } from './ruleset.ts'
import { decodeValueSet, valueSetText } from './value-set.ts'

/** `flags` are the kernel's NFT_TABLE_F_*: a dormant table (1) exists without effect. */
export type NftActual = {
  readonly family: NftFamily
  readonly name: string
  readonly flags: number
  readonly sets: readonly NftActualSet[]
  readonly chains: readonly NftActualChain[]
}

/**
 * `ranges` are absent when the set is none of addresses, or its elements are of a kind that Causeway never makes; `entries` when it is no set of
 * keys, or they are.
 */
export type NftActualSet = {
  readonly name: string
  readonly keyType: number
  readonly flags: number
  readonly counter: boolean
  readonly ranges: readonly Range[] | undefined
  readonly entries?: readonly NftActualEntry[] | undefined
}

export type NftActualEntry = { readonly key: Uint8Array }

/** Hook, type and policy as the kernel's numbers, because they may have values that Causeway does not use. */
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

/** NFTA_CHAIN_HOOK */
const hookAttr = 4

/** Whether an NFT_MSG_NEWCHAIN is about a chain with a hook: a quick look, as a proxy of services has thousands without. Throws WireError. */
export function hasHook(payload: Uint8Array): boolean {
  let isFound = false
  eachAttr(payload.subarray(nftHeaderBytes), (type) => {
    isFound ||= type === hookAttr
  })
  return isFound
}

/** Decodes an NFT_MSG_NEWCHAIN, which does not contain its rules, and the name of its table. Throws WireError. */
export function decodeChain(payload: Uint8Array): Omit<NftActualChain, 'rules'> & { readonly table: string } {
  const { table = '', name = '', hook, policy = 1, type = '' } = decodeNft(payload, chainCodec)
  if (hook === undefined) return { table, name, hook: undefined }
  const { number = 0, priority = 0, device, devices = device === undefined ? [] : [device] } = hook
  // the attribute is a signed number
  return { table, name, hook: { type, number, priority: priority | 0, policy, devices } }
}

/** What sets without names hold (valueSetText), by the names that the kernel gave them. */
export type UnnamedSets = ReadonlyMap<string, string>

/** Decodes an NFT_MSG_NEWRULE. Throws WireError. */
export function decodeRule(payload: Uint8Array, unnamed: UnnamedSets = new Map()): NftActualRule {
  const { chain = '', handle = 0n, expressions = [], userdata } = decodeNft(payload, ruleCodec)
  const does = fingerprint(
    expressions.map(({ name = '', data = new Uint8Array() }) => withContents({ name, data }, unnamed)),
  )
  return { chain, handle, comment: userdata && decodeComment(userdata), does }
}

/** Has a look-up in a set without a name say what the set holds: its number is another one with each transaction. */
function withContents(each: Expression, unnamed: UnnamedSets): Expression {
  if (each.name !== 'lookup' || unnamed.size === 0) return each
  const decoded = decodeExpression(each)
  const contents = decoded.name === 'lookup' ? unnamed.get(decoded.attrs.set ?? '') : undefined
  if (decoded.name !== 'lookup' || contents === undefined) return each
  return expression('lookup', { ...decoded.attrs, set: contents })
}

/** The name of a set that belongs to a rule, and what it holds; undefined when it has a name of its own. Throws WireError. */
export function decodeUnnamedSet(
  payload: Uint8Array,
  elements: readonly ElementAttrs[],
): { readonly name: string; readonly contents: string } | undefined {
  const { name = '', keyType = 0, flags = 0 } = decodeNft(payload, setCodec)
  if ((flags & SET_ANONYMOUS) === 0) return undefined
  const set = decodeValueSet(keyType, flags, elements)
  return { name, contents: set === undefined ? `${name} of another kind` : valueSetText(set) }
}

/** Decodes an NFT_MSG_NEWSET; its elements come from another dump. Throws WireError. */
export function decodeSet(payload: Uint8Array, elements: readonly ElementAttrs[]): NftActualSet {
  const { name = '', keyType = 0, flags = 0, expression: counter } = decodeNft(payload, setCodec)
  const type = keyType === keyTypes.ipv4_addr ? 'ipv4_addr' : 'ipv6_addr'
  const isOurKind = keyType === keyTypes[type] && (flags === 0 || flags === SET_INTERVAL)
  return {
    name,
    keyType,
    flags,
    counter: counter?.name === 'counter',
    ranges: isOurKind ? decodeRanges(elements, familyOfSet[type], flags === SET_INTERVAL) : undefined,
    entries: isOurKind || flags !== 0 ? undefined : decodeEntries(elements),
  }
}

function decodeEntries(elements: readonly ElementAttrs[]): NftActualEntry[] | undefined {
  const entries: NftActualEntry[] = []
  for (const { key, flags = 0, timeout, expression: does, expressions } of elements) {
    const isOdd = flags !== 0 || timeout || expressions || (does && does.name !== 'counter')
    if (key?.value === undefined || isOdd) return undefined
    entries.push({ key: key.value })
  }
  return entries
}

/** Decodes an NFT_MSG_NEWSETELEM. Throws WireError. */
export function decodeElements(payload: Uint8Array): readonly ElementAttrs[] {
  return decodeNft(payload, elementsCodec).elements ?? []
}
