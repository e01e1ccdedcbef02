// The transport over any connection to an agent that carries bytes both ways: HTTP, one request for each connection.
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { type Duplex } from 'node:stream'
import { type AgentReply, type AgentRequest, type AgentStream, type AgentTransport, versionIn } from './transport.ts'

/** Makes a connection, which may still be on its way; it must have the method `setTimeout` of sockets. */
export type Connect = (signal: AbortSignal) => Promise<Duplex>

/** How long an agent of this machine may send nothing, before its answer and within it. */
const nearSilenceMs = 5000

/** The limits of what is kept in memory, of a whole answer and of a line of one that goes on. */
const maxAnswerBytes = 256 << 20
const maxLineChars = 16 << 20

type Way = { readonly connect: Connect; readonly silenceMs: number }

/** Sends the request; resolves when the head of the answer has come. */
async function begin(
  { connect, silenceMs }: Way,
  request: AgentRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { method, path, body } = request
  // a new connection for each request: a kept one may lead to an agent that has been killed since
  const connection = await connect(signal)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const call = httpRequest({ path, method, signal, createConnection: () => connection }, (response) => {
    // an error after the head is the response's too, and told there
    call.removeListener('error', reject)
    call.on('error', () => {})
    // nothing waits for the other side to end a connection of which all has come
    response.once('close', () => connection.destroy())
    resolve(response)
  })
  call.setTimeout(silenceMs, () => call.destroy(new Error(`no answer within ${silenceMs / 1000} s`)))
  call.on('error', reject)
  call.end(body)
  return promise
}

function headOf(response: IncomingMessage): Omit<AgentReply, 'text'> {
  const version = versionIn(response.headers.server)
  return { status: response.statusCode ?? 0, ...(version !== undefined && { version }) }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    // leaving the loop destroys the response and with it the connection
    if (bytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void, void> {
  let rest = ''
  response.setEncoding('utf8')
  for await (const text of response as AsyncIterable<string>) {
    const [first = '', ...others] = text.split('\n')
    const last = others.pop()
    rest += first
    if (rest.length > maxLineChars) throw new Error(`a line of the answer is longer than ${maxLineChars} characters`)
    if (last === undefined) continue
    for (const line of [rest, ...others]) if (line !== '') yield line
    rest = last
  }
  if (rest !== '') yield rest
}

/** `silenceMs` is how long the agent may send nothing, before its answer and within it. */
export function httpTransport(place: string, connect: Connect, silenceMs = nearSilenceMs): AgentTransport {
  const way = { connect, silenceMs }
  return {
    place,
    send: async (request, signal) => {
      const response = await begin(way, request, signal)
      return { ...headOf(response), text: await textOf(response) }
    },
    open: async (request, signal): Promise<AgentStream> => {
      const response = await begin(way, request, signal)
      return { ...headOf(response), lines: linesOf(response) }
    },
  }
}
