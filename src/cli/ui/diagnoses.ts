// The diagnosis that the page shows: made when somebody begins to look, when what is wrong may have changed (next-look.ts), and when somebody asks for
// it; one at a time.
import { messageOf } from '#/lib/log.ts'
import { type DoctorReport, type DoctorState } from '#/ui/contract.ts'
import { type Looked, nextLookMs, usualWaits, type Waits } from './next-look.ts'

export type DiagnosesDeps = {
  readonly examine: () => Promise<DoctorReport>
  readonly onChange: () => void
  readonly waits?: Waits
}

/** What agents tell by themselves. */
export type Told = { readonly nodes: number; readonly troubles: string }

export class Diagnoses implements Disposable {
  readonly #deps: DiagnosesDeps
  #state: DoctorState | undefined
  #isRunning = false
  /** Asked for while one runs, which may have looked already. */
  #isAskedAgain = false
  #timer: NodeJS.Timeout | undefined
  #now: Told | undefined
  /** The troubles that the last one began with. */
  #troubles: string | undefined
  #changedMs: number | undefined
  #lostMs: number | undefined
  #looked: Looked | undefined
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
  notice(told: Told | undefined): void {
    this.#now = told
    if (told === undefined) {
      // who looks next is to see what is wrong then
      this.#troubles = undefined
      this.#forgetNews()
    } else if (this.#troubles !== undefined && told.troubles !== this.#troubles) this.#changedMs ??= performance.now()
    this.#plan()
  }

  /** A trace of a page was lost. */
  noteLoss(): void {
    this.#lostMs ??= performance.now()
    this.#plan()
  }

  #forgetNews(): void {
    this.#changedMs = undefined
    this.#lostMs = undefined
  }

  #plan(): void {
    clearTimeout(this.#timer)
    if (this.#now === undefined || this.#isRunning || this.#isOver) return
    const looks = {
      nodes: this.#now.nodes,
      isFirst: this.#troubles === undefined,
      ...(this.#changedMs !== undefined && { changedMs: this.#changedMs }),
      ...(this.#lostMs !== undefined && { lostMs: this.#lostMs }),
      ...(this.#looked && { looked: this.#looked }),
    }
    const atMs = nextLookMs(looks, this.#deps.waits ?? usualWaits)
    if (atMs !== Infinity) this.#timer = setTimeout(() => this.#start(), Math.max(0, atMs - performance.now()))
  }

  #start(): void {
    if (this.#isOver) return
    clearTimeout(this.#timer)
    this.#troubles = this.#now?.troubles
    this.#forgetNews()
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
    const startMs = performance.now()
    this.#isRunning = true
    this.#set({ state: 'running' })
    try {
      const report = await this.#deps.examine()
      this.#set({ state: 'done' }, report)
    } catch (error) {
      this.#set({ state: 'failed', message: messageOf(error) })
    }
    this.#isRunning = false
    const endedMs = performance.now()
    this.#looked = { endedMs, tookMs: endedMs - startMs, outcome: this.#outcome }
    if (this.#isAskedAgain) {
      this.#isAskedAgain = false
      this.#start()
    } else this.#plan()
  }

  /** Findings that were left by an earlier one are shown as wrong now, too. */
  get #outcome(): Looked['outcome'] {
    const { state, report } = this.#state ?? {}
    if (report !== undefined && report.findings.length > 0) return 'wrong'
    return state === 'failed' ? 'failed' : 'well'
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }
}
