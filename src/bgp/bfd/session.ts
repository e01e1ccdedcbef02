// One BFD session: runs the machine against time and a socket. RFC 5880 sections 6.8.4 and 6.8.7.
import { type Logger } from '#/lib/log.ts'
import { type BfdSettings } from '#/model/bgp.ts'
import { type BfdPacket, type BfdState, diagnosticText, encodeBfdPacket } from '#/wire/bfd/packet.ts'
import { type SpeakerClock, type Timer } from '../contract.ts'
import {
  type BfdEvent,
  type BfdMachineState,
  bfdStep,
  detectionTimeUs,
  initialBfdState,
  isOfBefore,
  packetOf,
  reportedState,
  transmitIntervalUs,
} from './machine.ts'
import { type BfdSender } from './transport.ts'

/** The longest that a timer takes; a neighbour can ask for more. */
const longestTimerMs = 2 ** 31 - 1
/** How long AdminDown is sent, so that one packet that is lost does not make a failure of it (RFC 5880 section 6.8.16). */
const farewellMs = 3_000
/** How long a session of before is waited for: less than a neighbour that knows of none would wait for us to begin. */
const expectMs = 2_000
/** Before a restart, so that one that is lost does not make a failure of it. */
const restPackets = 3

export type BfdSessionDeps = {
  readonly sender: BfdSender
  /** Hands over packets that have come and wait to be read. */
  readonly drain: () => void
  readonly clock: SpeakerClock
  /** Gives a number in [0, 1). */
  readonly random: () => number
  readonly log: Logger
  readonly onState: (state: BfdState, diagnostic: number) => void
}

export class BfdSession implements Disposable {
  readonly #deps: BfdSessionDeps
  #state: BfdMachineState
  #transmitTimer: Timer | undefined
  #sentMs: number
  #intervalUs: number | undefined
  #detectTimer: Timer | undefined
  #heardMs = 0
  #detectUs: number | undefined
  #farewell: Timer | undefined
  #expectation: Timer | undefined
  #isDisposed = false

  /**
   * Sends its first packet at once. With `isExpecting` it listens for a while first: whoever is told that a session is down takes it
   * down, and the neighbour may still have one that is up, from before a restart.
   */
  constructor(
    options: { readonly discriminator: number; readonly settings: BfdSettings; readonly isExpecting: boolean },
    deps: BfdSessionDeps,
  ) {
    this.#deps = deps
    this.#state = initialBfdState(options.discriminator, options.settings)
    this.#sentMs = deps.clock.nowMs()
    if (options.isExpecting) this.#expectation = deps.clock.after(expectMs, () => this.#begin())
    else this.#begin()
  }

