// The agent's CNI server: a unix socket on which the shim (native/cni-shim.c) sends one CNI call per connection, and the spool in
// which the shim leaves DELs while no agent runs. Parsing, order, deadlines and framing are here; `deps.handle` does what a call
// asks of addresses and kernel. docs/cni.md specifies the protocol.
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf } from '#/lib/log.ts'
import {
  attachmentKey,
  CniErrorCode,
  type CniError,
  type CniOperation,
  type CniOutput,
  CniProtocolError,
  type CniRefusal,
  type CniReply,
  type CniRequest,
  decodeRequest,
  type DelRequest,
  encodeAnswer,
  encodeReply,
  encodeVersions,
  latestCniVersion,
  parseCniRequest,
} from '#/wire/cni/index.ts'
import { PassedFiles } from '#/sys/passed-files.ts'
import { CallLog } from './call-log.ts'
import { Gate } from './gate.ts'
import { listenOn } from '../unix-socket.ts'
import { receiveRequest } from './receive.ts'
import { Spool } from './spool.ts'

export type CniServerOptions = {
  readonly socketPath: string
  readonly spoolDir: string
  /** How many calls may run at the same time; others wait. STATUS and VERSION never wait. */
  readonly maxConcurrent?: number
  /** How long a client may take to send its request. */
  readonly receiveTimeoutMs?: number
  /** The first pause after a spooled DEL has failed; the pause doubles up to a minute. */
  readonly retryMs?: number
  /** How often an empty spool is looked at again. */
  readonly lookMs?: number
  /** How long running calls may take to finish after the server was told to stop. */
  readonly graceMs?: number
}

export type OnAnswer = (command: string, code: number, durationMs: number) => void

export type CniServerDeps = {
  /**
   * Carries out one call. `signal` fires when the answer has become useless: the runtime gave up, or the agent must stop now.
   * A call may come again after an agent died in the middle of it: an ADD must replace what the first attempt left, and a DEL must
   * be idempotent. `files` are the descriptors that the shim passed: the pod's namespace and the folder that it is in, or only the
   * first, or none. They are closed when the call has ended.
   */
  readonly handle: (request: CniOperation, signal: AbortSignal, files: readonly number[]) => Promise<CniReply>
  /**
   * Called for every answer with the command (INVALID for a call that cannot be read), the error code (0 for success), and the time
   * since the call was received, including its wait for other calls.
   */
  readonly onAnswer?: OnAnswer
  readonly log: Logger
}

const maxRetryMs = 60_000
/** The time limit of a spooled DEL: as long as the shim would wait for the same DEL. */
const replayTimeoutMs = 60_000
/** How long calls that outlived the grace may take to finish once their signal has fired. */
const abortedTimeoutMs = 1000

export class CniServer {
  readonly #options: Required<CniServerOptions>
  readonly #deps: CniServerDeps
  readonly #server: Server
  readonly #spool: Spool
  readonly #callLog: CallLog
  readonly #gate: Gate
  /** Fires when the server is to stop: no new call starts. */
  readonly #stopping = new AbortController()
  /** Fires when the grace is over: calls that still run are to stop. */
  readonly #aborting = new AbortController()
  readonly #sockets = new Set<Socket>()
  readonly #running = new Set<Promise<void>>()
  #removeSocket: (() => Promise<void>) | undefined

