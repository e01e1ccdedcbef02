// For tests: a TCP port that is taken until it is given back, and that the kernel gives to nobody else meanwhile or afterwards.
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below net.ipv4.ip_local_port_range, from which connections and servers that ask for any port get theirs. */
const range = { first: 12_000, count: 18_000 }

export async function takenPort(): Promise<{ readonly port: number } & Disposable> {
  for (;;) {
    const port = range.first + Math.floor(Math.random() * range.count)
    const server = createServer()
    const outcome = Promise.race([once(server, 'listening'), once(server, 'error')])
    try {
      server.listen(port)
      await outcome
      if (server.listening) return { port, [Symbol.dispose]: () => void server.close() }
    } catch {
      // another one, then
    }
  }
}

export async function freePort(): Promise<number> {
  using taken = await takenPort()
  return taken.port
}
