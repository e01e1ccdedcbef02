import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type PeerSet } from '#/policy/form.ts'
import { Kinds } from './kinds.ts'

const addr = Addr.parse('10.244.2.20')
const pods = (id: string): PeerSet => ({ kind: 'pods', id, match: undefined as never })
const setsAt = (kinds: Kinds, of: Addr | Prefix): string[] => [
  ...(kinds.kindOf(of instanceof Addr ? Prefix.host(of) : of)?.sets ?? []),
]

test('a set that went and came back can be left again', () => {
  const kinds = new Kinds()
  kinds.addSet(pods('a'), [addr])
  kinds.settle()
  kinds.removeSets(new Set(['a']), new Set())
  assert.deepEqual(kinds.settle().removed, [Prefix.host(addr)])
  kinds.addSet(pods('a'), [addr])
  kinds.settle()
  assert.deepEqual(setsAt(kinds, addr), ['a'])
  kinds.removeMember('a', addr)
  assert.deepEqual(kinds.settle().removed, [Prefix.host(addr)])
  assert.equal(kinds.kindOf(Prefix.host(addr)), undefined)
})

test('a pod is in the blocks around it too, and a block of one address is where that address is', () => {
  const kinds = new Kinds()
  const [wide, narrow] = ['10.0.0.0/8', '10.244.2.20/32'].map((text) => Prefix.parse(text))
  kinds.addSet(pods('a'), [addr])
  kinds.addSet({ kind: 'blocks', id: 'wide', prefixes: [wide!] }, [])
  kinds.addSet({ kind: 'blocks', id: 'narrow', prefixes: [narrow!] }, [])
  kinds.settle()
  assert.deepEqual(setsAt(kinds, addr).sort(), ['a', 'narrow', 'wide'])
  assert.deepEqual(setsAt(kinds, wide!), ['wide'])
  assert.equal(kinds.size, 2)
  kinds.removeMember('a', addr)
  kinds.settle()
  assert.deepEqual(setsAt(kinds, addr).sort(), ['narrow', 'wide'])
  kinds.removeBlocks('narrow', [narrow!])
  assert.deepEqual(kinds.settle().removed, [narrow])
  kinds.removeBlocks('wide', [wide!])
  kinds.settle()
  assert.equal(kinds.size, 0)
})

test('addresses in the same sets are of one kind, and a kind that none is of is retired', () => {
  const kinds = new Kinds()
  const others = ['10.244.2.21', 'fd00::1'].map((text) => Addr.parse(text))
  kinds.addSet(pods('a'), [addr, ...others])
  assert.equal(kinds.settle().born.length, 1)
  kinds.addMember('b', addr)
  const { born, retired } = kinds.settle()
  assert.deepEqual([born.length, retired.length], [1, 0])
  for (const each of others) kinds.removeMember('a', each)
  assert.equal(kinds.settle().retired.length, 1)
})
