// Reads one request frame from a connection of the shim.
import type { Socket } from 'node:net'
import { decodeRequestHeader, frameHeaderBytes } from '#/wire/cni/index.ts'

/**
 * Returns the bytes of one whole request frame. Throws CniProtocolError when the header is wrong or announces too many bytes (it
 * then stops reading), Error when the client goes away or takes longer than `timeoutMs`, the signal's reason when the signal fires.
 */
export async function receiveRequest(socket: Socket, timeoutMs: number, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const chunks: Buffer[] = []
  let received = 0
  let expected: number | undefined
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk)
    received += chunk.length
    if (expected === undefined && received >= frameHeaderBytes) {
      try {
        expected = frameBytes(Buffer.concat(chunks))
      } catch (error) {
        reject(error)
      }
    }
    if (expected !== undefined && received >= expected) resolve(Buffer.concat(chunks))
  }
  const onClose = (): void => reject(new Error(`the client went away after ${received} bytes`))
  const onAbort = (): void => reject(signal.reason)
  const timer = setTimeout(() => reject(new Error(`no whole request within ${timeoutMs} ms`)), timeoutMs)
  socket.on('data', onData)
  socket.on('close', onClose)
  signal.addEventListener('abort', onAbort)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

function frameBytes(start: Uint8Array): number {
  const { envBytes, stdinBytes } = decodeRequestHeader(start)
  return frameHeaderBytes + envBytes + stdinBytes
}
