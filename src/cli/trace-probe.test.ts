import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TracePair } from '#/api/schemas/trace-send.ts'
import { probeRequest } from './trace-probe.ts'

const pair: TracePair = { from: { addr: '10.244.0.2', node: 'node-1' }, to: { addr: '10.244.1.2', node: 'node-2' } }

test('to a DNS server a datagram is a query, not a response, so that it answers', () => {
  for (let times = 0; times < 64; times++) {
    const { cookie = '' } = probeRequest(pair, { protocol: 'udp', port: 53 })
    assert.equal(cookie.length, 16)
    // QR and OPCODE
    assert.equal(cookie.slice(4, 6), '00')
  }
})
