// The interface of a transport, which takes a request to an agent: over a unix socket of this node, or through the Kubernetes API server.

export type AgentRequest = {
  readonly method: 'GET' | 'POST'
  /** The path, with the query behind "?". */
  readonly path: string
  /** The JSON body of a POST. */
  readonly body?: string
}

export type AgentReply = {
  readonly status: number
  readonly text: string
  /** The agent's version, such as 0.1.0; absent when the reply does not give one. */
  readonly version?: string
}

/** The beginning of an answer that goes on: its lines come later. */
export type AgentStream = Omit<AgentReply, 'text'> & {
  /** Without the empty ones. Throws when the stream is cut off, or falls silent. */
  readonly lines: AsyncIterable<string>
}

export type AgentTransport = {
  /** Names the other end in messages, such as the path of a socket. */
  readonly place: string
  /** Rejects when no agent answers, when the answer is cut off, and when `signal` aborts. */
  readonly send: (request: AgentRequest, signal: AbortSignal) => Promise<AgentReply>
  /** As `send`, for an answer that goes on until the agent ends it or `signal` aborts. */
  readonly open: (request: AgentRequest, signal: AbortSignal) => Promise<AgentStream>
}

/** No agent was reached, and the message says all there is to say: whom, why, and what to do. */
export class NotReached extends Error {
  override name = 'NotReached'
}

/** The transport to where no agent can be asked. */
export function noTransport(place: string, why: string): AgentTransport {
  const fail = async (): Promise<never> => Promise.reject(new NotReached(why))
  return { place, send: fail, open: fail }
}

const product = 'causeway/'

/** The HTTP header `server` with the agent's version; `versionIn` reads it back. */
export function serverHeader(version: string): string {
  return `${product}${version}`
}

export function versionIn(header: unknown): string | undefined {
  return typeof header === 'string' && header.startsWith(product) ? header.slice(product.length) : undefined
}
