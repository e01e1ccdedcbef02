// One TCP connection to a peer as messages and timers: bytes in are decoded in turns, bytes out are bounded, and what happens is told
// to the peer, which knows what it means.
import { BgpError, MessageReader } from '#/wire/bgp/index.ts'
import { type BgpMessage, type WireSettings } from '#/wire/bgp/values.ts'
import { type SpeakerClock, type Connection, type Timer } from '../contract.ts'
import { type Negotiated } from './open.ts'
import { type RoundRobin, type Turn } from './round-robin.ts'

/** Messages of one turn. */
const turnMessages = 64
/** Unread bytes from which on the peer is not read from for the time being. */
const inboundLimitBytes = 256 * 1024
/** Bytes that the kernel did not take yet, from which on routes wait. */
const outboundLimitBytes = 256 * 1024
/** How long a connection that is being closed may take for its last bytes. */
const lingerMs = 3_000

/** Until OPENs have said otherwise. */
const initialWire: WireSettings = { fourOctetAsn: true, families: [], extendedNextHop: false, isInternal: false }

export interface LinkHandlers {
  onMessage(link: Link, message: BgpMessage): void
  onMalformed(link: Link, error: BgpError): void
  /** Everything that came before was told. */
  onClosed(link: Link, error: Error | undefined): void
  onTimer(link: Link, timer: 'holdExpired' | 'keepaliveDue' | 'sendHoldExpired'): void
  /** Some messages have been told: a time for what need not be looked at after each. */
  onTurnEnd(link: Link): void
  /** Routes may be written again. Only an established session's connection is ever so far behind. */
  onDrain(): void
  /** After `drop`: nothing is left of it. */
  onGone(link: Link): void
}

type Deps = {
  readonly clock: SpeakerClock
  readonly turns: Pick<RoundRobin, 'add'>
  /** Calls, and keeps what is thrown from the event loop. */
  readonly contain: (call: () => void) => void
  readonly random: () => number
  readonly handlers: LinkHandlers
}

export class Link implements Turn {
  readonly id: number
  readonly connection: Connection
  /** What both sides' OPENs came to; to be set before the next message is read. */
  negotiated: Negotiated | undefined

  readonly #deps: Deps
  readonly #reader = new MessageReader()
  /** At most so many bytes were pushed to the reader and not read from it. */
  #unreadBytes = 0
  #isPaused = false
  #isQueued = false
  #closed: { readonly error: Error | undefined } | undefined
  #isDropped = false
  #linger: Timer | undefined

  #holdMs = 0
  #heardMs = 0
  #hold: Timer | undefined
  #keepalive: Timer | undefined
  #sendHoldMs = 0
  #sendHold: Timer | undefined
  #writtenBytes = 0
  #isBehind = false

