// The agents that the page looks at, found anew now and then: nodes come and go, and with a new release each agent is in another pod.
import { type AgentOfNode } from '#/api/client.ts'
import { type AgentAccess } from '../access/cluster-access.ts'

/** Where agents are found. */
export type AgentSource = {
  /** What is looked at, in words: it is shown. */
  readonly name: string
  /** Rejects when the agents cannot be found, with what to do. */
  readonly open: () => Promise<AgentAccess>
  /** How long what was found is used: to list the pods of a large cluster is dear, to read the file of a lab is not. */
  readonly maxAgeMs: number
  /** How long a node may take for a short answer. */
  readonly answerMs: number
  /** The least pause between two rounds: through an API server each answer is a process that is started on the node. */
  readonly leastPauseMs: number
}

/** When an agent does not answer, another one may have taken its place: they are looked for sooner. */
const doubtedAgeMs = 10_000

/** Is closed when it is neither used any more nor the newest one. */
class Opened {
  readonly access: AgentAccess
  readonly openedMs: number
  #users = 0
  #isOld = false

  constructor(access: AgentAccess, openedMs: number) {
    this.access = access
    this.openedMs = openedMs
  }

  async use<T>(work: (agents: readonly AgentOfNode[]) => Promise<T>): Promise<T> {
    this.#users++
    try {
      return await work(this.access.agents)
    } finally {
      this.#users--
      await this.#closeIfDone()
    }
  }

  async retire(): Promise<void> {
    this.#isOld = true
    await this.#closeIfDone()
  }

  async #closeIfDone(): Promise<void> {
    if (this.#isOld && this.#users === 0) await this.access[Symbol.asyncDispose]()
  }
}

export class AgentPool implements AsyncDisposable {
  readonly #source: AgentSource
  #current: Opened | undefined
  #opening: Promise<Opened> | undefined
  #isDoubted = false

  constructor(source: AgentSource) {
    this.#source = source
  }

  /** An agent did not answer. */
  doubt(): void {
    this.#isDoubted = true
  }

  /** Rejects when the agents cannot be found. */
  async use<T>(work: (agents: readonly AgentOfNode[]) => Promise<T>): Promise<T> {
    return await (await this.#fresh()).use(work)
  }

  async #fresh(): Promise<Opened> {
    const ageMs = performance.now() - (this.#current?.openedMs ?? -Infinity)
    const mostMs = this.#isDoubted ? Math.min(doubtedAgeMs, this.#source.maxAgeMs) : this.#source.maxAgeMs
    if (this.#current !== undefined && ageMs < mostMs) return this.#current
    return await (this.#opening ??= this.#open().finally(() => (this.#opening = undefined)))
  }

  async #open(): Promise<Opened> {
    const opened = new Opened(await this.#source.open(), performance.now())
    const before = this.#current
    this.#current = opened
    this.#isDoubted = false
    await before?.retire()
    return opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening?.catch(() => undefined)
    await this.#current?.retire()
    this.#current = undefined
  }
}
