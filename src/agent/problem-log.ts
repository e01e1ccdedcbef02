// Logs each problem once when it appears and once when it goes.
import { type Logger } from '#/lib/log.ts'
import { type Problem } from '#/model/network.ts'

const identity = ({ object, message }: Problem): string => `${object}: ${message}`

export class ProblemLog {
  readonly #log: Logger
  #told = new Map<string, Problem>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** `problems` are all that there are now. */
  update(problems: readonly Problem[]): void {
    const now = new Map(problems.map((problem) => [identity(problem), problem]))
    for (const [key, { object, message }] of now) if (!this.#told.has(key)) this.#log.warn(message, { object })
    for (const [key, { object, message }] of this.#told)
      if (!now.has(key)) this.#log.info('problem gone', { object, problem: message })
    this.#told = now
  }
}
