// The connections that programs may carry, as the oracle knows them, and as the kernel has them.
import { type Connections, type Entry } from './connections.ts'
import { addrOf, protocols, tcpFlags } from './frames.ts'
import { isSyn, type Reading, type Segment } from './packet-reading.ts'

const hexOf = (addr: string): string => addrOf(addr).toHex()
/** Longer than any run of the fuzzer. */
const timeoutS = 86_400

type State = { readonly entry: Entry; isEnded: boolean }

const keyOf = (protocol: number, src: string, from: number, dst: string, to: number): string =>
  `${protocol} ${src} ${from} ${dst} ${to}`

/** Open and not translated. Those of TCP end when one of their packets goes back to the stack. */
export class OpenConnections {
  readonly #connections: Connections
  readonly #states = new Map<string, State>()
  /** Packets that would answer a connection for the first time. */
  readonly #answers = new Set<string>()
  readonly #touched = new Set<State>()

  constructor(connections: Connections) {
    this.#connections = connections
  }

  add(entry: Entry): void {
    const { protocol, src, dst, from, to } = entry
    const state = { entry: { ...entry, timeoutS }, isEnded: false }
    this.#states.set(keyOf(protocol, hexOf(src), from, hexOf(dst), to), state)
    this.#states.set(keyOf(protocol, hexOf(dst), to, hexOf(src), from), state)
    this.#connections.add(state.entry)
  }

  /** One that nobody has answered yet. */
  addUnanswered(entry: Entry): void {
    const { protocol, src, dst, from, to } = entry
    this.#answers.add(keyOf(protocol, hexOf(dst), to, hexOf(src), from))
    this.#connections.add({ ...entry, status: 8, timeoutS })
  }

  /** Whether the packet is of a connection that was answered, or the answer itself. */
  hasAdmitted({ src, dst }: Reading, { protocol, from, to }: Segment): boolean {
    const key = keyOf(protocol, src, from, dst, to)
    return this.#answers.has(key) || this.#states.get(key)?.isEnded === false
  }

  /** Whether the packet is of an open connection. One that may not be carried ends its entry. */
  takes({ src, dst }: Reading, segment: Segment, may: boolean): boolean {
    const { protocol, from, to, flags } = segment
    if (isSyn(segment)) return false
    const state = this.#states.get(keyOf(protocol, src, from, dst, to))
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
