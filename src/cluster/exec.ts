// Runs a command in a container through the API server, as a stream: what is written is its standard input, what is read its output.
import { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { type ApiClient } from './client.ts'
import { oneLine } from './errors.ts'
import { execPath } from './paths.ts'
import { execMessage, execProtocols, type ExecStatus, readExecMessage, readExecStatus } from './remote-command.ts'

/** The command did not run, failed, or was cut off from us. */
export class ExecError extends Error {
  override name = 'ExecError'
  /** How it ended; absent when that was not told: the connection was lost, or what came over it was no exec. */
  readonly status: Exclude<ExecStatus, { kind: 'success' }> | undefined

  constructor(message: string, status?: Exclude<ExecStatus, { kind: 'success' }>) {
    super(message)
    this.status = status
  }
}

/** The end of what the command wrote to standard error is kept, for messages. */
const maxStderrBytes = 2048
/** A Status is an object of a few lines. */
const maxStatusBytes = 64 << 10
/** Output may come after the status, as each channel is copied by itself; the server closes the connection when all have come. */
const lateOutputMs = 1000
/** How long the other side may take to answer the end of the connection. */
const closeMs = 250

export class ExecStream extends Duplex {
  readonly #socket: WebSocket
  #stderr = Buffer.alloc(0)
  #statusText = ''
  #late: NodeJS.Timeout | undefined
  #silence: NodeJS.Timeout | undefined
  #silenceMs = 0

  constructor(socket: WebSocket) {
    // the reader may have all it wants before the command ends, and then just lets go
    super({ emitClose: true, allowHalfOpen: true })
    this.#socket = socket
    socket.on('message', (data: RawData, isBinary: boolean) => this.#receive(data, isBinary))
    socket.on('error', (error) => this.destroy(new ExecError(`the connection broke: ${oneLine(error.message)}`)))
    socket.on('close', (code: number, reason: Buffer) => this.#finish(code, reason))
  }

  /** Emits 'timeout' when nothing has come for this time: sockets have the same, and node:http relies on it. */
  setTimeout(timeoutMs: number): this {
    this.#silenceMs = timeoutMs
    this.#listen()
    return this
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // a socket that is being closed fails a write; why it is closed is told by the close itself
    this.#socket.send(execMessage(chunk), () => done())
  }

  override _read(): void {
    if (!this.#socket.isPaused) return
    this.#socket.resume()
    this.#listen()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#late)
    clearTimeout(this.#silence)
    const socket = this.#socket
    socket.removeAllListeners('message')
    if (socket.isPaused) socket.resume()
    socket.close(1000)
    const giveUp = setTimeout(() => socket.terminate(), closeMs)
    socket.on('close', () => clearTimeout(giveUp))
    if (socket.readyState === socket.CLOSED) clearTimeout(giveUp)
    done(error)
  }

  #listen(): void {
    clearTimeout(this.#silence)
    if (this.#silenceMs === 0 || this.destroyed) return
    this.#silence = setTimeout(() => {
      // who does not read cannot hear
      if (!this.#socket.isPaused) this.emit('timeout')
    }, this.#silenceMs)
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#listen()
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
    const message = isBinary ? readExecMessage(bytes) : ({ malformed: 'text where bytes were agreed on' } as const)
    if ('malformed' in message) return this.#refuse(message.malformed)
    switch (message.channel) {
      case 'stdout':
        if (message.bytes.length > 0 && !this.push(message.bytes)) this.#socket.pause()
        return
      case 'stderr':
        this.#stderr = Buffer.concat([this.#stderr, message.bytes]).subarray(-maxStderrBytes)
        return
      case 'status':
        if (this.#statusText.length + message.bytes.length > maxStatusBytes) return this.#refuse('an endless status')
        this.#statusText += Buffer.from(message.bytes).toString('utf8')
        this.#finishSoon()
        return
      case 'close':
        return
      default:
        message satisfies never
    }
  }

  #refuse(what: string): void {
    this.destroy(new ExecError(`the API server sent ${what}`))
  }

  /** Ends after the status, where the server does not; not while the reader holds up what may still come. */
  #finishSoon(): void {
    clearTimeout(this.#late)
    this.#late = setTimeout(
      () => (this.#socket.isPaused ? this.#finishSoon() : this.#finish(1000, Buffer.of())),
      lateOutputMs,
    )
  }

  /** All has come that will. */
  #finish(code: number, reason: Buffer): void {
    if (this.destroyed) return
    if (this.#statusText === '') {
      const words = oneLine(reason.toString('utf8'))
      this.destroy(new ExecError(`the connection through the API server was lost (${code}${words && `: ${words}`})`))
      return
    }
    const status = readExecStatus(this.#statusText)
    if (status.kind === 'success') this.push(null)
    else this.destroy(this.#failure(status))
  }

  #failure(status: Exclude<ExecStatus, { kind: 'success' }>): ExecError {
    const told = oneLine(this.#stderr.toString('utf8'))
    if (status.kind === 'exit') return new ExecError(told === '' ? `exit status ${status.code}` : told, status)
    return new ExecError([status.message, told].filter(Boolean).join(': '), status)
  }
}

export type ExecTarget = {
  readonly namespace: string
  readonly pod: string
  readonly container: string
  readonly command: readonly string[]
}

/**
 * Starts the command; resolves when the API server has accepted it. Rejects with ApiError, whose code says who refused, and ApiUnreachable.
 * Whether the runtime could start it is told by the stream, which fails with ExecError otherwise.
 */
export async function execIn(client: ApiClient, target: ExecTarget, signal?: AbortSignal): Promise<ExecStream> {
  const socket = await client.webSocket(execPath(target), {
    protocols: execProtocols,
    ...(signal !== undefined && { signal }),
  })
  return new ExecStream(socket)
}
