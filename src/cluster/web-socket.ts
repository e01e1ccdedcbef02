// Opens WebSockets with the library `ws`, which is read by who opens one (docs/decisions/0022-a-relay-in-the-agents-pod.md).
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'

export type WebSocketRequest = {
  /** ws:// or wss://, with path and query. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly protocols: readonly string[]
  /** Makes the connection; a secure one for wss. */
  readonly connect: () => Socket
  readonly signal: AbortSignal
}

/** Runtimes and API servers send pieces of up to 32 KiB. */
const maxMessageBytes = 4 << 20

/**
 * Resolves with the open socket, or with the server's answer when that is another than to switch protocols. The socket is paused, so that
 * nothing comes before its reader listens.
 */
export async function openWebSocket(
  request: WebSocketRequest,
): Promise<{ readonly socket: WebSocket } | { readonly refusal: IncomingMessage }> {
  const { url, headers, protocols, connect, signal } = request
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof openWebSocket>>>()
  const socket = new WebSocket(url, [...protocols], {
    headers,
    createConnection: connect,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  })
  const end = (): void => {
    reject(signal.reason as Error)
    socket.terminate()
  }
  signal.addEventListener('abort', end, { once: true })
  socket.on('error', reject)
  socket.once('unexpected-response', (_request, refusal) => resolve({ refusal }))
  socket.once('open', () => {
    socket.pause()
    resolve({ socket })
  })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', end)
  }
}
