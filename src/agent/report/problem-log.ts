// Logs each problem once when it appears and once when it goes; another message of the same problem is no news.
import { type Logger } from '#/lib/log.ts'
import { type Problem, problemNews } from '#/model/problems.ts'

export class ProblemLog {
  readonly #log: Logger
  #told: readonly Problem[] = []

  constructor(log: Logger) {
    this.#log = log
  }

  /** `problems` are all that there are now, each once. */
  update(problems: readonly Problem[]): void {
    const { appeared, gone } = problemNews(this.#told, problems)
    for (const { code, object, message, how, remedy } of appeared)
      this.#log.warn('problem', { code, object, problem: message, how, remedy })
    for (const { code, object, message } of gone) this.#log.info('problem gone', { code, object, problem: message })
    this.#told = problems
  }
}
