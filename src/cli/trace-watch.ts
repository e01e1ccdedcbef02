// Watches for the packets of a trace on several nodes at once, until they have told enough.
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentOfNode, followAgent, type Outcome } from '#/api/client.ts'
import { traceLimits, type TraceWatchLine, type TraceWatchRequest } from '#/api/schemas/trace.ts'
import { type Sighting } from '#/trace/types.ts'
import { busyMs, busyPauseMs, isBusy } from './trace-ask.ts'

/** Whoever has not begun by then is not waited for. */
const readyMs = 3_000

export type Blind = { readonly node: string; readonly why: string }

export class Watch implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #watches: Promise<void>[]
  /** The nodes that were asked to watch. */
  readonly nodes: ReadonlySet<string>
  readonly #ends: Promise<void>[] = []
  readonly #sightings: Sighting[] = []
  readonly #told = new Map<string, number>()
  readonly #blind = new Map<string, string>()
  readonly #waiting = new Map<string, () => void>()
  readonly #lost = new Map<string, number>()
  #onSighting: (sighting: Sighting) => void = () => {}

  constructor(agents: readonly AgentOfNode[], request: TraceWatchRequest) {
    this.nodes = new Set(agents.map(({ node }) => node))
    this.#watches = agents.map(async (agent) => this.#follow(agent, request))
  }

  get sightings(): readonly Sighting[] {
    return this.#sightings
  }

  /** The nodes that do not watch, and why. */
  get blind(): readonly Blind[] {
    return [...this.#blind].map(([node, why]) => ({ node, why }))
  }

  /** What was not told, as the nodes say. */
  get notes(): readonly string[] {
    return [...this.#lost].map(
      ([node, count]) => `${node}: ${count || 'some'} packets were seen and are not told: there were too many`,
    )
  }

  set onSighting(handler: (sighting: Sighting) => void) {
    this.#onSighting = handler
  }

  async #follow({ node, transport }: AgentOfNode, request: TraceWatchRequest): Promise<void> {
    const { promise: begun, resolve } = Promise.withResolvers<void>()
    this.#waiting.set(node, resolve)
    const following = this.#attempts({ node, transport }, request).then((outcome) => {
      const why = outcome.kind === 'answer' ? 'its agent has ended the watch' : outcome.message
      this.#settle(node, why)
      this.#endEarly(node, why)
    })
    await begun
    this.#ends.push(following)
  }

  /** Asks until the agent has room for one more watch, but not for ever. */
  async #attempts({ node, transport }: AgentOfNode, request: TraceWatchRequest): Promise<Outcome<number>> {
    const startMs = performance.now()
    const { signal } = this.#stop
    for (;;) {
      const late = `it does not begin to watch within ${readyMs / 1000} s`
      const timer = setTimeout(() => this.#settle(node, late), readyMs)
      const outcome = await followAgent(transport, 'traceWatch', request, (line) => this.#take(node, line), { signal })
      clearTimeout(timer)
      if (!isBusy(outcome) || signal.aborted || performance.now() - startMs > busyMs) return outcome
      await sleep(busyPauseMs)
    }
  }

  /** The first word about a node counts: that it watches, or why not. */
  #settle(node: string, why?: string): void {
    const resolve = this.#waiting.get(node)
    if (resolve === undefined) return
    this.#waiting.delete(node)
    if (why !== undefined) this.#blind.set(node, why)
    resolve()
  }

  /** What comes to a node that does not watch any more is not seen. */
  #endEarly(node: string, why: string): void {
    if (!this.#stop.signal.aborted && !this.#blind.has(node)) this.#blind.set(node, why)
  }

  #take(node: string, { kind, sighting, lost, end }: TraceWatchLine): void {
    if (kind === 'ready') this.#settle(node)
    if (kind === 'end') {
      const why = end ?? 'it cannot watch'
      this.#settle(node, why)
      this.#endEarly(node, why)
    }
    if (kind === 'lost') this.#lost.set(node, (this.#lost.get(node) ?? 0) + (lost ?? 0))
    if (sighting === undefined) return
    const count = (this.#told.get(node) ?? 0) + 1
    this.#told.set(node, count)
    // no agent tells more
    if (count > traceLimits.sightings) return
    const told = { node, ...sighting }
    this.#sightings.push(told)
    this.#onSighting(told)
  }

  /** Resolves when each node watches, or has said why it does not. */
  async ready(): Promise<void> {
    await Promise.all(this.#watches)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#ends)
  }
}