  constructor(options: { readonly id: number; readonly connection: Connection }, deps: Deps) {
    this.id = options.id
    this.connection = options.connection
    this.#deps = deps
    this.connection.handlers = {
      onData: (bytes) => deps.contain(() => this.#received(bytes)),
      onDrain: () => deps.contain(() => this.#drained()),
      onClose: (error) => deps.contain(() => this.#ended(error)),
    }
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isDropped || this.#closed !== undefined) return false
    this.connection.write(bytes)
    this.#writtenBytes += bytes.length
    if (this.connection.queuedBytes > 0) this.#watchSending()
    if (this.connection.queuedBytes > outboundLimitBytes) this.#isBehind = true
    return !this.#isBehind
  }

  /** The hold timer from now on; 0: none. */
  setHold(seconds: number): void {
    this.#hold?.cancel()
    this.#holdMs = seconds * 1000
    this.touchHold()
    if (seconds > 0) this.#hold = this.#deps.clock.after(this.#holdMs, () => this.#checkHold())
  }

  /** Cheap, as it follows each message: the timer finds out when it is due. */
  touchHold(): void {
    this.#heardMs = this.#deps.clock.nowMs()
  }

  setKeepalive(seconds: number): void {
    this.#keepalive?.cancel()
    if (seconds <= 0) return
    // RFC 4271 section 10
    const delayMs = seconds * 1000 * (0.75 + this.#deps.random() / 4)
    this.#keepalive = this.#deps.clock.after(delayMs, () => {
      this.setKeepalive(seconds)
      this.#deps.handlers.onTimer(this, 'keepaliveDue')
    })
  }

  /** RFC 9687: how long the peer may take nothing of what is queued for it. */
  setSendHold(seconds: number): void {
    this.#sendHoldMs = seconds * 1000
    if (this.connection.queuedBytes > 0) this.#watchSending()
  }

  /** Sends `last` and closes, in order: whatever the peer still sends is read, so that TCP does not throw `last` away with a RST. */
  drop(last?: Uint8Array): void {
    if (this.#isDropped) return
    this.#isDropped = true
    for (const timer of [this.#hold, this.#keepalive, this.#sendHold]) timer?.cancel()
    if (this.#closed !== undefined) return this.#deps.handlers.onGone(this)
    if (last !== undefined) this.connection.write(last)
    this.connection.end()
    this.#resume()
    this.#linger = this.#deps.clock.after(lingerMs, () => {
      this.connection.destroy()
      this.#gone()
    })
  }

  /** RST at once, whatever state it is in; nothing is told any more. */
  destroy(): void {
    this.#isDropped = true
    for (const timer of [this.#hold, this.#keepalive, this.#sendHold, this.#linger]) timer?.cancel()
    this.#closed ??= { error: undefined }
    this.connection.destroy()
  }

  run(untilMs: number): boolean {
    this.#isQueued = this.#read(untilMs)
    return this.#isQueued
  }

  #received(bytes: Uint8Array): void {
    if (this.#isDropped) return
    this.#reader.push(bytes)
    this.#unreadBytes += bytes.length
    this.#queue()
    if (this.#unreadBytes > inboundLimitBytes && !this.#isPaused) {
      this.#isPaused = true
      this.connection.pause()
    }
  }

  #queue(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    this.#deps.turns.add(this)
  }

  /** True: there may be more to read. */
  #read(untilMs: number): boolean {
    const { handlers, clock } = this.#deps
    for (let count = 0; count < turnMessages && !this.#isDropped; count++) {
      if (count > 0 && clock.nowMs() >= untilMs) break
      const message = this.#next()
      if (message === undefined) return this.#readAll()
      handlers.onMessage(this, message)
    }
    if (this.#isDropped) return false
    handlers.onTurnEnd(this)
    return !this.#isDropped
  }

  #next(): BgpMessage | undefined {
    try {
      return this.#reader.next(this.negotiated?.wire ?? initialWire)
    } catch (error) {
      if (!(error instanceof BgpError)) throw error
      this.#deps.handlers.onMalformed(this, error)
      return undefined
    }
  }

  #readAll(): boolean {
    if (this.#isDropped) return false
    this.#unreadBytes = 0
    this.#deps.handlers.onTurnEnd(this)
    this.#resume()
    if (this.#closed !== undefined && !this.#isDropped) this.#deps.handlers.onClosed(this, this.#closed.error)
    return false
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.connection.resume()
  }

  #ended(error: Error | undefined): void {
    if (this.#isDropped) return this.#gone()
    // what came before the end, such as the reason for it, is read first
    this.#closed = { error }
    this.#queue()
  }

  #gone(): void {
    if (this.#closed !== undefined) return
    this.#closed = { error: undefined }
    this.#linger?.cancel()
    this.#deps.handlers.onGone(this)
  }

  #drained(): void {
    this.#sendHold?.cancel()
    this.#sendHold = undefined
    if (!this.#isBehind || this.#isDropped) return
    this.#isBehind = false
    this.#deps.handlers.onDrain()
  }

  #checkHold(): void {
    // the peer has sent something, it is we who are late to read it
    if (this.#isQueued) this.touchHold()
    const leftMs = this.#heardMs + this.#holdMs - this.#deps.clock.nowMs()
    if (leftMs > 0) this.#hold = this.#deps.clock.after(leftMs, () => this.#checkHold())
    else this.#deps.handlers.onTimer(this, 'holdExpired')
  }

  #watchSending(): void {
    if (this.#sendHold !== undefined || this.#sendHoldMs === 0) return
    const takenBytes = this.#writtenBytes - this.connection.queuedBytes
    this.#sendHold = this.#deps.clock.after(this.#sendHoldMs, () => {
      this.#sendHold = undefined
      if (this.connection.queuedBytes === 0) return
      if (this.#writtenBytes - this.connection.queuedBytes > takenBytes) this.#watchSending()
      else this.#deps.handlers.onTimer(this, 'sendHoldExpired')
    })
  }
}
