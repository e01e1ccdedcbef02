import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type RouteMatch, type RoutePolicy } from '#/model/bgp.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { type PathAttributes } from '#/wire/bgp/values.ts'
import { applyChanges, Policy } from './policy.ts'
import { PrefixSet } from './prefix-set.ts'

const plain: PathAttributes = { origin: 0, asPath: [{ kind: 'sequence', asns: [65_001, 65_002] }] }

function accepts(match: RouteMatch, prefix: string, attributes: PathAttributes = plain): boolean {
  const policy: RoutePolicy = { rules: [{ match, action: 'accept' }], otherwise: 'reject' }
  const parsed = Prefix.parse(prefix)
  return new Policy(policy, parsed.family).decide(nlriOf(parsed), attributes).isAccepted
}

test('the first rule that matches decides', () => {
  const policy: RoutePolicy = {
    rules: [
      { name: 'ours', match: { originAsn: 65_002 }, action: 'accept', set: { med: 1 } },
      { match: { firstAsn: 65_001 }, action: 'reject' },
    ],
    otherwise: 'accept',
  }
  const decided = (attributes: PathAttributes) =>
    new Policy(policy, 4).decide(nlriOf(Prefix.parse('10.0.0.0/8')), attributes)
  assert.deepEqual(decided(plain), {
    isAccepted: true,
    hasPrefixes: false,
    isGrant: false,
    text: 'rule "ours" accepts it',
    set: { med: 1 },
  })
  assert.equal(decided({ ...plain, asPath: [{ kind: 'sequence', asns: [65_001] }] }).text, 'rule 2 rejects it')
  assert.equal(decided({ ...plain, asPath: [] }).text, 'no rule matches, and others are accepted')
})

test('what routes have in common is decided once, and told apart where prefixes matter', () => {
  const policy = new Policy(
    {
      rules: [{ match: { prefixes: [{ prefix: Prefix.parse('10.0.0.0/8') }] }, action: 'accept' }],
      otherwise: 'reject',
    },
    4,
  )
  assert.equal(policy.decide(nlriOf(Prefix.parse('10.0.0.0/8')), plain).isAccepted, true)
  assert.equal(policy.decide(nlriOf(Prefix.parse('11.0.0.0/8')), plain).isAccepted, false)
  const byOrigin = new Policy({ rules: [{ match: { originAsn: 65_002 }, action: 'accept' }], otherwise: 'reject' }, 4)
  const [one, other] = ['10.0.0.0/8', '11.0.0.0/8'].map((text) => byOrigin.decide(nlriOf(Prefix.parse(text)), plain))
  assert.equal(one, other)
  assert.equal(byOrigin.decide(nlriOf(Prefix.parse('10.0.0.0/8')), { ...plain, asPath: [] }).isAccepted, false)
})

test('a listed prefix is that very one, unless lengths are given', () => {
  const prefix = Prefix.parse('10.1.0.0/16')
  assert.equal(accepts({ prefixes: [{ prefix }] }, '10.1.0.0/16'), true)
  assert.equal(accepts({ prefixes: [{ prefix }] }, '10.1.1.0/24'), false)
  assert.equal(accepts({ prefixes: [{ prefix, maxLength: 24 }] }, '10.1.1.0/24'), true)
  assert.equal(accepts({ prefixes: [{ prefix, maxLength: 24 }] }, '10.1.1.0/25'), false)
  assert.equal(accepts({ prefixes: [{ prefix, minLength: 24, maxLength: 24 }] }, '10.1.0.0/16'), false)
  assert.equal(accepts({ prefixes: [{ prefix, maxLength: 32 }] }, '10.2.1.0/24'), false)
})

test('the default route matches by itself, and everything when lengths are given', () => {
  const prefix = Prefix.parse('0.0.0.0/0')
  assert.equal(accepts({ prefixes: [{ prefix }] }, '0.0.0.0/0'), true)
  assert.equal(accepts({ prefixes: [{ prefix }] }, '10.0.0.0/8'), false)
  assert.equal(accepts({ prefixes: [{ prefix, maxLength: 32 }] }, '10.1.2.3/32'), true)
  assert.equal(accepts({ prefixes: [{ prefix, maxLength: 32 }] }, '::/0'), false)
})

