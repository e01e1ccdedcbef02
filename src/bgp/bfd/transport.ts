// What BFD sessions need of UDP (RFC 5881). The agent has it on real sockets, tests in memory.
import { type Addr } from '#/lib/addr.ts'

export type BfdPath = {
  readonly addr: Addr
  /** Absent: the system's choice. */
  readonly localAddr?: Addr
  /** Needed for link-local addresses. */
  readonly device?: string
}

export type BfdDatagram = {
  readonly bytes: Uint8Array
  readonly from: Addr
  /** Of link-local senders. */
  readonly device?: string
}

export interface BfdTransport {
  /** Receives the control packets of all sessions; those whose TTL is not 255 never come. Throws when the port is taken. */
  listen(onDatagram: (datagram: BfdDatagram) => void): BfdReceiver
  /** For one session: its source port is its own, and stays the same. */
  sender(path: BfdPath): BfdSender
}

export interface BfdReceiver extends Disposable {
  /** Hands over what has come and was not handed over yet, before it returns. */
  drain(): void
}

export interface BfdSender extends Disposable {
  /** What cannot be sent is lost, as on the way. */
  send(bytes: Uint8Array): void
}
