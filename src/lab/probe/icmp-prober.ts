// The ICMP probes of one pod and family: one raw socket in the pod's namespace sends echo requests to all targets and sorts the replies by
// identifier and sequence number. Targets that do not reply are asked again.
import { randomBytes } from 'node:crypto'
import { closeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import type { Addr, Family } from '#/lib/addr.ts'
import { equalBytes } from '#/lib/bytes.ts'
import { POLLIN } from '#/sys/fd-watcher.ts'
import { SysError } from '#/sys/libc.ts'
import type { Netns } from '#/sys/netns.ts'
import { untilReady } from '#/sys/readiness.ts'
import { icmpSocket, realtimeMs, receivedAtMs, receiveFrom, sendTo } from '#/sys/socket.ts'
import { cookieBytes, encodeEchoRequest, type IcmpPacket, icmpTypes, parseIcmp } from '#/wire/icmp/packet.ts'
import type { Pair } from './pairs.ts'
import { failed, problemOf } from './problem.ts'
import type { Outcome } from './types.ts'

/** How many rounds of requests silent targets get, so that one lost packet is not a failure. */
const rounds = 3
/** How many requests are sent before replies are read, so that replies do not overflow the socket's buffer. */
const sendsAtOnce = 16

let lastId = process.pid & 0xffff

function nextId(): number {
  lastId = (lastId + 1) & 0xffff
  return lastId
}

export class IcmpProber {
  readonly #family: Family
  readonly #pairs: readonly Pair[]
  readonly #timeoutMs: number
  readonly #fd: number
  readonly #id = nextId()
  /** Sent in every request and returned in its reply, because a prober in another process may have the same identifier. */
  readonly #cookie = randomBytes(cookieBytes)
  readonly #buffer = new Uint8Array(2048)
  /** The outcomes by pair; a pair without one is still open. */
  readonly #outcomes = new Map<Pair, Outcome>()
  /** Errors of sending, kept for targets that stay silent. */
  readonly #sendProblems = new Map<Pair, string>()
  /** The requests by sequence number: their pair and the time of sending. */
  readonly #requests: { readonly pair: Pair; readonly sentMs: number }[] = []

  /** All `pairs` must have the same source and family. Throws when the socket cannot be made. */
  constructor(options: { family: Family; pairs: readonly Pair[]; timeoutMs: number }, deps: { netns: Netns }) {
    this.#family = options.family
    this.#pairs = options.pairs
    this.#timeoutMs = options.timeoutMs
    this.#fd = deps.netns.run(() => icmpSocket(options.family, icmpTypes(options.family)))
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }

  /** Sends requests to all targets, and again to silent ones; resolves when all have an outcome. */
  async run(): Promise<ReadonlyMap<Pair, Outcome>> {
    const startMs = performance.now()
    for (let round = 1; round <= rounds && this.#open().length > 0; round++) {
      await this.#ask()
      await this.#listen(startMs + (this.#timeoutMs * round) / rounds)
    }
    const silence = `no reply within ${this.#timeoutMs} ms`
    for (const pair of this.#open()) this.#settle(pair, failed(this.#sendProblems.get(pair) ?? silence))
    return this.#outcomes
  }

  #open(): Pair[] {
    return this.#pairs.filter((pair) => !this.#outcomes.has(pair))
  }

  #settle(pair: Pair, outcome: Outcome): void {
    if (!this.#outcomes.has(pair)) this.#outcomes.set(pair, outcome)
  }

  async #ask(): Promise<void> {
    for (const [index, pair] of this.#open().entries()) {
      this.#send(pair)
      if (index % sendsAtOnce !== sendsAtOnce - 1) continue
      this.#drain()
      await setImmediate()
    }
  }

  #send(pair: Pair): void {
    const seq = this.#requests.push({ pair, sentMs: realtimeMs() }) - 1
    try {
      sendTo(this.#fd, encodeEchoRequest(this.#family, { id: this.#id, seq, cookie: this.#cookie }), pair.target)
      this.#sendProblems.delete(pair)
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      this.#sendProblems.set(pair, problemOf(error))
    }
  }

  /** Reads replies until all pairs have an outcome or the time is `untilMs`. */
  async #listen(untilMs: number): Promise<void> {
    while (this.#open().length > 0) {
      if (!(await untilReady(this.#fd, POLLIN, untilMs))) return
      this.#drain()
    }
  }

  #drain(): void {
    for (;;) {
      const datagram = receiveFrom(this.#fd, this.#buffer)
      if (datagram === undefined) return
      const packet = parseIcmp(this.#family, datagram.bytes)
      if (packet?.id === this.#id) this.#take(packet, datagram.from)
    }
  }

  #take(packet: IcmpPacket, from: Addr): void {
    const request = this.#requests[packet.seq]
    if (request === undefined) return
    const { pair, sentMs } = request
    if (packet.kind === 'error') return this.#settle(pair, failed(`${packet.words}, says ${from}`))
    if (!equalBytes(packet.cookie, this.#cookie)) return
    if (!from.equals(pair.target)) return this.#settle(pair, failed(`the reply came from ${from}`))
    const receivedMs = receivedAtMs(this.#fd) ?? realtimeMs()
    this.#settle(pair, { ok: true, rttMs: Math.max(0, receivedMs - sentMs) })
  }
}
