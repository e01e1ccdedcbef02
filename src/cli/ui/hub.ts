// What the page is told of: the picture and the diagnosis, kept up to date as long as a page is open.
import { type AgentOfNode } from '#/api/client.ts'
import { type DoctorReport } from '#/ui/contract.ts'
import { type LiveState } from '#/ui/lines.ts'
import { Picture } from '#/ui/picture.ts'
import { AgentPool, type AgentSource } from './agent-pool.ts'
import { Diagnoses } from './diagnoses.ts'
import { mostUnaskedNodes } from './next-look.ts'
import { Poller, type Round } from './poller.ts'

/** What a page is told. `names`: the rows that have changed. */
export type News =
  | { readonly kind: 'nodes'; readonly names: ReadonlySet<string> }
  | { readonly kind: 'doctor' }
  | { readonly kind: 'failure'; readonly message: string }

export type HubDeps = {
  readonly source: AgentSource
  readonly version: string
  readonly examine: (agents: readonly AgentOfNode[], unlisted: string | undefined) => Promise<DoctorReport>
}

export class Hub implements AsyncDisposable {
  readonly #deps: HubDeps
  readonly pool: AgentPool
  readonly picture = new Picture()
  readonly #poller: Poller
  readonly #diagnoses: Diagnoses
  readonly #listeners = new Set<(news: News) => void>()
  #round: Round | undefined
  #failure: string | undefined
  #isWhole = false

  constructor(deps: HubDeps) {
    this.#deps = deps
    const { source, examine } = deps
    this.pool = new AgentPool(source)
    this.#diagnoses = new Diagnoses({
      examine: () => this.pool.use(examine),
      onChange: () => this.#tell({ kind: 'doctor' }),
    })
    this.#poller = new Poller({
      pool: this.pool,
      picture: this.picture,
      answerMs: source.answerMs,
      leastPauseMs: source.leastPauseMs,
      onNews: (round) => this.#noteRound(round),
      onFailure: (message) => {
        this.#failure = message
        this.#tell({ kind: 'failure', message })
      },
    })
  }

  get state(): LiveState {
    const { source, version } = this.#deps
    const { state: doctor } = this.#diagnoses
    return {
      source: source.name,
      version,
      nowMs: Date.now(),
      ...(this.#round && { askedMs: this.#round.askedMs, dueMs: this.#round.dueMs }),
      ...(doctor && { doctor }),
      ...(this.#failure !== undefined && { failure: this.#failure }),
    }
  }

  /** Agents are asked as long as somebody listens. */
  listen(listener: (news: News) => void): Disposable {
    this.#listeners.add(listener)
    this.#poller.start()
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener)
        if (this.#listeners.size > 0) return
        this.#poller.stop()
        this.#diagnoses.notice(undefined)
      },
    }
  }

  /** Makes a diagnosis now, or another one after that which runs. */
  diagnose(): void {
    this.#diagnoses.ask()
  }

  /** A packet that a page followed was lost: doctor may see why, and what else is. */
  noteLostTrace(): void {
    this.#diagnoses.noteLoss()
  }

  #noteRound(round: Round): void {
    this.#round = round
    this.#failure = undefined
    this.#isWhole ||= round.isWhole
    this.#tell({ kind: 'nodes', names: this.picture.takeChanges() })
    if (!this.#isWhole) return
    const { length: nodes } = this.picture.rows
    // those of thousands of nodes are not listed in every round: nothing begins by them
    this.#diagnoses.notice({ nodes, troubles: nodes <= mostUnaskedNodes ? this.picture.troubles : '' })
  }

  #tell(news: News): void {
    for (const listener of this.#listeners) listener(news)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#diagnoses[Symbol.dispose]()
    await this.#poller[Symbol.asyncDispose]()
    await this.pool[Symbol.asyncDispose]()
  }
}
