// The agents that the page looks at, found anew now and then: nodes come and go, and with a new release each agent is in another pod.
import { type AgentOfNode } from '#/api/client.ts'
import { type AgentAccess } from '../access/cluster-access.ts'
import { type FoundAgents, unlistedText, withKept } from '../access/found-agents.ts'

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

/** Who uses agents: what could not be looked for is told in words. */
type Work<T> = (agents: readonly AgentOfNode[], unlisted: string | undefined) => Promise<T>

/** Agents that are looked for, or were found. Closed when they are neither used any more nor the newest ones. */
class Opened {
  readonly #access: Promise<AgentAccess>
  /** What was found, with what is kept of the former ones. */
  readonly found: Promise<FoundAgents>
  /** When they were found. */
  openedMs = Infinity
  #users = 0
  #isOld = false

  constructor(access: Promise<AgentAccess>, before: Opened | undefined) {
    this.#access = access
    this.found = Promise.all([access, before?.found]).then(([now, known]) => {
      this.openedMs = performance.now()
      return withKept(now, known)
    })
  }

  /** Who waits for them to be found uses them already: they are not closed before he begins. */
  async use<T>(work: Work<T>): Promise<T> {
    this.#users++
    try {
      const { agents, unlisted } = await this.found
      return await work(agents, unlisted && unlistedText(unlisted))
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
    if (this.#isOld && this.#users === 0) await (await this.#access)[Symbol.asyncDispose]()
  }
}

export class AgentPool implements AsyncDisposable {
  readonly #source: AgentSource
  #current: Opened | undefined
  #opening: Opened | undefined
  /** Ends when what is looked for is found, or not, and the former ones are given up. */
  #settling: Promise<unknown> = Promise.resolve()
  #isDoubted = false

  constructor(source: AgentSource) {
    this.#source = source
  }

  /** An agent did not answer. */
  doubt(): void {
    this.#isDoubted = true
  }

  /** Rejects when the agents cannot be found. */
  async use<T>(work: Work<T>): Promise<T> {
    return await this.#fresh().use(work)
  }

  #fresh(): Opened {
    const ageMs = performance.now() - (this.#current?.openedMs ?? -Infinity)
    const mostMs = this.#isDoubted ? Math.min(doubtedAgeMs, this.#source.maxAgeMs) : this.#source.maxAgeMs
    if (this.#current !== undefined && ageMs < mostMs) return this.#current
    return (this.#opening ??= this.#open())
  }

  #open(): Opened {
    const opened = new Opened(this.#source.open(), this.#current)
    this.#settling = Promise.all([this.#settling, this.#settle(opened)])
    return opened
  }

  async #settle(opened: Opened): Promise<void> {
    try {
      await opened.found
    } catch {
      // who uses it is told
      this.#opening = undefined
      return
    }
    const before = this.#current
    this.#current = opened
    this.#opening = undefined
    this.#isDoubted = false
    // that the former ones cannot be closed takes nothing from who has the new ones
    await before?.retire().catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settling
    await this.#current?.retire()
    this.#current = undefined
  }
}
