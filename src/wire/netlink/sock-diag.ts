// Asking for one TCP socket by its two ends (include/uapi/linux/inet_diag.h).
import { type Addr } from '#/lib/addr.ts'
import { WireError, type Writer, written } from '#/lib/bytes.ts'
import { afOf } from './family.ts'

export const SOCK_DIAG_BY_FAMILY = 20

const IPPROTO_TCP = 6
const anyState = 0xffff_ffff
/** INET_DIAG_NOCOOKIE, twice. */
const noCookie = 0xffff_ffff
const addrBytes = 16
/** enum of include/net/tcp_states.h: with these, both ends have agreed on the connection and may still send. */
const openStates: readonly number[] = [1, 4, 5, 8, 9, 11]

/** A socket's ends, as its owner sees them. */
export type SocketEnds = {
  readonly local: Addr
  readonly localPort: number
  readonly remote: Addr
  readonly remotePort: number
}

function putAddr(into: Writer, addr: Addr): void {
  const bytes = addr.toBytes()
  into.bytes(bytes)
  into.reserve(addrBytes - bytes.length)
}

/** The payload (struct inet_diag_req_v2) of a request for one socket. */
export function encodeSocketRequest({ local, localPort, remote, remotePort }: SocketEnds): Uint8Array {
  return written((into) => {
    into.bytes(Uint8Array.of(afOf(local.family), IPPROTO_TCP, 0, 0))
    into.u32le(anyState)
    into.u16be(localPort)
    into.u16be(remotePort)
    putAddr(into, local)
    putAddr(into, remote)
    into.u32le(0)
    into.u32le(noCookie)
    into.u32le(noCookie)
  })
}

/** Whether the answer (struct inet_diag_msg) is about a connection that is up: the kernel also answers with a listener. Throws WireError. */
export function isOpenConnection(payload: Uint8Array): boolean {
  const state = payload[1]
  if (state === undefined) throw new WireError('inet_diag message cut off', payload.length)
  return openStates.includes(state)
}
