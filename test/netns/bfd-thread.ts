// BFD sessions of ours in a namespace, in a thread of their own as they are in an agent.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { type BfdSettings } from '#/model/bgp.ts'
import { type BfdState } from '#/wire/bfd/packet.ts'
import { eventually } from '../interop/bgp/eventually.ts'

export type BfdPeer = { readonly addr: string; readonly localAddr?: string; readonly device?: string }

export type ToBfdThread =
  | (BfdPeer & { readonly kind: 'watch'; readonly id: string; readonly settings: BfdSettings })
  | { readonly kind: 'unwatch'; readonly id: string }
  | { readonly kind: 'stall'; readonly ms: number }
  | { readonly kind: 'stop' }

export type BfdChange = { readonly state: BfdState; readonly diagnostic: number; readonly atMs: number }
export type FromBfdThread = BfdChange & { readonly id: string }

/** What is told of one neighbour. */
export class BfdHistory {
  readonly changes: BfdChange[] = []
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  get state(): BfdState {
    return this.changes.at(-1)?.state ?? 'Down'
  }

  async reaches(state: BfdState, timeoutMs = 30_000): Promise<BfdChange> {
    await eventually(
      `BFD with ${this.#name} is ${state}`,
      () => this.changes,
      () => this.state === state,
      { timeoutMs },
    )
    return this.changes.at(-1)!
  }
}

export class BfdThread implements AsyncDisposable {
  readonly #worker: Worker
  readonly #histories = new Map<string, BfdHistory>()

  constructor(netns: string) {
    this.#worker = new Worker(new URL('./bfd-worker.ts', import.meta.url), { workerData: { netns } })
    this.#worker.on('message', ({ id, ...change }: FromBfdThread) => this.#histories.get(id)?.changes.push(change))
  }

  watch(peer: BfdPeer, settings: BfdSettings): { readonly id: string; readonly history: BfdHistory } {
    const id = `${peer.addr}%${peer.device ?? ''} number ${this.#histories.size}`
    const history = new BfdHistory(id)
    this.#histories.set(id, history)
    this.#tell({ kind: 'watch', id, settings, ...peer })
    return { id, history }
  }

  unwatch(id: string): void {
    this.#tell({ kind: 'unwatch', id })
  }

  /** Its event loop does nothing for so long. */
  stall(ms: number): void {
    this.#tell({ kind: 'stall', ms })
  }

  #tell(message: ToBfdThread): void {
    this.#worker.postMessage(message)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#worker, 'exit')
    this.#tell({ kind: 'stop' })
    await ended
  }
}
