// The neighbours of a speaker under load (bgp-load-process.ts), told what to do.
import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
// not `import { type … }`, which would execute it in here
import type { LoadAnswer, LoadCommand } from './bgp-load-process.ts'
import { type BenchNetns, RigError } from './netns.ts'
import { forkReady, stop } from './processes.ts'

export class BgpLoad implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<undefined>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = once(child, 'exit').then(() => undefined)
  }

  static async start(host: BenchNetns): Promise<BgpLoad> {
    return new BgpLoad(await host.netns.run(() => forkReady('bgp-load-process.ts', [])))
  }

  /** Undefined: not within that time; it is then of no use any more. */
  async run(command: LoadCommand, timeoutMs: number): Promise<LoadAnswer | undefined> {
    this.#child.send(command)
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const answered = once(this.#child, 'message', { signal }) as Promise<[LoadAnswer]>
      const first = await Promise.race([answered, this.#ended])
      if (first === undefined) throw new RigError('the load generator has ended by itself')
      return first[0]
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child)
  }
}
