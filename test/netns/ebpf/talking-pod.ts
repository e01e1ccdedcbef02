// A namespace with a thread in it that echoes, and talks to echoes.
import { Worker } from 'node:worker_threads'
import { TestNetns } from '../namespace.ts'

export type Protocol = 'tcp' | 'udp'
export type Reply = { readonly number: number; readonly error: string | undefined }
export type Call =
  | { readonly kind: 'serve'; readonly addr: string; readonly port: number }
  | {
      readonly kind: 'open'
      readonly id: string
      readonly protocol: Protocol
      readonly from: string
      readonly fromPort?: number
      readonly to: string
      readonly port: number
    }
  | {
      readonly kind: 'exchange'
      readonly id: string
      readonly bytes: number
      readonly rounds: number
      readonly pauseMs: number
      readonly timeoutMs: number
    }
  | { readonly kind: 'close'; readonly id: string; readonly how: 'fin' | 'rst' }
  /** A datagram to nobody who answers. */
  | {
      readonly kind: 'throw'
      readonly from: string
      readonly to: string
      readonly port: number
      readonly bytes: Uint8Array
    }

export type Exchange = {
  readonly bytes?: number
  readonly rounds?: number
  readonly pauseMs?: number
  readonly timeoutMs?: number
}

/** A thread in a namespace that is there already. */
export class TalkerIn implements Disposable {
  readonly #worker: Worker
  readonly #open = new Map<number, { readonly resolve: () => void; readonly reject: (error: Error) => void }>()
  #count = 0

  constructor(netnsPath: string) {
    this.#worker = new Worker(new URL('talker.ts', import.meta.url), { workerData: { netns: netnsPath } })
    this.#worker.on('message', ({ number, error }: Reply) => {
      const { resolve, reject } = this.#open.get(number)!
      this.#open.delete(number)
      if (error === undefined) resolve()
      else reject(new Error(error))
    })
  }

  async call(call: Call): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const number = ++this.#count
    this.#open.set(number, { resolve, reject })
    this.#worker.postMessage({ number, call })
    return promise
  }

  /** Sends and waits for the same bytes to come back, so many times. Throws when they do not. */
  async exchange(id: string, { bytes = 100, rounds = 1, pauseMs = 0, timeoutMs = 5000 }: Exchange = {}): Promise<void> {
    return this.call({ kind: 'exchange', id, bytes, rounds, pauseMs, timeoutMs })
  }

  [Symbol.dispose](): void {
    void this.#worker.terminate()
  }
}

export class Talker extends TalkerIn {
  readonly netns: TestNetns

  /** In a namespace that ends with it. */
  constructor(netns = new TestNetns()) {
    super(netns.path)
    this.netns = netns
  }

  /** Packets of TCP that came with a wrong checksum. */
  get wrongChecksums(): number {
    return this.#numberOf('snmp', 'Tcp', 'InCsumErrors')
  }

  /** Segments of TCP that were sent again because they were lost, and not out of impatience: those the receiver had already (RFC 2883). */
  get lost(): number {
    return this.#numberOf('snmp', 'Tcp', 'RetransSegs') - this.#numberOf('netstat', 'TcpExt', 'TCPDSACKRecvSegs')
  }

  #numberOf(file: string, group: string, name: string): number {
    const lines = this.netns.sh(`grep '^${group}:' /proc/net/${file}`).trim().split('\n')
    const [names, numbers] = lines.map((line) => line.split(' ')) as [string[], string[]]
    return Number(numbers[names.indexOf(name)])
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]()
    this.netns[Symbol.dispose]()
  }
}
