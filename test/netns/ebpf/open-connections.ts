// The connections that programs may carry, as the oracle knows them, and as the kernel has them.
import { type Connections, type Entry } from './connections.ts'
import { addrOf, protocols, tcpFlags } from './frames.ts'
import { isSyn, type Reading, type Segment } from './packet-reading.ts'

const hexOf = (addr: string): string => addrOf(addr).toHex()
/** Longer than any run of the fuzzer. */
const timeoutS = 86_400

type State = { readonly entry: Entry; isEnded: boolean }

/** Open and not translated. Those of TCP end when one of their packets goes back to the stack. */
export class OpenConnections {
  readonly #connections: Connections
  readonly #states = new Map<string, State>()
  readonly #touched = new Set<State>()

  constructor(connections: Connections) {
    this.#connections = connections
  }

  add(entry: Entry): void {
    const { protocol, src, dst, from, to } = entry
    const state = { entry: { ...entry, timeoutS }, isEnded: false }
    this.#states.set(`${protocol} ${hexOf(src)} ${from} ${hexOf(dst)} ${to}`, state)
    this.#states.set(`${protocol} ${hexOf(dst)} ${to} ${hexOf(src)} ${from}`, state)
    this.#connections.add(state.entry)
  }

  /** Whether the packet is of an open connection. One that may not be carried ends its entry. */
  takes({ src, dst }: Reading, segment: Segment, may: boolean): boolean {
    const { protocol, from, to, flags } = segment
    if (isSyn(segment)) return false
    const state = this.#states.get(`${protocol} ${src} ${from} ${dst} ${to}`)
    if (state === undefined || state.isEnded) return false
    if (protocol === protocols.tcp) {
      if (!may) state.isEnded = true
      if (!may || flags & (tcpFlags.fin | tcpFlags.rst)) this.#touched.add(state)
    }
    return may
  }

  /** Makes the kernel's entries as they were in the beginning. */
  renew(): void {
    for (const state of this.#touched) {
      if (!state.isEnded) this.#connections.delete(state.entry)
      this.#connections.add(state.entry)
      state.isEnded = false
    }
    this.#touched.clear()
  }
}
