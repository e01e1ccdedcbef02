// Sends probes when they are due, and gives each way what came of its own. After a pause of this process nothing is made up for, and nothing is
// concluded from what was under way then.
import { type Clock, sleep } from '#/cluster/clock.ts'
import { type Addr } from '#/lib/addr.ts'
import { EchoSockets, type OpenSocket } from './echo-sockets.ts'
import { sameTarget, type Target } from './targets.ts'
import { type Size, toleranceMs, WayState } from './way-state.ts'

/** When answers of the same network have come; those from farther away are taken in later. */
const answersAfterMs = 30
/** The shortest time between two looks. */
const leastPauseMs = 20
/** The longest: targets may have changed. */
const mostPauseMs = 1_000
/** The timer came that much too late: the process or the machine stood still, and answers may be lost that came meanwhile. */
const stallMs = 1_000
/** Between two probes to a way that somebody has asked for. */
const askEveryMs = 50
/** The large ones go with small ones, and are looked at before these (WayState). */
const sizes: readonly Size[] = ['full', 'small']
const seqLimit = 0x1_0000

export type ProberDeps = {
  readonly clock: Clock
  /** How often each way gets a small probe. */
  readonly everyMs: number
  /** The ways to look after now; called before each round. */
  readonly targets: () => readonly Target[]
  /** Called after each round. */
  readonly onRound: () => void
  /** Called when a look failed, with the reason. */
  readonly onError: (error: unknown) => void
  readonly openSocket?: OpenSocket
}

type Asked = { readonly way: WayState; readonly atRealMs: number }

export class Prober implements Disposable {
  readonly #deps: ProberDeps
  readonly #sockets: EchoSockets
  #ways: ReadonlyMap<string, WayState> = new Map()
  /** Ways that are asked once, beside those that are looked after. */
  readonly #guests = new Set<WayState>()
  readonly #asked = new Map<number, Asked>()
  #lastSeq = Math.floor(Math.random() * seqLimit)
  #cancel: (() => void) | undefined
  #wakeMs = 0
  /** How many packets were sent to each end of the tunnel, by its address. */
  readonly #sentInTunnel = new Map<string, number>()

  constructor(deps: ProberDeps) {
    this.#deps = deps
    this.#sockets = new EchoSockets(deps.openSocket)
  }

  /** The ways that are looked after, by their keys. */
  get ways(): ReadonlyMap<string, WayState> {
    return this.#ways
  }

  /** How many probes went through the tunnel to this end of it, given as text. */
  sentTo(tunnelEnd: string): number {
    return this.#sentInTunnel.get(tunnelEnd) ?? 0
  }

  start(): void {
    this.#wakeMs = this.#nowMs
    this.#cancel ??= this.#deps.clock.after(0, () => this.#wake())
  }