test('a list of no prefixes matches none', () => {
  assert.equal(accepts({ prefixes: [] }, '10.0.0.0/8'), false)
})

test('all communities of a list must be there', () => {
  const attributes = { ...plain, communities: [0xfde8_0001], largeCommunities: [[65_000, 1, 2] as const] }
  assert.equal(accepts({ communities: ['65000:1'] }, '10.0.0.0/8', attributes), true)
  assert.equal(accepts({ communities: ['65000:1', '65000:1:2'] }, '10.0.0.0/8', attributes), true)
  assert.equal(accepts({ communities: ['65000:1', '65000:2'] }, '10.0.0.0/8', attributes), false)
  assert.equal(accepts({ communities: ['65000:1:3'] }, '10.0.0.0/8', attributes), false)
  assert.equal(accepts({ communities: ['no-export'] }, '10.0.0.0/8', { ...plain, communities: [0xffff_ff01] }), true)
})

test('a community that is none matches nothing', () => {
  assert.equal(accepts({ communities: ['65000'] }, '10.0.0.0/8'), false)
})

test('what a rule sets', () => {
  const set = {
    localPreference: 50,
    med: 9,
    prependTimes: 2,
    addCommunities: ['65000:1', 'no-export', '65000:1:2'],
    removeCommunities: ['65000:7', '65000:7:7'],
  }
  const given: PathAttributes = {
    ...plain,
    med: 1,
    communities: [0xfde8_0007, 0xfde8_0008],
    largeCommunities: [[65_000, 7, 7]],
  }
  assert.deepEqual(applyChanges(given, set, 65_000), {
    origin: 0,
    asPath: [{ kind: 'sequence', asns: [65_000, 65_000, 65_001, 65_002] }],
    localPreference: 50,
    med: 9,
    communities: [0xfde8_0001, 0xfde8_0008, 0xffff_ff01],
    largeCommunities: [[65_000, 1, 2]],
  })
  assert.deepEqual(
    applyChanges(
      { ...plain, communities: [0xfde8_0007] },
      set.removeCommunities && { removeCommunities: ['65000:7'] },
      1,
    ),
    plain,
  )
  assert.equal(applyChanges(given, undefined, 1), given)
})

test('prepending goes before a set, and never into a segment that is full', () => {
  const full = Array.from({ length: 255 }, () => 1)
  assert.deepEqual(applyChanges({ origin: 0, asPath: [{ kind: 'set', asns: [1] }] }, { prependTimes: 1 }, 2).asPath, [
    { kind: 'sequence', asns: [2] },
    { kind: 'set', asns: [1] },
  ])
  assert.deepEqual(
    applyChanges({ origin: 0, asPath: [{ kind: 'sequence', asns: full }] }, { prependTimes: 1 }, 2).asPath,
    [
      { kind: 'sequence', asns: [2] },
      { kind: 'sequence', asns: full },
    ],
  )
})

const prefixArb = fc.constantFrom<Family>(4, 6).chain((family) => {
  const bits = family === 4 ? 32 : 128
  // few bits differ, so that prefixes contain each other
  return fc
    .record({
      value: fc.bigInt(0n, 15n),
      shift: fc.constantFrom(0, bits - 4, bits - 13),
      length: fc.integer({ min: 0, max: bits }),
    })
    .map(({ value, shift, length }) => new Prefix(new Addr(family, value << BigInt(shift)), length))
})

test('a prefix set says what looking at each of its prefixes says', () => {
  const listed = fc.record(
    { prefix: prefixArb, minLength: fc.integer({ min: 0, max: 128 }), maxLength: fc.integer({ min: 0, max: 128 }) },
    { requiredKeys: ['prefix'] },
  )
  fc.assert(
    fc.property(fc.array(listed, { maxLength: 6 }), prefixArb, (prefixes, asked) => {
      const expected = prefixes.some(
        ({ prefix, minLength = prefix.length, maxLength = prefix.length }) =>
          prefix.contains(asked) && asked.length >= minLength && asked.length <= maxLength,
      )
      assert.equal(new PrefixSet(prefixes, asked.family).matches(nlriOf(asked)), expected)
    }),
    { numRuns: 2000 },
  )
})
