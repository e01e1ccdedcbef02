// A BGP peer whose every byte is the test's: it can be an observer, a speaker of a single route, or send nonsense.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { eventually } from './eventually.ts'
import { type Host } from './lan.ts'
import {
  keepalive,
  keepaliveType,
  MessageSplitter,
  notificationType,
  open,
  openType,
  type RawMessage,
  type RawOpen,
  type RawPath,
  readUpdate,
  updateType,
} from './raw-messages.ts'
// not `import { type … }`, which would execute it in here
import type { RawCommand, RawEvent } from './raw-process.ts'

/** One connection, and what came over it. */
export class RawPeer {
  readonly remote: string
  readonly messages: RawMessage[] = []
  /** What it has been told, as it stands now. */
  readonly rib = new Map<string, RawPath>()
  readonly endOfRibs = new Set<4 | 6>()
  readonly closed: Promise<void>
  /** The kernel's words, when it did not end in order. */
  closeError: string | undefined
  isClosed = false
  /** Of AS numbers in AS_PATH; 2 on a session with an old speaker. */
  #asnOctets: 2 | 4 = 4
  /** How long it once got nothing at all: to be held against a hold time. */
  longestSilenceMs = 0

  readonly #id: number
  readonly #tell: (command: RawCommand) => void
  readonly #splitter = new MessageSplitter()
  readonly #close = Promise.withResolvers<void>()

  constructor(id: number, remote: string, tell: (command: RawCommand) => void) {
    this.#id = id
    this.#tell = tell
    this.remote = remote
    this.closed = this.#close.promise
  }

  send(...messages: readonly Uint8Array[]): void {
    this.#tell({ op: 'send', id: this.#id, bytes: Buffer.concat(messages) })
  }

  end(): void {
    this.#tell({ op: 'end', id: this.#id })
  }

  /** Closes it without a word. */
  destroy(): void {
    this.#tell({ op: 'destroy', id: this.#id })
  }

  /** Stops and goes on reading. */
  pause(): void {
    this.#tell({ op: 'pause', id: this.#id })
  }
  resume(): void {
    this.#tell({ op: 'resume', id: this.#id })
  }

  /** Exchanges OPEN and KEEPALIVE; fails when the other side does not want it. */
  async establish(mine: RawOpen): Promise<RawMessage> {
    if (mine.isOld === true) this.#asnOctets = 2
    this.send(open(mine))
    const theirs = await this.first(openType)
    this.send(keepalive)
    await this.first(keepaliveType)
    const holdTimeSeconds = Math.min(mine.holdTimeSeconds ?? 90, theirs.body.readUInt16BE(3))
    // by the process itself: the test may be busy
    if (holdTimeSeconds > 0)
      this.#tell({ op: 'repeat', id: this.#id, bytes: keepalive, everyMs: (holdTimeSeconds * 1000) / 3 })
    return theirs
  }

  /** The first message of a type that it got, or gets. */
  async first(type: number, timeoutMs?: number): Promise<RawMessage> {
    const find = (): RawMessage | undefined => this.messages.find((each) => each.type === type)
    const options = { ...(timeoutMs !== undefined && { timeoutMs }), explain: () => this.story() }
    await eventually(
      `message of type ${type} from ${this.remote}`,
      find,
      (found) => found !== undefined || this.isClosed,
      options,
    )
    return find() ?? assert.fail(`closed without a message of type ${type}: ${this.story()}`)
  }

  /** Code and subcode of the NOTIFICATION that it got, as "6/1". */
  async notified(timeoutMs?: number): Promise<string> {
    const { body } = await this.first(notificationType, timeoutMs)
    return `${body[0]}/${body[1]}`
  }

  story(): string {
    const types = this.messages.map(({ type, body }) =>
      type === notificationType ? `${type}:${body.toString('hex')}` : type,
    )
    return `got ${types.slice(-30).join(' ')}${this.isClosed ? `, then closed (${this.closeError ?? 'in order'})` : ''}`
  }

  /** What the process has got. */
  take(event: RawEvent): void {
    if (event.event === 'data') {
      this.longestSilenceMs = Math.max(this.longestSilenceMs, event.silentMs)
      for (const message of this.#splitter.push(event.bytes)) this.#read(message)
    }
    if (event.event === 'closed') {
      this.closeError = event.error
      this.isClosed = true
      this.#close.resolve()
    }
  }

  #read(message: RawMessage): void {
    this.messages.push(message)
    if (message.type !== updateType) return
    const { withdrawn, announced, path, endOfRib } = readUpdate(message.body, this.#asnOctets)
    if (endOfRib !== undefined) this.endOfRibs.add(endOfRib)
    for (const prefix of withdrawn) this.rib.delete(prefix)
    for (const prefix of announced) this.rib.set(prefix, path!)
  }
}

/** Connections of one host. */
export class RawHost implements AsyncDisposable {
  readonly host: Host
  readonly #child: ChildProcess
  readonly #peers = new Map<number, RawPeer>()
  readonly #opened = new Map<number, PromiseWithResolvers<void>>()
  readonly #accepted = new Map<number, (peer: RawPeer) => void>()
  #lastId = 0

  private constructor(host: Host) {
    this.host = host
    this.#child = host.ns.netns.run(() =>
      fork(new URL('raw-process.ts', import.meta.url), {
        serialization: 'advanced',
        execArgv: ['--disable-warning=ExperimentalWarning'],
      }),
    )
    this.#child.on('message', (event: RawEvent) => this.#take(event))
  }

  static async start(host: Host): Promise<RawHost> {
    const raw = new RawHost(host)
    await once(raw.#child, 'message')
    return raw
  }

  readonly #tell = (command: RawCommand): void => {
    if (this.#child.connected) this.#child.send(command)
  }

  #take(event: RawEvent): void {
    if (event.event === 'ready') return
    if (event.event === 'listening') return this.#opened.get(event.id)?.resolve()
    if (event.event === 'opened' && event.listener !== undefined) {
      const peer = new RawPeer(event.id, event.remote, this.#tell)
      this.#peers.set(event.id, peer)
      this.#accepted.get(event.listener)?.(peer)
      return
    }
    if (event.event === 'opened') this.#opened.get(event.id)?.resolve()
    if (event.event === 'closed') this.#opened.get(event.id)?.reject(new Error(event.error ?? 'closed'))
    this.#peers.get(event.id)?.take(event)
  }

  /** Connects; rejects with the kernel's words. */
  async connect(remote: string): Promise<RawPeer> {
    const id = ++this.#lastId
    const peer = new RawPeer(id, remote, this.#tell)
    this.#peers.set(id, peer)
    const opened = Promise.withResolvers<void>()
    this.#opened.set(id, opened)
    this.#tell({ op: 'connect', id, remote })
    await opened.promise
    return peer
  }

  /** Listens on port 179 of an address; `onPeer` gets each connection. */
  async listen(addr: string, onPeer: (peer: RawPeer) => void): Promise<void> {
    const id = ++this.#lastId
    const listening = Promise.withResolvers<void>()
    this.#opened.set(id, listening)
    this.#accepted.set(id, onPeer)
    this.#tell({ op: 'listen', id, addr })
    await listening.promise
  }

  /** Connects again and again until the router is there, and establishes the session. */
  async session(remote: string, mine: RawOpen): Promise<RawPeer> {
    return eventually(
      `session of ${mine.asn} with ${remote}`,
      async () => {
        const peer = await this.connect(remote)
        await peer.establish(mine)
        return peer
      },
      () => true,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}
