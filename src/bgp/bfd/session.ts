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

/** The longest delay that a timer can have; a neighbour can ask for more. */
const longestTimerMs = 2 ** 31 - 1
/** How long AdminDown is sent, so that one lost packet does not turn it into a failure (RFC 5880 section 6.8.16). */
const farewellMs = 3_000
/**
 * How long to wait for a packet of the session from before a restart. A neighbour without such a session waits longer than this for us to
 * begin.
 */
const expectMs = 2_000
/** The number of packets sent before a restart, so that one lost packet does not cause a failure. */
const restPackets = 3

export type BfdSessionDeps = {
  readonly sender: BfdSender
  /** Hands over packets that have arrived and wait to be read. */
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
   * Sends the first packet at once. With `isExpecting` it first listens for a while: a packet that says Down would take the neighbour's
   * session down, and the neighbour may still have one that is up from before a restart.
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

  /** Whether the session waits to take up one from before a restart: the next packet is then this session's, whatever its discriminator. */
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
   * Before a restart: makes the neighbour count this end as alive for `restartMs` without a packet. Then nothing is sent any more. A
   * session that is not up sends nothing at all.
   */
  rest(restartMs: number): void {
    this.#handle({ kind: 'rest', restartMs })
    if (this.#state.local === 'Up') for (let sent = 1; sent < restPackets; sent++) this.#send(false)
    this[Symbol.dispose]()
  }

  /** Tells the neighbour with AdminDown that the session is no longer needed; calls `onGone` after `farewellMs`. */
  end(onGone: () => void): void {
    this.#endExpectation()
    this.#handle({ kind: 'disable' })
    this.#farewell = this.#deps.clock.after(farewellMs, onGone)
  }

  /** Undoes `end`. */
  revive(settings: BfdSettings): void {
    this.#farewell?.cancel()
    this.#farewell = undefined
    this.#handle({ kind: 'configure', settings })
    this.#handle({ kind: 'enable' })
  }

  /** Stops without sending AdminDown: the neighbour notices only by its detection time. */
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

  /** Sends the next periodic packet now, whether it is due or not. */
  #transmit(): void {
    this.#sentMs = this.#deps.clock.nowMs()
    this.#send(false)
    this.#scheduleTransmit()
  }

  /** Sets the timers to the intervals that follow from the neighbour's packets and our own settings. */
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

  /**
   * The share of the interval to wait: up to a quarter less, so that sessions do not fall into step; with multiplier 1 always less than the
   * whole (section 6.8.7).
   */
  #jitter(): number {
    const most = this.#state.settings.detectMultiplier === 1 ? 0.9 : 1
    return most - this.#deps.random() * (most - 0.75)
  }

  #scheduleDetect(): void {
    this.#detectTimer?.cancel()
    this.#detectTimer = undefined
    if (this.#detectUs === undefined) return
    // Rounded up to whole milliseconds, so that the timer is not due a little before the detection time is over.
    this.#detectTimer = this.#after(Math.ceil(this.#heardMs + this.#detectUs / 1000), () => this.#detect())
  }

  /** Runs when the timer is due. Packets do not move the timer; this checks whether one has arrived and sets the timer again if so. */
  #detect(): void {
    // When the event loop is late, packets that arrived in time may not be read yet.
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
