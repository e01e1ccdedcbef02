// Packets that are lost on the wire between two nodes: some, all, or those of full size.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onWire, packetOf, told, wholePacket } from './testing/answers.ts'
import { findingsOf, short } from './testing/findings.ts'

test('a packet that is answered when it is sent again tells of a way that loses some', () => {
  const again = wholePacket('node-1', 'node-2')
  assert.deepEqual(findingsOf([], [onWire('node-1', 'node-2'), again]).map(short), [['CW8102 way/node-1 to node-2', 1]])
  // what else is lost between the two, of either family and size, is of the same cause
  const large = packetOf('node-2', 'node-1', { text: 'lost; a small packet is answered, one of 1450 bytes is not' })
  const other = { ...onWire('node-1', 'node-2'), family: 6 } as const
  assert.deepEqual(findingsOf([], [onWire('node-1', 'node-2'), again, other, large]).map(short), [
    ['CW8102 way/node-1 to node-2', 1],
  ])
  const lossy = told('CW8102', 'node/node-2')
  const narrow = told('CW8101', 'node/node-2')
  assert.deepEqual(findingsOf([['node-1', lossy, narrow]], [onWire('node-1', 'node-2'), again]).map(short), [
    ['CW8102 node/node-2', 2],
  ])
})

test('a wire loses packets of both families, whichever of them agents have counted first', () => {
  const lossy = told('CW8102', 'node/node-2', 'node-2: its address 172.30.1.12 did not answer 6 of 60 probes')
  const lost = { ...onWire('node-1', 'node-2'), family: 6 as const }
  const again = { ...wholePacket('node-1', 'node-2'), family: 6 as const }
  assert.deepEqual(findingsOf([['node-1', lossy]], [lost]).map(short), [['CW8102 node/node-2', 1]])
  assert.deepEqual(findingsOf([['node-1', lossy]], [lost, again]).map(short), [['CW8102 node/node-2', 1]])
})

test('a way that carries small packets alone is narrow, and loses none by chance', () => {
  const { fullBytes: _, ...small } = wholePacket('node-1', 'node-2')
  const large = onWire('node-1', 'node-2', { text: 'lost; a small packet is answered, one of 1450 bytes is not' })
  assert.deepEqual(findingsOf([], [small, large]).map(short), [['CW8101 way/node-1 to node-2', 0]])
  // one as large is answered the next time
  const again = { ...small, fullBytes: 1450 }
  assert.deepEqual(findingsOf([], [large, again]).map(short), [['CW8102 way/node-1 to node-2', 1]])
})
