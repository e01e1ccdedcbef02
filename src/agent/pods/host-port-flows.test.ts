import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type HostPort } from '#/model/network.ts'
import { type Connection } from '#/wire/netlink/conntrack.ts'
import { isStale } from './host-port-flows.ts'

const port = (to: string, hostAddr?: string): HostPort => ({
  protocol: 'udp',
  port: 53,
  to: Addr.parse(to),
  toPort: 5353,
  ...(hostAddr !== undefined && { hostAddr: Addr.parse(hostAddr) }),
})
const flow = (answeredBy: string, more: Partial<Connection> = {}): Connection => ({
  protocol: 17,
  src: Addr.parse('192.0.2.9'),
  srcPort: 4000,
  dst: Addr.parse('192.0.2.1'),
  dstPort: 53,
  answeredBy: Addr.parse(answeredBy),
  isTranslated: true,
  ...more,
})

test('a flow is stale when it goes elsewhere than its port does now', () => {
  const now = [port('10.244.1.3')]
  assert.equal(isStale(flow('10.244.1.3'), now, []), false)
  assert.equal(isStale(flow('10.244.1.2'), now, []), true, 'to the pod that had the port before')
  assert.equal(isStale(flow('192.0.2.1'), now, []), true, 'to the node itself, from before there was a pod')
  assert.equal(isStale(flow('192.0.2.1', { dstPort: 54 }), now, []), false)
  assert.equal(isStale(flow('192.0.2.1', { protocol: 6 }), now, []), false)
  assert.equal(isStale(flow('192.0.2.1'), [port('10.244.1.3', '192.0.2.2')], []), false, 'the port of another address')
  assert.equal(isStale(flow('192.0.2.1'), [port('fd10::3')], []), false, 'the port of the other family')
})

test('when nobody has the port any more, only the flows to who had it are stale', () => {
  const former = [port('10.244.1.3')]
  assert.equal(isStale(flow('10.244.1.3'), [], former), true)
  assert.equal(isStale(flow('192.0.2.1'), [], former), false)
})
