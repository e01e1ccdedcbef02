import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { WireError } from '#/lib/bytes.ts'
import { encodeSocketRequest, isOpenConnection } from './sock-diag.ts'

test('a socket is asked for by both of its ends', () => {
  const payload = encodeSocketRequest({
    local: Addr.parse('10.244.1.2'),
    localPort: 4000,
    remote: Addr.parse('10.244.2.3'),
    remotePort: 80,
  })
  assert.equal(
    Buffer.from(payload).toString('hex'),
    // struct inet_diag_req_v2: AF_INET, TCP, any state, then struct inet_diag_sockid
    '02060000ffffffff' +
      '0fa00050' +
      '0af40102000000000000000000000000' +
      '0af40203000000000000000000000000' +
      '00000000ffffffffffffffff',
  )
})

test('a listener and a connection that is over or only begun are none that is open', () => {
  const open = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].filter((state) => isOpenConnection(Uint8Array.of(2, state)))
  // ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING
  assert.deepEqual(open, [1, 4, 5, 8, 9, 11])
  assert.throws(() => isOpenConnection(new Uint8Array(1)), WireError)
})
