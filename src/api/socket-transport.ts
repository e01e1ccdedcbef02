// The transport over an agent's unix socket.
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { createInterface } from 'node:readline'
import { text as textOf } from 'node:stream/consumers'
import { type AgentReply, type AgentRequest, type AgentStream, type AgentTransport, versionIn } from './transport.ts'

/** How long an agent may send nothing, before its answer and within it. */
const silenceMs = 5000

/** Sends the request; resolves when the head of the answer has come. */
async function begin(socketPath: string, request: AgentRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const { method, path, body } = request
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  // a new connection for each request: a kept connection may lead to an agent that has been killed since
  const options = { socketPath, path, method, signal, timeout: silenceMs, agent: false } as const
  const call = httpRequest(options, (response) => {
    // an error after the head is the response's too, and told there
    call.removeListener('error', reject)
    call.on('error', () => {})
    resolve(response)
  })
  call.on('timeout', () => call.destroy(new Error(`no answer within ${silenceMs} ms`)))
  call.on('error', reject)
  call.end(body)
  return promise
}

function headOf(response: IncomingMessage): Omit<AgentReply, 'text'> {
  const version = versionIn(response.headers.server)
  return { status: response.statusCode ?? 0, ...(version !== undefined && { version }) }
}

async function send(socketPath: string, request: AgentRequest, signal: AbortSignal): Promise<AgentReply> {
  const response = await begin(socketPath, request, signal)
  return { ...headOf(response), text: await textOf(response) }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void, void> {
  for await (const line of createInterface({ input: response, crlfDelay: Infinity })) if (line !== '') yield line
  // a line reader ends in the same way when the connection was cut
  if (!response.complete) throw new Error('the agent has ended, or was cut off')
}

async function open(socketPath: string, request: AgentRequest, signal: AbortSignal): Promise<AgentStream> {
  const response = await begin(socketPath, request, signal)
  return { ...headOf(response), lines: linesOf(response) }
}

export function socketTransport(socketPath: string): AgentTransport {
  return {
    place: socketPath,
    send: async (request, signal) => send(socketPath, request, signal),
    open: async (request, signal) => open(socketPath, request, signal),
  }
}
