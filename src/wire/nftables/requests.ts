// The messages that make or remove one object of a table.
import { NLM_F_APPEND, NLM_F_CREATE } from '../netlink/message.ts'
import { compileRule } from './compile.ts'
import { encodeRanges } from './elements.ts'
import { expression } from './expressions.ts'
import { encodeKey, keyLayout, keyText } from './keys.ts'
import {
  chainCodec,
  type ElementAttrs,
  elementsCodec,
  encodeComment,
  encodeNft,
  NFT_MSG_DELCHAIN,
  NFT_MSG_DELRULE,
  NFT_MSG_DELSET,
  NFT_MSG_DELSETELEM,
  NFT_MSG_DELTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWSET,
  NFT_MSG_NEWSETELEM,
  NFT_MSG_NEWTABLE,
  type NftFamilyName,
  ruleCodec,
  setCodec,
  tableCodec,
} from './messages.ts'
import { hookNumbers, keyTypes, policyNumbers, SET_INTERVAL } from './numbers.ts'
import { type Range, rangesOf } from './ranges.ts'
import { commentOf } from './render-rule.ts'
import {
  type NftChain,
  type NftKey,
  type NftKeySet,
  type NftKeyType,
  type NftRule,
  type NftSet,
  type NftTableName,
} from './ruleset.ts'
import { encodeValueSet, type ValueSet } from './value-set.ts'

/** A netlink request with a description for people. */
export type NftRequest = {
  readonly what: string
  readonly type: number
  readonly flags: number
  readonly payload: Uint8Array
  /** It can be only in a transaction with the next request: it makes a set without a name for the rule of that. */
  readonly belongsToNext?: true
}

/** The numbers by which messages of one transaction refer to sets that it makes. */
export type SetIds = { next(): number }

export function newIds(): SetIds {
  let last = 0
  return { next: () => ++last }
}

/** An element of ours has at most 160 bytes, a chain's name among them, and the attribute with all of them at most 64 KiB. */
const elementsPerMessage = 400

export function addTable({ family, name }: NftTableName): NftRequest {
  const payload = encodeNft(family, tableCodec, { name, flags: 0 })
  return { what: `nft add table ${family} ${name}`, type: NFT_MSG_NEWTABLE, flags: NLM_F_CREATE, payload }
}

export function deleteTableRequest(family: NftFamilyName, name: string): NftRequest {
  const payload = encodeNft(family, tableCodec, { name })
  return { what: `nft delete table ${family} ${name}`, type: NFT_MSG_DELTABLE, flags: 0, payload }
}

/** Tells nft that keys are in the byte order of the machine (UDATA_SET_KEYBYTEORDER): it shows single names of devices by that alone. */
const hostOrder = Uint8Array.of(0, 4, 1, 0, 0, 0)

type SetAttrs = {
  readonly name: string
  readonly flags: number
  readonly keyType: number
  readonly keyLength: number
  readonly counter?: boolean
}

function setRequest({ family, name: table }: NftTableName, ids: SetIds, attrs: SetAttrs): NftRequest {
  const { counter, ...rest } = attrs
  return {
    what: `nft add set ${family} ${table} ${attrs.name}`,
    type: NFT_MSG_NEWSET,
    flags: NLM_F_CREATE,
    payload: encodeNft(family, setCodec, {
      table,
      ...rest,
      id: ids.next(),
      ...(attrs.keyType === keyTypes.ifname && { userdata: hostOrder }),
      ...(counter && { expression: expression('counter', {}) }),
    }),
  }
}

/** The requests that make a set with its elements; made as they are asked for. */
export function* addSet(table: NftTableName, set: NftSet, ids: SetIds): Generator<NftRequest, void, void> {
  const { name, interval, counter = false } = set
  const attrs = { name, flags: interval ? SET_INTERVAL : 0, ...keyLayout([set.type]), counter }
  yield setRequest(table, ids, attrs)
  yield* elementRequests('add', table, set, rangesOf(set))
}

/** The requests that make a set of keys with its elements; made as they are asked for. */
export function* addKeySet(table: NftTableName, set: NftKeySet, ids: SetIds): Generator<NftRequest, void, void> {
  const { name, counter = false } = set
  const attrs = { name, flags: 0, ...keyLayout(set.type), counter }
  yield setRequest(table, ids, attrs)
  yield* keyRequests('add', table, set, set.elements)
}

/** Deletes a set with its elements; or a map, which a table of ours had in an earlier release. */
export function deleteSet({ family, name: table }: NftTableName, name: string): NftRequest {
  const payload = encodeNft(family, setCodec, { table, name })
  return { what: `nft delete set ${family} ${table} ${name}`, type: NFT_MSG_DELSET, flags: 0, payload }
}

type Verb = 'add' | 'delete'

/** The requests that remove ranges from a set of the table, or add them; made as they are asked for. */
export function* elementRequests(
  verb: Verb,
  table: NftTableName,
  { name, interval }: Pick<NftSet, 'name' | 'interval'>,
  ranges: readonly Range[],
): Generator<NftRequest, void, void> {
  for (const elements of encodeRanges(ranges, interval)) yield elementsRequest(verb, table, name, elements, undefined)
}

