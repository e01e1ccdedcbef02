// One end of a transfer over TCP; prints how many bytes it was, and their digest. Usage: receive ADDRESS | send ADDRESS [BYTES]
// Without a number it sends a few bytes every moment, until its input ends.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const port = 9000
const hash = createHash('sha256')
let count = 0

function note(chunk: Buffer): void {
  hash.update(chunk)
  count += chunk.length
}

async function receive(host: string): Promise<void> {
  const server = createServer({ allowHalfOpen: true }).listen({ host, port })
  const [socket] = (await once(server, 'connection')) as [Socket]
  for await (const chunk of socket) note(chunk as Buffer)
  // by this the sender knows that all has arrived
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
  const enough = new AbortController()
  if (bytes === Infinity) process.stdin.on('end', () => enough.abort()).resume()
  const chunkBytes = bytes === Infinity ? 3000 : 65_536
  while (count < bytes && !enough.signal.aborted) {
    const chunk = randomBytes(Math.min(bytes - count, chunkBytes))
    note(chunk)
    if (!socket.write(chunk)) await once(socket, 'drain')
    if (bytes === Infinity) await sleep(50)
  }
  socket.end()
  socket.resume()
  await once(socket, 'end')
  process.stdin.unref()
}

const [role, host, bytes = 'Infinity'] = process.argv.slice(2) as [string, string, string?]
await (role === 'send' ? send(host, Number(bytes)) : receive(host))
process.stdout.write(`${count} bytes, ${hash.digest('hex')}`)
