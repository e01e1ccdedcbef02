// The Kubernetes API of a benchmark, as a process of its own: the lab's API server, and a relay in the agent's namespace
// through which the agent reaches it. The relay can hold back what the API sends: thousands of nodes are then made in peace,
// and arrive at once when it lets go. Commands come over the IPC channel; the process ends with it.
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type IncomingMessage } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { ensureCertificates } from '#/lab/api/certificates.ts'
import { writeKubeconfig } from '#/lab/api/kubeconfig.ts'
import { ApiServer } from '#/lab/api/server.ts'
import { createLogger } from '#/lib/log.ts'
import { Netns } from '#/sys/netns.ts'
import { tcpListener } from '#/sys/socket.ts'
import { monotonicMs } from './clock.ts'

export type ApiSettings = {
  readonly dir: string
  /** For whoever runs where this process runs. */
  readonly kubeconfig: string
  /** The namespace that gets the relay, and the kubeconfig for use in there. */
  readonly netnsPath: string
  readonly nodeKubeconfig: string
}

export type ApiCommand = 'hold' | 'release' | 'counts'
/** `requests` counts those answered, by method. */
export type ApiAnswer = { readonly atMs: number; readonly requests: Readonly<Record<string, number>> }

const relayPort = 6443
const token = 'benchmark'

class Relay {
  readonly #apiPort: number
  readonly #upstreams = new Set<Socket>()
  #isHeld = false

  constructor(apiPort: number) {
    this.#apiPort = apiPort
  }

  async listen(netnsPath: string): Promise<void> {
    using netns = new Netns(netnsPath)
    const server = createServer((client) => this.#join(client))
    server.listen({ fd: netns.run(() => tcpListener(4, relayPort)) })
    await once(server, 'listening')
  }

  #join(client: Socket): void {
    const upstream = connect(this.#apiPort, '127.0.0.1')
    this.#upstreams.add(upstream)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.setNoDelay(true)
      socket.on('error', () => other.destroy())
      socket.on('close', () => other.destroy())
    }
    upstream.on('close', () => this.#upstreams.delete(upstream))
    client.on('data', (chunk: Buffer) => upstream.write(chunk))
    upstream.on('data', (chunk: Buffer) => {
      // the client reads more slowly than the API sends: as a pipe, but one that `hold` does not have to share
      if (!client.write(chunk)) upstream.pause()
    })
    client.on('drain', () => {
      if (!this.#isHeld) upstream.resume()
    })
  }

  hold(): void {
    this.#isHeld = true
    for (const upstream of this.#upstreams) upstream.pause()
  }

  release(): void {
    this.#isHeld = false
    for (const upstream of this.#upstreams) upstream.resume()
  }
}

const { dir, kubeconfig, netnsPath, nodeKubeconfig } = JSON.parse(process.argv[2] ?? '') as ApiSettings
const requests: Record<string, number> = {}
subscribe('http.server.response.finish', (message) => {
  const { method = '' } = (message as { request: IncomingMessage }).request
  requests[method] = (requests[method] ?? 0) + 1
})
const certificates = ensureCertificates(join(dir, 'pki'), { dnsNames: ['localhost'], addresses: ['127.0.0.1'] })
const server = new ApiServer({
  stateDir: join(dir, 'store'),
  tokens: new Map([[token, { user: 'admin', groups: ['system:masters'] }]]),
  tls: certificates,
  log: createLogger({ level: 'warn', write: (line) => console.error(line), now: () => new Date().toISOString() }),
})
const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
const relay = new Relay(port)
await relay.listen(netnsPath)
for (const [path, served] of [
  [kubeconfig, port],
  [nodeKubeconfig, relayPort],
] as const) {
  writeKubeconfig(path, { server: `https://127.0.0.1:${served}`, ca: certificates.ca, token, name: 'benchmark' })
}
process.on('message', (command: ApiCommand) => {
  if (command === 'hold') relay.hold()
  if (command === 'release') relay.release()
  process.send!({ atMs: monotonicMs(), requests } satisfies ApiAnswer)
})
process.on('disconnect', () => process.exit())
process.send!('ready')
