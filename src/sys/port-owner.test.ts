import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { portOwner } from './port-owner.ts'

const self = `${readFileSync('/proc/self/comm', 'utf8').trim()} (process ${process.pid})`

for (const host of ['127.0.0.1', '::'])
  test(`the process that listens on a TCP port of ${host} is named as long as it does`, async () => {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    assert.equal(portOwner('tcp', port), self)
    assert.equal(portOwner('udp', port), undefined)
    server.close()
    await once(server, 'close')
    assert.equal(portOwner('tcp', port), undefined)
  })

test('so is one that receives on a UDP port', async () => {
  const socket = createSocket('udp6').bind(0)
  await once(socket, 'listening')
  assert.equal(portOwner('udp', socket.address().port), self)
  socket.close()
})
