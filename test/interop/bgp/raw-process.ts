// TCP connections of a namespace for a test that runs outside of it: a process in there that does as it is told over its IPC
// channel, and ends with that. Raw bytes go in and out.
import { connect, createServer, type Socket } from 'node:net'

export type RawCommand =
  | { readonly op: 'connect'; readonly id: number; readonly remote: string }
  | { readonly op: 'listen'; readonly id: number; readonly addr: string }
  | { readonly op: 'send'; readonly id: number; readonly bytes: Uint8Array }
  /** Sends these bytes again and again. */
  | { readonly op: 'repeat'; readonly id: number; readonly bytes: Uint8Array; readonly everyMs: number }
  | { readonly op: 'end' | 'destroy' | 'pause' | 'resume'; readonly id: number }

/** Connections that are accepted get negative numbers. */
export type RawEvent =
  | { readonly event: 'ready' }
  | { readonly event: 'listening'; readonly id: number }
  | { readonly event: 'opened'; readonly id: number; readonly listener?: number; readonly remote: string }
  /** `silentMs`: how long nothing had come before. */
  | { readonly event: 'data'; readonly id: number; readonly bytes: Uint8Array; readonly silentMs: number }
  | { readonly event: 'closed'; readonly id: number; readonly error?: string }

const bgpPort = 179
const sockets = new Map<number, Socket>()
let accepted = 0

function tell(event: RawEvent): void {
  process.send!(event)
}

function take(id: number, socket: Socket): void {
  sockets.set(id, socket)
  let error: string | undefined
  socket.setNoDelay(true)
  let lastMs = performance.now()
  socket.on('data', (bytes: Buffer) => {
    const nowMs = performance.now()
    tell({ event: 'data', id, bytes, silentMs: nowMs - lastMs })
    lastMs = nowMs
  })
  socket.on('error', ({ message }) => (error = message))
  socket.on('close', () => {
    sockets.delete(id)
    tell({ event: 'closed', id, ...(error !== undefined && { error }) })
  })
}

function obey(command: RawCommand): void {
  const { id } = command
  switch (command.op) {
    case 'connect': {
      const { remote } = command
      const socket = connect({ host: remote, port: bgpPort })
      socket.on('connect', () => tell({ event: 'opened', id, remote }))
      take(id, socket)
      return
    }
    case 'listen': {
      const server = createServer((socket) => {
        const number = -++accepted
        tell({ event: 'opened', id: number, listener: id, remote: socket.remoteAddress ?? '' })
        take(number, socket)
      })
      server.listen({ host: command.addr, port: bgpPort }, () => tell({ event: 'listening', id }))
      return
    }
    case 'send':
      sockets.get(id)?.write(command.bytes)
      return
    case 'repeat': {
      const timer = setInterval(() => sockets.get(id)?.write(command.bytes), command.everyMs)
      sockets.get(id)?.on('close', () => clearInterval(timer))
      return
    }
    case 'end':
    case 'destroy':
    case 'pause':
    case 'resume':
      sockets.get(id)?.[command.op]()
      return
    default:
      command satisfies never
  }
}

process.on('message', (command: RawCommand) => obey(command))
process.on('disconnect', () => process.exit())
tell({ event: 'ready' })
