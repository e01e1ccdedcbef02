// The neighbours of a speaker under load (bgp-load-process.ts), told what to do.
import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
// not `import { type … }`, which would execute it in here
import type { LoadAnswer, LoadCommand } from './bgp-load-process.ts'
import { type BenchNetns, RigError } from './netns.ts'
import { forkReady, stop } from './processes.ts'

export class BgpLoad implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(host: BenchNetns): Promise<BgpLoad> {
    return new BgpLoad(await host.netns.run(() => forkReady('bgp-load-process.ts', [])))
  }

  /** Undefined: not within that time; it is then of no use any more. */
  async run(command: LoadCommand, timeoutMs: number): Promise<LoadAnswer | undefined> {
    this.#child.send(command)
    const { signal, ended } = { signal: AbortSignal.timeout(timeoutMs), ended: once(this.#child, 'exit') }
    try {
      const answered = once(this.#child, 'message', { signal }) as Promise<[LoadAnswer]>
      const first = await Promise.race([answered, ended.then(() => undefined)])
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
