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

/** Agents that are being looked for, or were found. They are closed when they are neither used, nor waited for, nor the newest ones. */
class Opened {
  /** Rejects when they cannot be found. */
  readonly access: Promise<AgentAccess>
  #users = 0
  #isOld = false

  constructor(access: Promise<AgentAccess>) {
    this.access = access
  }

  /** Who waits counts as a user from this moment on: else another one could have them closed in between. */
  async use<T>(work: (agents: readonly AgentOfNode[]) => Promise<T>): Promise<T> {
    this.#users++
    try {
      return await work((await this.access).agents)
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
    if (this.#isOld && this.#users === 0) await (await this.access)[Symbol.asyncDispose]()
  }
}

export class AgentPool implements AsyncDisposable {
  readonly #source: AgentSource
  #current: Opened | undefined
  #currentMs = -Infinity
  #opening: Opened | undefined
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
    return this.#fresh().use(work)
  }

  #fresh(): Opened {
    const mostMs = this.#isDoubted ? Math.min(doubtedAgeMs, this.#source.maxAgeMs) : this.#source.maxAgeMs
    if (this.#current !== undefined && performance.now() - this.#currentMs < mostMs) return this.#current
    return (this.#opening ??= this.#begin())
  }

  #begin(): Opened {
    const opened = new Opened(this.#open())
    opened.access.catch(() => (this.#opening = undefined))
    return opened
  }

  async #open(): Promise<AgentAccess> {
    const access = await this.#source.open()
    const before = this.#current
    this.#current = this.#opening
    this.#currentMs = performance.now()
    this.#opening = undefined
    this.#isDoubted = false
    // the new ones are there, whatever becomes of the former ones
    await before?.retire().catch(() => undefined)
    return access
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening?.access.catch(() => undefined)
    await this.#current?.retire()
    this.#current = undefined
  }
}
