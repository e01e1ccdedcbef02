import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { EndedConnections, type Ends } from './ended-connections.ts'

const ends = (srcPort: number): Ends => ({
  src: Addr.parse('10.244.1.2'),
  srcPort,
  dst: Addr.parse('10.244.2.2'),
  dstPort: 80,
})

test('a connection is remembered for an hour, in either direction', () => {
  let nowMs = 0
  const ended = new EndedConnections(() => nowMs)
  ended.add(ends(1000))
  const { src, srcPort, dst, dstPort } = ends(1000)
  assert.ok(ended.mayHave({ src: dst, srcPort: dstPort, dst: src, dstPort: srcPort }))
  assert.ok(!ended.mayHave(ends(1001)))
  nowMs = 3_600_001
  assert.ok(!ended.mayHave(ends(1000)))
})

test('when more were ended than are remembered, any may have been', () => {
  let nowMs = 0
  const ended = new EndedConnections(() => nowMs)
  for (let port = 0; port <= 50_000; port++) ended.add(ends(port))
  assert.ok(ended.mayHave(ends(60_000)))
  nowMs = 3_600_001
  assert.ok(!ended.mayHave(ends(60_000)))
})
