// How a request gets to an agent, whatever the way: a socket of this node, or later through the Kubernetes API server.

export type AgentRequest = {
  readonly method: 'GET' | 'POST'
  /** With what stands behind "?". */
  readonly path: string
  /** JSON. */
  readonly body?: string
}

export type AgentReply = {
  readonly status: number
  readonly text: string
  /** The agent's version, such as 0.1.0; absent: it tells none. */
  readonly version?: string
}

export type AgentTransport = {
  /** Where it leads, for messages. */
  readonly place: string
  /** Rejects when nobody answers there, when half an answer comes, and when `signal` aborts. */
  readonly send: (request: AgentRequest, signal: AbortSignal) => Promise<AgentReply>
}

const product = 'causeway/'

/** The agent's version in an HTTP header `server`, and back. */
export function serverHeader(version: string): string {
  return `${product}${version}`
}

export function versionIn(header: unknown): string | undefined {
  return typeof header === 'string' && header.startsWith(product) ? header.slice(product.length) : undefined
}
