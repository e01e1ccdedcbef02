// pods/exec over a WebSocket: the standard streams of a process, a channel each. What is executed for a pod is for who runs the server to say.
import type { ChildProcess } from 'node:child_process'
import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { execMessage, execProtocols } from '#/cluster/remote-command.ts'
import { badRequest } from './api-error.ts'
import type { KubeObject } from './objects.ts'

export type ExecRequest = {
  readonly pod: KubeObject
  /** The container's name; '' when none is given. */
  readonly container: string
  readonly command: readonly string[]
}

/** Starts the command, with pipes for its standard streams; or says in the words of a runtime why it cannot. */
export type Execute = (request: ExecRequest) => ChildProcess | { readonly failure: string }

const [stdout, stderr, status, close] = [1, 2, 3, 255]
const messageLimitBytes = 1 << 20

export function readExecQuery(query: URLSearchParams): Omit<ExecRequest, 'pod'> {
  const command = query.getAll('command')
  if (command.length === 0) throw badRequest('you must specify at least one command for the pod')
  return { container: query.get('container') ?? '', command }
}

function failureOf(message: string): object {
  return { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 }
}

function exitOf(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' }
  const causes = [{ reason: 'ExitCode', message: String(code) }]
  const message = `command terminated with non-zero exit code: exit status ${code}`
  return { metadata: {}, status: 'Failure', message, reason: 'NonZeroExitCode', details: { causes } }
}

function end(socket: WebSocket, how: object): void {
  socket.send(execMessage(Buffer.from(JSON.stringify(how)), status), () => socket.close(1000))
}

/** Sends what comes, and takes more only when that is sent. */
function forward(from: Readable | null, socket: WebSocket, channel: number | undefined): void {
  from?.on('data', (chunk: Buffer) => {
    from.pause()
    socket.send(execMessage(chunk, channel), () => from.resume())
  })
}

function connect(socket: WebSocket, child: ChildProcess): void {
  forward(child.stdout, socket, stdout)
  forward(child.stderr, socket, stderr)
  // who wrote to a process that has ended hears of its end
  child.stdin?.on('error', () => {})
  socket.on('error', () => {})
  socket.on('message', (data: RawData) => {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat([data].flat().map((part) => Buffer.from(part as Buffer)))
    if (bytes[0] === 0) child.stdin?.write(bytes.subarray(1))
    else if (bytes[0] === close) child.stdin?.end()
  })
  socket.on('close', () => child.stdin?.end())
  child.on('error', (error) => end(socket, failureOf(`error executing command in container: ${error.message}`)))
  child.on('close', (code) => {
    if (code !== null) end(socket, exitOf(code))
    else end(socket, failureOf('command was ended by a signal'))
  })
}

/** Accepts the WebSocket and runs the command; throws ApiError, as long as nothing is accepted. */
export function serveExec(
  wanted: ExecRequest,
  execute: Execute,
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
): void {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim())
  const protocol = execProtocols.find((each) => offered.includes(each))
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || protocol === undefined)
    throw badRequest(`only a WebSocket of protocol ${execProtocols.join(' or ')} can execute a command here`)
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: () => protocol,
    perMessageDeflate: false,
    maxPayload: messageLimitBytes,
  })
  server.handleUpgrade(request, socket, head, (accepted) => {
    const started = execute(wanted)
    if ('failure' in started) end(accepted, failureOf(started.failure))
    else connect(accepted, started)
  })
}