  #endExpectation(): void {
    this.#expectation?.cancel()
    this.#expectation = undefined
  }

  #begin(): void {
    this.#endExpectation()
    this.#transmit()
    this.#schedule()
  }

  /** Whether it takes up a session that was there before: the next packet is then this session's whatever its discriminator. */
  get isExpecting(): boolean {
    return this.#expectation !== undefined
  }

  get state(): BfdState {
    return reportedState(this.#state)
  }

  get diagnostic(): number {
    return this.#state.diagnostic
  }

  get discriminator(): number {
    return this.#state.localDiscriminator
  }

  get isEnding(): boolean {
    return this.#farewell !== undefined
  }

  received(packet: BfdPacket): void {
    this.#heardMs = this.#deps.clock.nowMs()
    if (!this.isExpecting) return this.#handle({ kind: 'packet', packet })
    this.#endExpectation()
    if (isOfBefore(packet)) return this.#handle({ kind: 'adopt', packet })
    this.#begin()
    this.#handle({ kind: 'packet', packet })
  }

  configure(settings: BfdSettings): void {
    this.#handle({ kind: 'configure', settings })
  }

  /**
   * Before a restart: the other side is to take this end for alive for so long, without a packet from it. Then nothing is sent any
   * more; of a session that is not up nothing is said.
   */
  rest(restartMs: number): void {
    this.#handle({ kind: 'rest', restartMs })
    if (this.#state.local === 'Up') for (let sent = 1; sent < restPackets; sent++) this.#send(false)
    this[Symbol.dispose]()
  }

  /** Tells the other side that nobody needs it any more; `onGone` is called when that has been said often enough. */
  end(onGone: () => void): void {
    this.#endExpectation()
    this.#handle({ kind: 'disable' })
    this.#farewell = this.#deps.clock.after(farewellMs, onGone)
  }

  /** Takes `end` back. */
  revive(settings: BfdSettings): void {
    this.#farewell?.cancel()
    this.#farewell = undefined
    this.#handle({ kind: 'configure', settings })
    this.#handle({ kind: 'enable' })
  }

  /** Without AdminDown, the other side has to find out. */
  [Symbol.dispose](): void {
    this.#isDisposed = true
    for (const timer of [this.#transmitTimer, this.#detectTimer, this.#farewell, this.#expectation]) timer?.cancel()
    this.#deps.sender[Symbol.dispose]()
  }

  #handle(event: BfdEvent): void {
    if (this.#isDisposed) return
    const before = this.#state
    const { state, send } = bfdStep(before, event)
    this.#state = state
    if (send === 'final') this.#send(true)
    else if (send === 'news') this.#transmit()
    this.#schedule()
    if (reportedState(before) === this.state) return
    this.#deps.log.info('BFD session state', {
      from: reportedState(before),
      to: this.state,
      diagnostic: diagnosticText(state.diagnostic),
    })
    this.#deps.onState(this.state, state.diagnostic)
  }

  #send(isFinal: boolean): void {
    this.#deps.sender.send(encodeBfdPacket(packetOf(this.#state, isFinal)))
  }

  /** The next packet of the row, whether it is due or not. */
  #transmit(): void {
    this.#sentMs = this.#deps.clock.nowMs()
    this.#send(false)
    this.#scheduleTransmit()
  }

  /** Timers follow what the other side asks for and what we are configured for. */
  #schedule(): void {
    if (this.isExpecting) return
    const intervalUs = transmitIntervalUs(this.#state)
    if (intervalUs !== this.#intervalUs) {
      this.#intervalUs = intervalUs
      this.#scheduleTransmit()
    }
    const detectUs = detectionTimeUs(this.#state)
    if (detectUs !== this.#detectUs) {
      this.#detectUs = detectUs
      this.#scheduleDetect()
    }
  }

  #scheduleTransmit(): void {
    this.#transmitTimer?.cancel()
    this.#transmitTimer = undefined
    if (this.#intervalUs === undefined) return
    const dueMs = this.#sentMs + (this.#intervalUs / 1000) * this.#jitter()
    this.#transmitTimer = this.#after(dueMs, () => this.#transmit())
  }

  /** Up to a quarter less, so that sessions do not fall into step; with multiplier 1 never all of the interval. */
  #jitter(): number {
    const most = this.#state.settings.detectMultiplier === 1 ? 0.9 : 1
    return most - this.#deps.random() * (most - 0.75)
  }

  #scheduleDetect(): void {
    this.#detectTimer?.cancel()
    this.#detectTimer = undefined
    if (this.#detectUs === undefined) return
    // whole milliseconds, so that it is not due a little before the time is over
    this.#detectTimer = this.#after(Math.ceil(this.#heardMs + this.#detectUs / 1000), () => this.#detect())
  }

  /** A packet does not move the timer: it finds out when it is due whether one has come. */
  #detect(): void {
    // a late event loop has not read yet what came in time
    if (!this.#isSilent()) return this.#scheduleDetect()
    this.#deps.drain()
    if (this.#isDisposed || this.#detectUs === undefined) return
    if (this.#isSilent()) this.#handle({ kind: 'detectionExpired' })
    else this.#scheduleDetect()
  }

  #isSilent(): boolean {
    return this.#deps.clock.nowMs() - this.#heardMs >= (this.#detectUs ?? Infinity) / 1000
  }

  #after(dueMs: number, call: () => void): Timer {
    const delayMs = Math.max(0, dueMs - this.#deps.clock.nowMs())
    return this.#deps.clock.after(Math.min(delayMs, longestTimerMs), call)
  }
}
