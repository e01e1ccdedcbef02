// The file of --junit: a whole document from the first moment on, so that whoever reads it learns also that the test was not made or was ended.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeFileSync } from 'node:fs'
import { junitText } from '#/connectivity/junit.ts'
import { type ScenarioResult } from '#/connectivity/types.ts'
import { UsageError } from './args.ts'

export class JunitFile implements Disposable {
  readonly #fd: number
  /** What is no file, such as a pipe, gets one document. */
  readonly #isFile: boolean
  readonly #told: ScenarioResult[] = []

  /** Throws UsageError where it cannot be written: that is told before anything is made. */
  constructor(path: string) {
    try {
      const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants
      this.#fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o666)
    } catch (error) {
      throw new UsageError(`--junit ${path}`, { cause: error })
    }
    this.#isFile = fstatSync(this.#fd).isFile()
    if (this.#isFile) this.fail('the test was ended before it could say how')
  }

  /** A scenario is over. */
  take(result: ScenarioResult): void {
    this.#told.push(result)
  }

  /** The results of the whole test. */
  end(results: readonly ScenarioResult[]): void {
    this.#write(junitText(results))
  }

  /** Why the test did not come to its end. */
  fail(why: string): void {
    this.#write(junitText(this.#told, why))
  }

  #write(text: string): void {
    if (this.#isFile) ftruncateSync(this.#fd)
    writeFileSync(this.#fd, text)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}
