// Reads one request frame from a connection of the shim, and the open files that the shim passes with it.
import type { Socket } from 'node:net'
import { POLLIN, watchFd } from '#/sys/fd-watcher.ts'
import { type Arrival, PassedFiles, receivePassing } from '#/sys/passed-files.ts'
import { decodeRequestHeader, frameHeaderBytes, maxPassedFiles, tooManyFiles } from '#/wire/cni/index.ts'
import { fdOf } from '../socket-fd.ts'

export type ReceivedRequest = {
  readonly frame: Uint8Array
  /** Belongs to the caller. */
  readonly files: PassedFiles
}

/**
 * Returns one whole request frame and what was passed with it. The socket must be paused and unread. Throws CniProtocolError when the header is wrong, announces too many bytes (it then stops reading) or came with too many
 * files, Error when the client goes away or takes longer than `timeoutMs`, the signal's reason when the signal fires. No file stays open
 * then.
 */
export async function receiveRequest(socket: Socket, timeoutMs: number, signal: AbortSignal): Promise<ReceivedRequest> {
  signal.throwIfAborted()
  const first = takePart(socket)
  // mostly nothing has to be waited for
  if (first !== undefined && isWhole(first)) return { frame: first.bytes, files: first.files }
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new Error(`no whole request within ${timeoutMs} ms`)), timeoutMs)
  const ended = AbortSignal.any([signal, late.signal])
  try {
    const { bytes, files, isCut } = first ?? (await firstPart(socket, ended))
    try {
      if (isCut || files.fds.length > maxPassedFiles) throw tooManyFiles()
      return { frame: await wholeFrame(socket, bytes, ended), files }
    } catch (error) {
      files[Symbol.dispose]()
      throw error
    }
  } finally {
    clearTimeout(timer)
  }
}

/** What is taken by hand at once: mostly the whole request. */
const firstPartBytes = 4096

/** What came first, if anything has come. It is taken by hand, because Node drops open files that come with it. */
function takePart(socket: Socket): Arrival | undefined {
  return receivePassing(openFd(socket), firstPartBytes, maxPassedFiles)
}

function openFd(socket: Socket): number {
  const fd = fdOf(socket)
  if (fd === undefined) throw new Error('the connection was closed')
  return fd
}

/** Whether it is a whole request and breaks no rule. */
function isWhole({ bytes, files, isCut }: Arrival): boolean {
  if (isCut || files.fds.length > maxPassedFiles || bytes.length < frameHeaderBytes) return false
  try {
    return bytes.length >= frameBytes(bytes)
  } catch {
    return false
  }
}

async function firstPart(socket: Socket, signal: AbortSignal): Promise<Arrival> {
  for (;;) {
    await readable(openFd(socket), signal)
    signal.throwIfAborted()
    const arrival = takePart(socket)
    if (arrival !== undefined) return arrival
  }
}

/** Resolves when there is something to read, or the signal has fired. */
async function readable(fd: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const onAbort = (): void => resolve()
  using _watch = watchFd(fd, POLLIN, resolve)
  signal.addEventListener('abort', onAbort)
  await promise
  signal.removeEventListener('abort', onAbort)
}

async function wholeFrame(socket: Socket, first: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const chunks: Uint8Array[] = []
  let received = 0
  let expected: number | undefined
  const onData = (chunk: Uint8Array): void => {
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
  socket.on('data', onData)
  socket.on('close', onClose)
  signal.addEventListener('abort', onAbort)
  try {
    onData(first)
    socket.resume()
    return await promise
  } finally {
    socket.off('data', onData)
    socket.off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

function frameBytes(start: Uint8Array): number {
  const { envBytes, stdinBytes } = decodeRequestHeader(start)
  return frameHeaderBytes + envBytes + stdinBytes
}
