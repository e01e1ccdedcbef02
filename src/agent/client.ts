// Asks an agent over its unix socket.
import { request } from 'node:http'

const timeoutMs = 5000

/** The answer's status and text; rejects when no agent listens there. With a body it is a POST of its JSON. */
export async function askAgent(
  socketPath: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const method = body === undefined ? 'GET' : 'POST'
  // a connection for each question: a kept one may be that of an agent which has been killed since
  const call = request({ socketPath, path, method, timeout: timeoutMs, agent: false }, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
    response.on('error', reject)
  })
  call.on('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs} ms`)))
  call.on('error', reject)
  call.end(body === undefined ? undefined : JSON.stringify(body))
  return promise
}
