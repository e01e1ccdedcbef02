// Logs each problem once when it appears and once when it is gone; a changed message of the same problem is not logged.
import { type Logger } from '#/lib/log.ts'
import { type Problem, problemNews } from '#/model/problems.ts'

export class ProblemLog {
  readonly #log: Logger
  #told: readonly Problem[] = []

  constructor(log: Logger) {
    this.#log = log
  }

  /** `problems` are all current problems, each once. */
  update(problems: readonly Problem[]): void {
    const { appeared, gone } = problemNews(this.#told, problems)
    for (const { code, object, message, how, remedy } of appeared)
      this.#log.warn('problem', { code, object, problem: message, how, remedy })
    for (const { code, object, message } of gone) this.#log.info('problem gone', { code, object, problem: message })
    this.#told = problems
  }
}
