import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { WireError } from '#/lib/bytes.ts'
import { decodeChain, decodeElements, decodeRule, decodeSet, decodeUnnamedSet, type NftActual } from './actual.ts'
import { differences, nftChange, sameTable } from './compare.ts'
import {
  decodeNft,
  setCodec,
  type ElementAttrs,
  decodeComment,
  encodeComment,
  encodeNft,
  NFT_MSG_NEWGEN,
  nftTableOf,
  tableCodec,
} from './messages.ts'
import { ruleCounter } from './counters.ts'
import { bridgeTable, policyTable } from './testing/policy-tables.ts'
import { everything, netdev, small } from './testing/tables.ts'
import { type NftRequest } from './requests.ts'
import { replaceRequests } from './transaction.ts'
import { NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM } from './messages.ts'
import { type NftTable } from './ruleset.ts'

/** The table as a kernel would have it that dumps just what it was sent. */
function echo(table: NftTable): NftActual {
  const requests = replaceRequests(table)
  const payloads = (type: number, of: readonly NftRequest[] = requests): Uint8Array[] =>
    of.filter((request) => request.type === type).map(({ payload }) => payload)
  const elementsOf = (set: string): ElementAttrs[] =>
    payloads(
      NFT_MSG_NEWSETELEM,
      requests.filter(({ what }) => what.endsWith(` ${set}`)),
    ).flatMap(decodeElements)
  const rules = payloads(NFT_MSG_NEWRULE).map((payload) => decodeRule(payload))
  return {
    family: table.family,
    name: table.name,
    flags: 0,
    sets: payloads(NFT_MSG_NEWSET).map((payload) =>
      decodeSet(payload, elementsOf(decodeNft(payload, setCodec).name ?? '')),
    ),
    chains: payloads(NFT_MSG_NEWCHAIN)
      .map(decodeChain)
      .map((chain) => ({ ...chain, rules: rules.filter((rule) => rule.chain === chain.name) })),
  }
}

describe('a table as messages', () => {
  for (const table of [everything, netdev, small]) {
    test(`${table.family} with ${table.chains.length} chains says all that is to be compared`, () => {
      assert.deepEqual(differences(table, echo(table)), [])
      assert.ok(sameTable(table, echo(table)))
    })
  }

  test('differs from no table, and from one with another rule', () => {
    assert.deepEqual(differences(small, undefined), ['table inet causeway-test missing'])
    assert.equal(nftChange(small, undefined).kind, 'replace')
    assert.equal(sameTable(small, echo({ ...small, chains: small.chains.slice(1) })), false)
  })

  test('many different elements are reported in few lines', () => {
    const set = { ...small.sets[2]!, elements: [] }
    const actual = echo(small)
    const many = Array.from({ length: 20 }, (_, index) => actual.sets[2]!.ranges![0]!.first.plus(index + 5))
    const desired = { ...small, sets: [...small.sets.slice(0, 2), { ...set, elements: many }] }
    const lines = differences(desired, actual)
    assert.equal(lines.length, 8 + 1 + 2)
    assert.equal(lines[8], 'set nodes4 lacks 12 more')
  })
})

describe('comments', () => {
  test('stand in user data as libnftnl writes them', () => {
    // captured from: nft add rule ... comment "pk"
    assert.deepEqual([...encodeComment('pk')], [0, 3, 0x70, 0x6b, 0])
    assert.equal(decodeComment(Uint8Array.of(7, 1, 9, 0, 3, 0x70, 0x6b, 0)), 'pk')
    assert.equal(decodeComment(Uint8Array.of(0, 30, 0x70)), undefined)
    assert.equal(decodeComment(new Uint8Array()), undefined)
  })
})

describe('nftTableOf', () => {
  test('knows the table, and that a generation has none', () => {
    const payload = encodeNft('netdev', tableCodec, { name: 'causeway' })
    assert.deepEqual(nftTableOf({ type: NFT_MSG_NEWRULE, payload }), { family: 'netdev', name: 'causeway' })
    assert.equal(nftTableOf({ type: NFT_MSG_NEWGEN, payload }), undefined)
    assert.equal(nftTableOf({ type: 0x0100, payload }), undefined)
  })
})

describe('bytes from outside', () => {
  const payloads = [everything, netdev, policyTable, bridgeTable].flatMap(replaceRequests).map(({ payload }) => payload)
  const damaged = fc
    .tuple(fc.constantFrom(...payloads), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat())
    .map(([payload, changes, cut]) => {
      const bytes = payload.slice(0, cut % 3 === 0 ? cut % (payload.length + 1) : payload.length)
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value
      return bytes
    })

  test('give a value or a WireError, whatever they are', () => {
    const decoders: ((bytes: Uint8Array) => unknown)[] = [
      decodeChain,
      (bytes) => decodeRule(bytes, new Map([['__set%d', 'x']])),
      ruleCounter,
      (bytes) => decodeUnnamedSet(bytes, decodeElements(bytes)),
      decodeElements,
      (bytes) => decodeSet(bytes, decodeElements(bytes)),
      (bytes) => nftTableOf({ type: NFT_MSG_NEWRULE, payload: bytes }),
      decodeComment,
    ]
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged), (bytes) => {
        for (const decode of decoders) {
          try {
            decode(bytes)
          } catch (error) {
            if (!(error instanceof WireError)) throw error
          }
        }
      }),
      { numRuns: 2000 },
    )
  })
})