  constructor(options: CniServerOptions, deps: CniServerDeps) {
    this.#options = {
      maxConcurrent: 16,
      receiveTimeoutMs: 5000,
      retryMs: 1000,
      lookMs: 30_000,
      graceMs: 10_000,
      ...options,
    }
    this.#deps = deps
    this.#spool = new Spool(options.spoolDir)
    this.#callLog = new CallLog(deps.log)
    this.#gate = new Gate({ limit: this.#options.maxConcurrent })
    // paused, so that the open files that come with a request are not lost (receive.ts)
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#track(this.#serve(socket)))
  }

  /**
   * Listens, then starts with the spooled DELs. A shim that finds no listener writes its DEL to the spool and tries the socket once
   * more; with this order the server finds the DEL either in the spool or on the socket. Throws when another agent answers on the
   * socket.
   */
  async start(): Promise<void> {
    try {
      await this.#spool.prepare()
    } catch (error) {
      // without the spool the agent still answers live calls
      const { spoolDir } = this.#options
      this.#deps.log.error('cni spool cannot be made: a DEL without an agent will fail', { dir: spoolDir, error })
    }
    this.#removeSocket = await listenOn(this.#server, this.#options.socketPath)
    this.#server.on('error', (error) => this.#deps.log.error('cni socket failed', { error }))
    this.#track(this.#drain())
  }

  /** Stops accepting, lets running calls end within the grace, then tells them to stop and hangs up. */
  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new Error('the agent is stopping')
    await this.#removeSocket?.()
    this.#stopping.abort(reason)
    this.#server.close()
    // A waiting call gets no answer: its shim then waits for the next agent, whereas an error would make the runtime start over.
    this.#gate.close(reason)
    if (await this.#isIdleWithin(this.#options.graceMs)) return
    this.#deps.log.warn('cni calls still run at the end of the grace', { calls: this.#running.size })
    this.#aborting.abort(reason)
    for (const socket of this.#sockets) socket.destroy()
    await this.#isIdleWithin(abortedTimeoutMs)
  }

  #track(task: Promise<void>): void {
    this.#running.add(task)
    void task.finally(() => this.#running.delete(task))
  }

  async #isIdleWithin(ms: number): Promise<boolean> {
    const timer = new AbortController()
    const idle = Promise.all(this.#running).then(() => true)
    const late = sleep(ms, false, { signal: timer.signal }).catch(() => false)
    const isIdle = await Promise.race([idle, late])
    timer.abort()
    return isIdle
  }

  /** Serves the one call of a connection. Never rejects. */
  async #serve(socket: Socket): Promise<void> {
    const hangUp = new AbortController()
    let isAnswered = false
    this.#sockets.add(socket)
    socket.on('error', (error) => this.#deps.log.debug('cni connection failed', { error }))
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (!isAnswered) hangUp.abort(new Error('the caller hung up'))
    })
    try {
      const answer = encodeAnswer(await this.#answer(socket, hangUp.signal))
      isAnswered = true
      await send(socket, answer)
    } catch (error) {
      this.#deps.log.warn('cni connection dropped', { error })
    } finally {
      socket.destroy()
    }
  }

  async #answer(socket: Socket, signal: AbortSignal): Promise<CniOutput> {
    const { request, files } = await this.#receive(socket)
    using _files = files
    // The client sends nothing more. Reading on is what makes the end of the connection known.
    socket.resume()
    const startedMs = performance.now()
    const tell = (command: string, code: number): void =>
      this.#deps.onAnswer?.(command, code, performance.now() - startedMs)
    if (request.kind === 'version') {
      tell('VERSION', 0)
      return { status: 0, stdout: encodeVersions(request.cniVersion) }
    }
    if (request.kind === 'error') {
      this.#deps.log.warn('cni request refused', { ...request.error })
      tell('INVALID', request.error.code)
      return encodeReply(request, request.cniVersion)
    }
    const reply = await this.#operate(request, signal, files.fds)
    tell(request.kind.toUpperCase(), reply.kind === 'error' ? reply.error.code : 0)
    return encodeReply(reply, request.cniVersion)
  }

  async #receive(socket: Socket): Promise<{ readonly request: CniRequest | CniRefusal; readonly files: PassedFiles }> {
    let files = new PassedFiles()
    try {
      const received = await receiveRequest(socket, this.#options.receiveTimeoutMs, this.#stopping.signal)
      files = received.files
      return { request: parseFrame(received.frame), files }
    } catch (error) {
      if (!(error instanceof CniProtocolError)) throw error
      return { request: { kind: 'error', cniVersion: latestCniVersion, error: error.error }, files }
    }
  }

  #operate(request: CniOperation, signal: AbortSignal, files: readonly number[]): Promise<CniReply> {
    const handle = (): Promise<CniReply> => this.#deps.handle(request, signal, files)
    switch (request.kind) {
      case 'status':
        return this.#handle(request, signal, handle)
      case 'gc':
        return this.#gate.runAlone(signal, () => this.#handle(request, signal, handle))
      case 'add':
        return this.#gate.run(request.containerId, signal, () =>
          this.#handle(request, signal, async () => {
            // A spooled DEL of this attachment is older than this ADD. Run it first: after the ADD it would remove the new pod's network.
            const error = await this.#replay(attachmentKey(request), signal)
            return error === undefined ? handle() : { kind: 'error', error: earlierDel(error) }
          }),
        )
      default:
        return this.#gate.run(request.containerId, signal, () => this.#handle(request, signal, handle))
    }
  }

  /** Carries out a call by `work` and logs its outcome in one line. */
  async #handle(request: CniOperation, signal: AbortSignal, work: () => Promise<CniReply>): Promise<CniReply> {
    const startedMs = performance.now()
    try {
      const reply = await work()
      this.#callLog.ended(request, reply, { startedMs, signal })
      return reply
    } catch (error) {
      this.#callLog.threw(request, error, { startedMs, signal })
      const details = 'unexpected failure in the agent; its log has more'
      return { kind: 'error', error: { code: CniErrorCode.internal, msg: messageOf(error), details } }
    }
  }

  /**
   * Carries out spooled DELs until the server stops, not only at the start: a shim also spools a DEL when its connection to this agent
   * is cut. Never rejects.
   */
  async #drain(): Promise<void> {
    const { signal } = this.#stopping
    for (let pauseMs = this.#options.retryMs; !signal.aborted;) {
      const isEmpty = await this.#drainOnce(signal)
      await sleep(isEmpty ? this.#options.lookMs : pauseMs, undefined, { signal }).catch(() => undefined)
      pauseMs = isEmpty ? this.#options.retryMs : Math.min(pauseMs * 2, maxRetryMs)
    }
  }

  /** True when the spool is empty at the end. The DELs run one after the other, so that live calls get turns in between. */
  async #drainOnce(stopping: AbortSignal): Promise<boolean> {
    let isEmpty = true
    try {
      for (const key of await this.#spool.keys()) {
        const inTime = AbortSignal.any([this.#aborting.signal, AbortSignal.timeout(replayTimeoutMs)])
        const error = await this.#gate.run(sandboxOf(key), stopping, () => this.#replay(key, inTime))
        if (error !== undefined) isEmpty = false
      }
      return isEmpty
    } catch (error) {
      if (!stopping.aborted) this.#deps.log.error('cni spool cannot be read', { dir: this.#options.spoolDir, error })
      return false
    }
  }

  /** Carries out the spooled DEL of one attachment, if there is one; returns why it failed. To be called within the sandbox's turn. */
  async #replay(key: string, signal: AbortSignal): Promise<CniError | undefined> {
    try {
      const frame = await this.#spool.read(key)
      if (frame === undefined) return undefined
      const request = parseSpooled(frame, key)
      // A malformed request would be refused each time. EndpointGc finds the endpoint that it was to remove when its namespace is gone.
      if (request.kind === 'error')
        this.#deps.log.error('cni spooled request removed unread', { key, ...request.error })
      else {
        const reply = await this.#handle(request, signal, () => this.#deps.handle(request, signal, []))
        if (reply.kind === 'error') return reply.error
      }
      await this.#spool.remove(key)
      return undefined
    } catch (error) {
      this.#deps.log.error('cni spooled request failed', { key, error })
      return { code: CniErrorCode.ioFailure, msg: `cannot use spooled request ${key}`, details: messageOf(error) }
    }
  }
}

