// Asks all agents again and again, as long as somebody looks: one round at a time, and the next one after a pause that grows with what a round takes.
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentOfNode, mostAtOnce, type Outcome } from '#/api/client.ts'
import { type NodeSummary } from '#/api/schemas/summary.ts'
import { summaryOfStatus } from '#/api/summary.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { messageOf } from '#/lib/log.ts'
import { type Picture } from '#/ui/picture.ts'
import { askSoon, isLate } from '../trace-ask.ts'
import { type AgentPool } from './agent-pool.ts'

/** Answers are shown this often while a long round goes on. */
const showMs = 500

/** How far a round is. Times are ms since 1970. */
export type Round = {
  /** When nodes were asked. */
  readonly askedMs: number
  /** When there will be news again. */
  readonly dueMs: number
  /** The round is done. */
  readonly isWhole: boolean
}

export type PollerDeps = {
  readonly pool: AgentPool
  readonly picture: Picture
  readonly answerMs: number
  /** The picture may have changed. */
  readonly onNews: (round: Round) => void
  /** The agents cannot be found now. */
  readonly onFailure: (message: string) => void
  readonly leastPauseMs: number
}

export class Poller implements AsyncDisposable {
  readonly #deps: PollerDeps
  #stop: AbortController | undefined
  #running: Promise<void> | undefined
  /** Agents of a release without a short answer, by the place where they are. */
  readonly #withoutSummary = new Set<string>()
  /** Nodes that were waited for in vain: they are asked last. */
  readonly #late = new Set<string>()

  constructor(deps: PollerDeps) {
    this.#deps = deps
  }

  start(): void {
    if (this.#stop !== undefined) return
    const stop = new AbortController()
    this.#stop = stop
    const before = this.#running ?? Promise.resolve()
    this.#running = before.then(() => this.#run(stop.signal))
  }

  /** What is being asked is given up. */
  stop(): void {
    this.#stop?.abort()
    this.#stop = undefined
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { pool, onFailure } = this.#deps
    while (!signal.aborted) {
      const startMs = performance.now()
      try {
        await pool.use(async (agents, unlisted) => {
          await this.#round(agents, unlisted, signal)
          if (!signal.aborted) this.#tell(true, this.#pauseMs(startMs))
        })
      } catch (error) {
        if (!signal.aborted) onFailure(messageOf(error))
      }
      await sleep(this.#pauseMs(startMs), undefined, { signal }).catch(() => undefined)
    }
  }

  #pauseMs(startMs: number): number {
    return Math.max(this.#deps.leastPauseMs, performance.now() - startMs)
  }

  #tell(isWhole: boolean, pauseMs: number): void {
    const nowMs = Date.now()
    this.#deps.onNews({ askedMs: nowMs, dueMs: nowMs + pauseMs + showMs, isWhole })
  }

  async #round(agents: readonly AgentOfNode[], unlisted: string | undefined, signal: AbortSignal): Promise<void> {
    const { picture } = this.#deps
    picture.takeNames(
      agents.map(({ node }) => node),
      unlisted,
    )
    const queue = agents.toSorted((a, b) => Number(this.#late.has(a.node)) - Number(this.#late.has(b.node)))
    const show = setInterval(() => this.#tell(false, showMs), showMs)
    try {
      await eachOf(queue, mostAtOnce, async (agent) => {
        if (!signal.aborted) await this.#ask(agent, signal)
      })
    } finally {
      clearInterval(show)
    }
  }

  async #ask(agent: AgentOfNode, signal: AbortSignal): Promise<void> {
    const { pool, picture } = this.#deps
    const outcome = await this.#summaryOf(agent, signal)
    if (signal.aborted) return
    if (outcome.kind === 'silence') pool.doubt()
    if (isLate(outcome)) this.#late.add(agent.node)
    else this.#late.delete(agent.node)
    picture.take(agent.node, outcome, Date.now())
  }

  async #summaryOf(agent: AgentOfNode, signal: AbortSignal): Promise<Outcome<NodeSummary>> {
    const { answerMs } = this.#deps
    const { place } = agent.transport
    if (!this.#withoutSummary.has(place)) {
      const outcome = await askSoon(agent, 'summary', {}, signal, answerMs)
      if (outcome.kind !== 'mismatch') return outcome
    }
    const status = await askSoon(agent, 'status', {}, signal, answerMs)
    if (status.kind !== 'answer') {
      this.#withoutSummary.delete(place)
      return status
    }
    this.#withoutSummary.add(place)
    return { kind: 'answer', value: summaryOfStatus(status.value) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await this.#running
  }
}
