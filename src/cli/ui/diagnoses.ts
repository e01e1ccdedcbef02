// The diagnosis that the page shows: made when somebody begins to look, when what is wrong has changed, and when somebody asks for it; one at a time.
import { messageOf } from '#/lib/log.ts'
import { type DoctorReport, type DoctorState } from '#/ui/contract.ts'

/** What breaks is told by several nodes within some seconds: so long is waited for the rest. */
const settleMs = 3_000
/** Between the end of a diagnosis and the next one that nobody asked for. */
const leastPauseMs = 15_000
/** A larger cluster is examined only when somebody asks: all nodes tell what their kernels have, which takes half a minute. */
export const mostUnaskedNodes = 200

export type DiagnosesDeps = {
  readonly examine: () => Promise<DoctorReport>
  readonly onChange: () => void
  readonly settleMs?: number
  readonly leastPauseMs?: number
}

export class Diagnoses implements Disposable {
  readonly #deps: DiagnosesDeps
  #state: DoctorState | undefined
  #isRunning = false
  /** Asked for while one runs, which may have looked already. */
  #isAskedAgain = false
  #timer: NodeJS.Timeout | undefined
  #endedMs = -Infinity
  #now: string | undefined
  /** The troubles that the last one began with. */
  #troubles: string | undefined
  #isOver = false

  constructor(deps: DiagnosesDeps) {
    this.#deps = deps
  }

  /** Undefined: none was made yet. */
  get state(): DoctorState | undefined {
    return this.#state
  }

  /** Somebody asks for one. */
  ask(): void {
    if (this.#isRunning) this.#isAskedAgain = true
    else this.#start()
  }

  /** What is wrong now, as nodes tell by themselves; undefined: nobody looks. */
  notice(troubles: string | undefined): void {
    this.#now = troubles
    if (troubles === undefined) {
      this.#stopWaiting()
      // who looks next is to see what is wrong then
      this.#troubles = undefined
    } else if (!this.#isRunning && this.#timer === undefined && troubles !== this.#troubles) this.#startLater()
  }

  #startLater(): void {
    const { settleMs: settle = settleMs, leastPauseMs: pause = leastPauseMs } = this.#deps
    const leastMs = this.#troubles === undefined ? 0 : settle
    const waitMs = Math.max(leastMs, this.#endedMs + pause - performance.now())
    this.#timer = setTimeout(() => this.#start(), waitMs)
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #start(): void {
    if (this.#isOver) return
    this.#stopWaiting()
    this.#troubles = this.#now
    void this.#run()
  }

  #set(state: Omit<DoctorState, 'atMs' | 'report' | 'reportMs'>, report?: DoctorReport): void {
    const atMs = Date.now()
    const { report: before, reportMs } = this.#state ?? {}
    const kept = before === undefined || reportMs === undefined ? {} : { report: before, reportMs }
    this.#state = { ...state, atMs, ...(report === undefined ? kept : { report, reportMs: atMs }) }
    if (!this.#isOver) this.#deps.onChange()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    this.#set({ state: 'running' })
    try {
      const report = await this.#deps.examine()
      this.#set({ state: 'done' }, report)
    } catch (error) {
      this.#set({ state: 'failed', message: messageOf(error) })
    }
    this.#isRunning = false
    this.#endedMs = performance.now()
    if (!this.#isAskedAgain) return
    this.#isAskedAgain = false
    this.#start()
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.#stopWaiting()
  }
}
