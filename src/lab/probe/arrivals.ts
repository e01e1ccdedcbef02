// Sees which probes come to a pod, answered or not.
import { closeSync } from 'node:fs'
import type { Addr } from '#/lib/addr.ts'
import { POLLIN, watchFd } from '#/sys/fd-watcher.ts'
import type { Netns } from '#/sys/netns.ts'
import { arrivalSocket } from '#/sys/packet-socket.ts'
import { receive } from '#/sys/socket.ts'
import { arrivalOf } from './arrival.ts'
import type { Protocol } from './types.ts'

/** As much of a packet as says what it is. */
const headBytes = 128

export class Arrivals implements Disposable {
  readonly #fd: number
  readonly #watch: Disposable
  readonly #seen = new Set<string>()
  readonly #port: number
  readonly #buffer = new Uint8Array(headBytes)

  /** Begins at once. `port` is the target of TCP probes. */
  constructor(netns: Netns, port: number) {
    this.#port = port
    this.#fd = netns.run(() => arrivalSocket())
    this.#watch = watchFd(this.#fd, POLLIN, () => this.#drain())
  }

  /** Whether a probe has come from this address. */
  has(source: Addr, protocol: Protocol): boolean {
    this.#drain()
    return this.#seen.has(`${protocol} ${source}`)
  }

  #drain(): void {
    for (;;) {
      const count = receive(this.#fd, this.#buffer)
      if (count === undefined) return
      const arrival = arrivalOf(this.#buffer.subarray(0, count), this.#port)
      if (arrival !== undefined) this.#seen.add(`${arrival.protocol} ${arrival.source}`)
    }
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
    closeSync(this.#fd)
  }
}
