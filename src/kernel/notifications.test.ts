import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Writer } from '#/lib/bytes.ts'
import { encodeMessage } from '#/wire/netlink/message.ts'
import { RTM_NEWADDR } from '#/wire/netlink/addr.ts'
import { decodeRouteNotification, readNotifications } from './notifications.ts'

function datagram(type: number, payload: Uint8Array): Uint8Array {
  const into = new Writer(64)
  encodeMessage({ type, flags: 0, payload }, 7, into)
  return into.toBytes()
}

const address = Uint8Array.of(2, 24, 0, 0, 9, 0, 0, 0)
const read = (bytes: Uint8Array) => readNotifications(bytes, decodeRouteNotification, new Set([4711]))

test('a notification is decoded', () => {
  assert.deepEqual(read(datagram(RTM_NEWADDR, address)), [{ kind: 'address', deviceIndex: 9 }])
})

test('a datagram that cannot be decoded counts as lost notifications and does not end the watch', () => {
  const whole = datagram(RTM_NEWADDR, address)
  assert.deepEqual(read(whole.subarray(0, 20)), [{ kind: 'lost' }])
  assert.deepEqual(read(datagram(RTM_NEWADDR, address.subarray(0, 3))), [{ kind: 'lost' }])
})
