// One end of a transfer over TCP; prints the digest of all bytes. Usage: receive ADDRESS | send ADDRESS BYTES
import { createHash, randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { once } from 'node:events'

const port = 9000
const hash = createHash('sha256')

async function receive(host: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }).listen({ host, port })
  const [socket] = (await once(server, 'connection')) as [Socket]
  for await (const chunk of socket) hash.update(chunk as Buffer)
  // only now the other end says what it has sent
  socket.end()
  server.close()
}

/** The other end may be only just starting. */
async function connected(host: string): Promise<Socket> {
  for (let tries = 0; ; tries++) {
    const socket = connect({ host, port })
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      if (tries === 100) throw error
      await sleep(100)
    }
  }
}

async function send(host: string, bytes: number): Promise<void> {
  const socket = await connected(host)
  for (let left = bytes; left > 0; left -= 65_536) {
    const chunk = randomBytes(Math.min(left, 65_536))
    hash.update(chunk)
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.end()
  socket.resume()
  await once(socket, 'end')
}

async function main(role: string, host: string, bytes = '0'): Promise<void> {
  await (role === 'send' ? send(host, Number(bytes)) : receive(host))
  process.stdout.write(hash.digest('hex'))
}

await main(...(process.argv.slice(2) as [string, string, string?]))
