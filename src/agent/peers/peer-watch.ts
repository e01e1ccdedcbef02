// Looks every few seconds whether packets that go to other nodes have any from them: reads the counters of the tunnel and asks suspects.
import { type Clock, sleep, systemClock } from '#/cluster/clock.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { type Addr, families } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { tableName, tunnelEndSets } from '#/model/names.ts'
import { type Problem, problemId } from '#/model/problems.ts'
import { type Verdict } from '#/model/verdict.ts'
import { answering } from './echo.ts'
import { flowsOf, type Packets } from './flows.ts'
import { PeerSilence } from './peer-silence.ts'

/** Four rounds without an answer are told: after a minute. */
const roundMs = 15_000
/** What each flow adds: with 5,000 nodes of two families a round comes once a minute. docs/scale.md has the cost. */
const roundMsPerFlow = 6
const waitMs = 1_000

export type PeerWatchDeps = {
  readonly nodeName: string
  readonly verdicts: () => Iterable<Verdict>
  readonly isLive: (node: string) => boolean
  /** Whether what `isLive` says is of now: while the API is away nobody tells that a node has died. */
  readonly isLifeKnown: () => boolean
  /** Called when `problems` or `isolation` has changed. */
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
  readonly ask?: (addrs: readonly Addr[]) => Promise<ReadonlySet<string>>
  readonly readPackets?: (set: string) => Promise<Packets>
}

export class PeerWatch implements AsyncDisposable {
  readonly #deps: PeerWatchDeps
  readonly #clock: Clock
  readonly #nftables = new NftClient()
  readonly #silence = new PeerSilence()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #problems: readonly Problem[] = []
  #isolation: string | undefined
  /** How many flows the last round had. */
  #flows = 0

  constructor(deps: PeerWatchDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? systemClock
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Why no other node answers this one; undefined when any does, or nothing is sent, or the others may have died. */
  get isolation(): string | undefined {
    return this.#deps.isLifeKnown() ? this.#isolation : undefined
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      await sleep(this.#clock, Math.max(roundMs, this.#flows * roundMsPerFlow), signal)
      if (signal.aborted) return
      try {
        await this.round()
      } catch (error) {
        // without counters or socket nothing is concluded; the next round tries again
        this.#deps.log.debug('other nodes were not looked at', { error: messageOf(error) })
      }
    }
  }

  /** Looks once. Throws KernelError or SysError when counters or a socket cannot be had. */
  async round(): Promise<void> {
    const { verdicts, isLive, nodeName, onChange, ask = async (addrs) => answering(addrs, waitMs) } = this.#deps
    const all = [...verdicts()]
    const flows = flowsOf(all, isLive, await this.#counters(all))
    this.#flows = flows.length
    const asked = this.#silence.observe(flows, this.#clock.monotonicMs())
    if (asked.length > 0)
      this.#silence.conclude(asked, await ask(asked.map(({ gateway }) => gateway)), this.#clock.monotonicMs())
    const before = newsOf(this.#problems, this.#isolation)
    const nowMs = this.#clock.monotonicMs()
    this.#problems = this.#silence.problems(nodeName, nowMs)
    this.#isolation = this.#silence.isolation(nowMs)
    if (newsOf(this.#problems, this.#isolation) !== before) onChange()
  }

  async #counters(verdicts: readonly Verdict[]): Promise<{ sent: Packets; received: Packets }> {
    const used = families.filter((family) =>
      verdicts.some((verdict) => verdict.way === 'vxlan' && verdict.tunnel.outer === family),
    )
    const { readPackets = (set) => this.#read(set) } = this.#deps
    const [received, sent] = [new Map<string, number>(), new Map<string, number>()]
    for (const family of used) {
      const [from, to] = tunnelEndSets(family)
      for (const [addr, packets] of await readPackets(from)) received.set(addr, packets)
      for (const [addr, packets] of await readPackets(to)) sent.set(addr, packets)
    }
    return { sent, received }
  }

  async #read(set: string): Promise<Packets> {
    const all = await this.#nftables.readTraffic('inet', tableName, set)
    return new Map(all.map(({ addr, traffic }) => [String(addr), traffic.packets]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
    this.#nftables[Symbol.dispose]()
  }
}

/** What makes news: a problem whose message has other numbers is none. */
function newsOf(problems: readonly Problem[], isolation: string | undefined): string {
  return JSON.stringify([problems.map(problemId), isolation])
}
