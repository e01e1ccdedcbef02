// What BFD sessions need of UDP (RFC 5881). The agent has it on real sockets, tests in memory.
import { type Addr } from '#/lib/addr.ts'

export type BfdPath = {
  readonly addr: Addr
  /** Absent: the system chooses the local address. */
  readonly localAddr?: Addr
  /** The device of the path; required for link-local addresses. */
  readonly device?: string
}

export type BfdDatagram = {
  readonly bytes: Uint8Array
  readonly from: Addr
  /** The device that the packet came in by; set for link-local senders. */
  readonly device?: string
}

export interface BfdTransport {
  /** Receives the control packets of all sessions and drops those whose TTL is not 255. Throws when the port is taken. */
  listen(onDatagram: (datagram: BfdDatagram) => void): BfdReceiver
  /** A sender for one session, with a source port of its own that stays the same. */
  sender(path: BfdPath): BfdSender
}

export interface BfdReceiver extends Disposable {
  /** Hands over all packets that have arrived and were not handed over yet, before it returns. */
  drain(): void
}

export interface BfdSender extends Disposable {
  /** Sends a packet; one that cannot be sent is dropped, as if it were lost on the way. */
  send(bytes: Uint8Array): void
}
