import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeNotification, hardReset, type Notification, notificationText, shutdownNotification } from './index.ts'
import { bytesOf, framed, readAll } from './testing/messages.ts'

const of = (code: number, subcode: number, data = ''): Notification => ({ code, subcode, data: bytesOf(data) })

test('every code that has a name', () => {
  for (const [code, subcode, text] of [
    [1, 1, 'Message Header Error/Connection Not Synchronized'],
    [1, 2, 'Message Header Error/Bad Message Length'],
    [1, 3, 'Message Header Error/Bad Message Type'],
    [2, 0, 'OPEN Message Error'],
    [2, 1, 'OPEN Message Error/Unsupported Version Number'],
    [2, 2, 'OPEN Message Error/Bad Peer AS'],
    [2, 6, 'OPEN Message Error/Unacceptable Hold Time'],
    [2, 7, 'OPEN Message Error/Unsupported Capability'],
    [3, 1, 'UPDATE Message Error/Malformed Attribute List'],
    [3, 11, 'UPDATE Message Error/Malformed AS_PATH'],
    [4, 0, 'Hold Timer Expired'],
    [5, 2, 'Finite State Machine Error/Receive Unexpected Message in OpenConfirm State'],
    [6, 1, 'Cease/Maximum Number of Prefixes Reached'],
    [6, 7, 'Cease/Connection Collision Resolution'],
    [6, 9, 'Cease/Hard Reset'],
    [6, 10, 'Cease/BFD Down'],
    [6, 99, 'Cease/99'],
    [7, 1, 'ROUTE-REFRESH Message Error/Invalid Message Length'],
    [8, 0, 'Send Hold Timer Expired'],
    [99, 3, 'NOTIFICATION 99/3'],
  ] as const) {
    assert.equal(notificationText(of(code, subcode)), text)
  }
})

test('the reason of a shutdown is read and written (RFC 9003)', () => {
  assert.equal(notificationText(of(6, 2, '05 68656c6c6f')), 'Cease/Administrative Shutdown: "hello"')
  assert.equal(notificationText(of(6, 4, '02 c3a9')), 'Cease/Administrative Reset: "é"')
  assert.deepEqual(shutdownNotification(2, 'hello'), {
    code: 6,
    subcode: 2,
    data: Uint8Array.from(bytesOf('05 68656c6c6f')),
  })
  const long = shutdownNotification(4, 'é'.repeat(200))
  assert.equal(long.data.length, 1 + 254)
  assert.equal(notificationText(long), `Cease/Administrative Reset: "${'é'.repeat(127)}"`)
})

test('a reason that is no text does no harm', () => {
  assert.equal(notificationText(of(6, 2, '')), 'Cease/Administrative Shutdown')
  assert.equal(notificationText(of(6, 2, '00')), 'Cease/Administrative Shutdown')
  assert.equal(notificationText(of(6, 2, '03 6865')), 'Cease/Administrative Shutdown')
  assert.equal(notificationText(of(6, 2, '05 6865')), 'Cease/Administrative Shutdown')
  assert.equal(notificationText(of(6, 2, '04 ff0a1b22')), 'Cease/Administrative Shutdown: "\uFFFD\uFFFD\uFFFD\uFFFD"')
})

test('a hard reset says what it is for (RFC 8538)', () => {
  const notification = hardReset(shutdownNotification(2, 'maintenance'))
  assert.deepEqual([...notification.data.subarray(0, 3)], [6, 2, 11])
  assert.equal(notificationText(notification), 'Cease/Hard Reset (Cease/Administrative Shutdown: "maintenance")')
  assert.equal(notificationText(hardReset(notification)), 'Cease/Hard Reset (Cease/Hard Reset)')
})

test('any NOTIFICATION is one line of text, and the same after it was sent', () => {
  const anyNotification = fc.record(
    {
      code: fc.oneof(fc.nat(9), fc.nat(255)),
      subcode: fc.oneof(fc.nat(11), fc.nat(255)),
      data: fc.uint8Array({ maxLength: 300 }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(anyNotification, (notification) => {
      assert.match(notificationText(notification), /^\P{Cc}+$/u)
      assert.deepEqual(readAll(encodeNotification(notification)), {
        messages: [{ kind: 'notification', notification }],
      })
    }),
  )
})

test('data that no message can hold is cut', () => {
  const bytes = encodeNotification({ code: 3, subcode: 1, data: new Uint8Array(5000) })
  assert.deepEqual(Buffer.from(bytes), framed(3, Buffer.concat([Buffer.of(3, 1), Buffer.alloc(4075)])))
})