/** The container ID in an attachment's key: calls for one container run one after the other. */
function sandboxOf(key: string): string {
  return key.slice(0, key.indexOf(':'))
}

/** Throws CniProtocolError when the frame is malformed; returns a CniRefusal when the call inside it is. */
function parseFrame(frame: Uint8Array): CniRequest | CniRefusal {
  const { env, stdin } = decodeRequest(frame)
  return parseCniRequest(env, stdin)
}

function parseSpooled(frame: Uint8Array, key: string): DelRequest | CniRefusal {
  const refusal = (error: CniError): CniRefusal => ({ kind: 'error', cniVersion: latestCniVersion, error })
  try {
    const request = parseFrame(frame)
    if (request.kind === 'error' || (request.kind === 'del' && attachmentKey(request) === key)) return request
    return refusal({ code: CniErrorCode.framing, msg: 'not the DEL that its file name says', details: request.kind })
  } catch (error) {
    if (!(error instanceof CniProtocolError)) throw error
    return refusal(error.error)
  }
}

function earlierDel(error: CniError): CniError {
  const details = `the DEL that was left while no agent ran fails: ${error.msg} ${error.details}`.trimEnd()
  return { code: CniErrorCode.tryAgainLater, msg: 'an earlier DEL of this attachment is not done', details }
}

function send(socket: Socket, bytes: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.once('close', () => resolve())
  socket.end(bytes, resolve)
  if (socket.destroyed) resolve()
  return promise
}