  get #nowMs(): number {
    return this.#deps.clock.monotonicMs()
  }

  #wake(): void {
    try {
      this.#look()
    } catch (error) {
      this.#deps.onError(error)
    }
    const nowMs = this.#nowMs
    const nextMs = Math.min(...[...this.#ways.values()].map((way) => this.#nextMs(way, nowMs)))
    const pauseMs = Math.min(Math.max(nextMs - nowMs, leastPauseMs), mostPauseMs)
    this.#wakeMs = nowMs + pauseMs
    this.#cancel = this.#deps.clock.after(pauseMs, () => this.#wake())
  }

  #nextMs(way: WayState, nowMs: number): number {
    const lookMs = way.lastSentMs + answersAfterMs
    return way.isWaiting && lookMs > nowMs ? Math.min(lookMs, way.nextMs(nowMs)) : way.nextMs(nowMs)
  }

  /** Takes in what has come, and sends what is due. */
  #look(): void {
    const nowMs = this.#nowMs
    this.#receive()
    const isStalled = nowMs - this.#wakeMs > stallMs
    this.#wakeMs = nowMs
    this.#takeTargets(nowMs)
    for (const way of this.#ways.values()) {
      if (isStalled) way.forget()
      else way.expire(nowMs)
      for (const size of sizes) if (way.dueMs(size, nowMs) <= nowMs + toleranceMs) this.#send(way, size, nowMs)
    }
    this.#deps.onRound()
  }

  #takeTargets(nowMs: number): void {
    const { everyMs } = this.#deps
    const before = this.#ways
    const ways = new Map<string, WayState>()
    for (const target of this.#deps.targets()) {
      const known = before.get(target.key)
      ways.set(target.key, known && sameTarget(known.target, target) ? known : new WayState(target, nowMs, { everyMs }))
    }
    this.#ways = ways
    this.#sockets.keep([...ways.values(), ...this.#guests].map(({ target }) => target.src))
  }

  /** Sends a probe at once. */
  #send(way: WayState, size: Size, nowMs: number): void {
    const sizeBytes = way.bytesOf(size)
    if (sizeBytes === undefined) return
    const { src, dst, tunnel } = way.target
    const seq = this.#lastSeq
    this.#lastSeq = (this.#lastSeq + 1) % seqLimit
    way.sent(size, seq, nowMs)
    const sent = this.#sockets.send({ src, dst, seq, sizeBytes })
    if (typeof sent === 'object') return way.refused(seq, sent, nowMs)
    if (tunnel) add(this.#sentInTunnel, tunnel.dst)
    this.#asked.set(seq, { way, atRealMs: sent })
  }

  /** Takes in what has come. */
  #receive(): void {
    const nowMs = this.#nowMs
    for (const received of this.#sockets.receive()) {
      if (received.kind === 'probe') {
        for (const way of this.#ways.values()) if (way.target.dst.equals(received.from)) way.signs.hear(nowMs)
        continue
      }
      const asked = this.#asked.get(received.seq)
      if (asked === undefined) continue
      const { way, atRealMs } = asked
      if (received.kind === 'refusal') way.refused(received.seq, received.refusal, nowMs)
      // whoever has the cookie got the request: the network address of an IPv6 subnet is answered for from another one
      else way.answered(received.seq, nowMs, rttOf(atRealMs, received.atMs))
      this.#asked.delete(received.seq)
    }
    for (const [seq, { way }] of this.#asked) if (!way.waitsFor(seq)) this.#asked.delete(seq)
  }

  /** Asks these ways at once, `count` times in each size; resolves when all has come, or does not come any more. */
  async ask(targets: readonly Target[], count: number, signal: AbortSignal): Promise<WayState[]> {
    const { clock } = this.#deps
    const ways = targets.map((target) => new WayState(target, this.#nowMs, { everyMs: askEveryMs, countsAll: true }))
    for (const way of ways) this.#guests.add(way)
    try {
      for (let turn = 0; turn < count; turn++) {
        for (const way of ways) for (const size of sizes) this.#send(way, size, this.#nowMs)
        await sleep(clock, askEveryMs, signal)
        this.#receive()
      }
      while (ways.some(({ isWaiting }) => isWaiting) && !signal.aborted) {
        await sleep(clock, leastPauseMs, signal)
        this.#receive()
        for (const way of ways) way.expire(this.#nowMs)
      }
      return ways
    } finally {
      for (const way of ways) this.#guests.delete(way)
    }
  }

  [Symbol.dispose](): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#sockets[Symbol.dispose]()
  }
}

function add(counts: Map<string, number>, addr: Addr): void {
  const key = String(addr)
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

/** The wall clock, by which the kernel stamps packets, may have jumped meanwhile: then nothing is known. */
function rttOf(sentMs: number, receivedMs: number | undefined): number | undefined {
  const rttMs = receivedMs === undefined ? -1 : receivedMs - sentMs
  return rttMs >= 0 && rttMs < 60_000 ? rttMs : undefined
}
