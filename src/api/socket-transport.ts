// The transport over an agent's unix socket.
import { request as httpRequest } from 'node:http'
import { type AgentReply, type AgentRequest, type AgentTransport, versionIn } from './transport.ts'

/** How long an agent may send nothing, before its answer and within it. */
const silenceMs = 5000

async function send(socketPath: string, request: AgentRequest, signal: AbortSignal): Promise<AgentReply> {
  const { method, path, body } = request
  const { promise, resolve, reject } = Promise.withResolvers<AgentReply>()
  // a new connection for each request: a kept connection may lead to an agent that has been killed since
  const options = { socketPath, path, method, signal, timeout: silenceMs, agent: false } as const
  const call = httpRequest(options, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => {
      const version = versionIn(response.headers.server)
      const text = Buffer.concat(chunks).toString()
      resolve({ status: response.statusCode ?? 0, text, ...(version !== undefined && { version }) })
    })
    response.on('error', reject)
  })
  call.on('timeout', () => call.destroy(new Error(`no answer within ${silenceMs} ms`)))
  call.on('error', reject)
  call.end(body)
  return promise
}

export function socketTransport(socketPath: string): AgentTransport {
  return { place: socketPath, send: async (request, signal) => send(socketPath, request, signal) }
}
