import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { communityText, parseCommunity } from './index.ts'

test('communities as text', () => {
  for (const [text, community] of [
    ['65000:1', 65000 * 65536 + 1],
    ['0:0', 0],
    ['no-export', 0xffffff01],
    ['no-advertise', 0xffffff02],
    ['no-export-subconfed', 0xffffff03],
    ['graceful-shutdown', 0xffff0000],
    ['llgr-stale', 0xffff0006],
    ['no-llgr', 0xffff0007],
    ['blackhole', 0xffff029a],
    ['65000:1:2', [65000, 1, 2]],
    ['4294967295:0:4294967295', [4294967295, 0, 4294967295]],
  ] as const) {
    assert.deepEqual(parseCommunity(text), community)
    assert.equal(communityText(community), text)
  }
  assert.equal(parseCommunity('65535:666'), 0xffff029a)
  assert.equal(parseCommunity('NO-EXPORT'), 0xffffff01)
})

test('what is no community is refused', () => {
  const wrong = ['', '1', '65536:1', '1:65536', '1:2:3:4', '01:2', '1:', ':1', '-1:1', '1:4294967296:1', ' 1:2', '1:2 ']
  for (const text of [...wrong, 'no-such', 'constructor', '1e3:1']) assert.equal(parseCommunity(text), undefined, text)
})

test('every community is the same after it was text', () => {
  const anyU32 = fc.integer({ min: 0, max: 0xffffffff })
  fc.assert(
    fc.property(fc.oneof(anyU32, fc.tuple(anyU32, anyU32, anyU32)), (community) => {
      assert.deepEqual(parseCommunity(communityText(community)), community)
    }),
  )
})

test('any text is a community or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9:]{0,24}$/)), (text) => {
      const community = parseCommunity(text)
      if (community !== undefined) assert.deepEqual(parseCommunity(communityText(community)), community)
    }),
  )
})