/** The requests that remove keys from a set of the table, or add them; made as they are asked for. */
export function* keyRequests(
  verb: Verb,
  table: NftTableName,
  { name, type }: { readonly name: string; readonly type: readonly NftKeyType[] },
  keys: readonly NftKey[],
): Generator<NftRequest, void, void> {
  const only = keys.length === 1 ? keyText(keys[0]!) : undefined
  for (const portion of portions(keys)) {
    const elements = portion.map((key) => ({ key: { value: encodeKey(type, key) } }))
    yield elementsRequest(verb, table, name, elements, only)
  }
}

function* portions<T>(elements: readonly T[]): Generator<readonly T[], void, void> {
  for (let start = 0; start < elements.length; start += elementsPerMessage)
    yield elements.slice(start, start + elementsPerMessage)
}

/** `only` is the text of the only element, to tell it when it is refused. */
function elementsRequest(
  verb: Verb,
  { family, name: table }: NftTableName,
  set: string,
  elements: readonly ElementAttrs[],
  only: string | undefined,
): NftRequest {
  return {
    what: `nft ${verb} element ${family} ${table} ${set}${only === undefined ? '' : ` { ${only} }`}`,
    type: verb === 'add' ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
    flags: verb === 'add' ? NLM_F_CREATE : 0,
    payload: encodeNft(family, elementsCodec, { table, set, elements }),
  }
}

export function addChain(table: NftTableName, { name, hook, policy = 'accept' }: Omit<NftChain, 'rules'>): NftRequest {
  const base = hook && {
    hook: {
      number: hookNumbers[hook.hook],
      priority: hook.priority,
      ...(hook.device !== undefined && { device: hook.device }),
    },
    policy: policyNumbers[policy],
    type: hook.type,
  }
  return {
    what: `nft add chain ${table.family} ${table.name} ${name}`,
    type: NFT_MSG_NEWCHAIN,
    flags: NLM_F_CREATE,
    payload: encodeNft(table.family, chainCodec, { table: table.name, name, ...base }),
  }
}

/** Deletes a chain, which nothing may refer to any more, with its rules. */
export function deleteChain({ family, name: table }: NftTableName, name: string): NftRequest {
  const payload = encodeNft(family, chainCodec, { table, name })
  return { what: `nft delete chain ${family} ${table} ${name}`, type: NFT_MSG_DELCHAIN, flags: 0, payload }
}

/** Deletes all rules of a chain. */
export function flushChain({ family, name: table }: NftTableName, chain: string): NftRequest {
  const payload = encodeNft(family, ruleCodec, { table, chain })
  return { what: `nft flush chain ${family} ${table} ${chain}`, type: NFT_MSG_DELRULE, flags: 0, payload }
}

/** The requests that put a rule at the end of a chain, with the sets without names that belong to it. */
export function addRule(
  { family, name: table }: NftTableName,
  chain: string,
  rule: NftRule,
  ids: SetIds,
): NftRequest[] {
  const comment = commentOf(rule, family)
  const what = `nft add rule ${family} ${table} ${chain} "${comment}"`
  const requests: NftRequest[] = []
  const expressions = compileRule(rule, family, (set) => {
    const setId = ids.next()
    requests.push(...unnamedSet({ family, name: table }, set, setId, what))
    return { set: unnamed, setId }
  })
  requests.push({
    what,
    type: NFT_MSG_NEWRULE,
    flags: NLM_F_CREATE | NLM_F_APPEND,
    payload: encodeNft(family, ruleCodec, { table, chain, expressions, userdata: encodeComment(comment) }),
  })
  return requests
}

/** The kernel puts a number in the place of %d. */
const unnamed = '__set%d'

function unnamedSet({ family, name: table }: NftTableName, set: ValueSet, id: number, what: string): NftRequest[] {
  const { flags, keyType, keyLength, elements } = encodeValueSet(set)
  const attrs = { table, name: unnamed, flags, keyType, keyLength, description: { size: elements.length }, id }
  const request = (type: number, payload: Uint8Array): NftRequest => ({
    what,
    type,
    flags: NLM_F_CREATE,
    payload,
    belongsToNext: true,
  })
  return [
    request(NFT_MSG_NEWSET, encodeNft(family, setCodec, attrs)),
    ...[...portions(elements)].map((portion) =>
      request(
        NFT_MSG_NEWSETELEM,
        encodeNft(family, elementsCodec, { table, set: unnamed, elements: portion, setId: id }),
      ),
    ),
  ]
}

/** The requests in portions for transactions of their own. `isFull` says of a portion, and of its bytes, whether it is enough. */
export function* portionsOf(
  requests: Iterable<NftRequest>,
  isFull: (portion: readonly NftRequest[], bytes: number) => boolean,
): Generator<NftRequest[], void, void> {
  let portion: NftRequest[] = []
  let size = 0
  for (const request of requests) {
    portion.push(request)
    size += request.payload.length
    if (request.belongsToNext || !isFull(portion, size)) continue
    yield portion
    portion = []
    size = 0
  }
  if (portion.length > 0) yield portion
}
