// Sends echo requests and takes in what comes back: one raw socket for each address of this node that is asked from. Nobody waits for a socket: it
// is emptied when an answer is due, which costs less than to be woken by each packet.
import { randomBytes } from 'node:crypto'
import { Addr, type Family } from '#/lib/addr.ts'
import { equalBytes } from '#/lib/bytes.ts'
import { setProbing } from '#/sys/ip-options.ts'
import { closeFd, SysError } from '#/sys/libc.ts'
import { bindTo, icmpSocket, realtimeMs, receivedAtMs, receiveFrom, sendTo, setReceiveBuffer } from '#/sys/socket.ts'
import { cookieBytes, echoRequestType, encodeEchoRequest, icmpTypes, parseIcmp } from '#/wire/icmp/packet.ts'
import { type Refusal } from './tally.ts'

/**
 * The identifier of all probes. Connection tracking keeps one entry for each identifier and pair of addresses, which the next probe renews: with
 * one for all there are no more entries than ways.
 */
export const probeId = 0xca05
/** The first half of the cookie, by which agents know probes of other agents; the second half is different for each agent and start. */
const mark = new TextEncoder().encode('CWpr')
/** Room for the answers of one second, also where packets have 9,000 bytes. */
const receiveBufferBytes = 2 << 20
/** Received in one go: others have their turn in between. */
const mostAtOnce = 512
const largestBytes = 65_535

export type Received =
  | { readonly kind: 'answer'; readonly seq: number; readonly atMs: number | undefined }
  | { readonly kind: 'refusal'; readonly seq: number; readonly refusal: Refusal }
  /** A probe of another agent. */
  | { readonly kind: 'probe'; readonly from: Addr }

export type Sending = { readonly src: Addr; readonly dst: Addr; readonly seq: number; readonly sizeBytes: number }

/** Opens the socket that has this address; in another network namespace, when tests want it so. */
export type OpenSocket = (src: Addr) => number

/** Opens the socket that probes from an address of this node are sent by. Needs CAP_NET_RAW and CAP_NET_ADMIN. */
export function openProbeSocket(src: Addr): number {
  const { family } = src
  const fd = icmpSocket(family, [...icmpTypes(family), echoRequestType(family)])
  try {
    setProbing(fd, family)
    setReceiveBuffer(fd, receiveBufferBytes)
    bindTo(fd, src, 0, `the address ${src}`)
    return fd
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

export class EchoSockets implements Disposable {
  readonly #open: OpenSocket
  readonly #sockets = new Map<string, { readonly fd: number; readonly src: Addr }>()
  readonly #cookie = Uint8Array.of(...mark, ...randomBytes(cookieBytes - mark.length))
  readonly #buffer = new Uint8Array(largestBytes)

  constructor(open: OpenSocket = openProbeSocket) {
    this.#open = open
  }

  /** Sends one request. Returns the clock of `atMs` when it went, or why it could not be sent. */
  send({ src, dst, seq, sizeBytes }: Sending): number | Refusal {
    try {
      const bytes = encodeEchoRequest(dst.family, { id: probeId, seq, cookie: this.#cookie, sizeBytes })
      const fd = this.#socketOf(src)
      const atMs = realtimeMs()
      sendTo(fd, bytes, dst)
      return atMs
    } catch (error) {
      if (!(error instanceof SysError)) throw error
      // the queue of a device had no room: it went, and was lost
      return error.code === 'ENOBUFS' ? realtimeMs() : { by: 'this node', why: error.message }
    }
  }

  #socketOf(src: Addr): number {
    const key = String(src)
    const known = this.#sockets.get(key)
    if (known) return known.fd
    const fd = this.#open(src)
    this.#sockets.set(key, { fd, src })
    return fd
  }

  #close(src: Addr): void {
    const key = String(src)
    const socket = this.#sockets.get(key)
    if (socket) closeFd(socket.fd)
    this.#sockets.delete(key)
  }

  /** Closes the sockets of addresses that are not asked from any more. */
  keep(srcs: Iterable<Addr>): void {
    const kept = new Set([...srcs].map(String))
    for (const [key, { src }] of this.#sockets) if (!kept.has(key)) this.#close(src)
  }

  /** What has come since the last time. */
  *receive(): Generator<Received> {
    for (const { fd, src } of this.#sockets.values()) {
      for (let count = 0; count < mostAtOnce; count++) {
        const got = receiveFrom(fd, this.#buffer)
        if (got === undefined) break
        const received = this.#read(src.family, got, fd)
        if (received) yield received
      }
    }
  }

  #read(family: Family, { bytes, from }: { bytes: Uint8Array; from: Addr }, fd: number): Received | undefined {
    const packet = parseIcmp(family, bytes)
    if (packet?.id !== probeId) return undefined
    const { seq } = packet
    switch (packet.kind) {
      case 'reply':
        return equalBytes(packet.cookie, this.#cookie) ? { kind: 'answer', seq, atMs: receivedAtMs(fd) } : undefined
      case 'request':
        return equalBytes(packet.cookie.subarray(0, mark.length), mark) ? { kind: 'probe', from } : undefined
      case 'error': {
        const { words, mtuBytes } = packet
        const by = this.#sockets.has(String(from)) ? 'this node' : String(from)
        return { kind: 'refusal', seq, refusal: { by, why: words, ...(mtuBytes !== undefined && { mtuBytes }) } }
      }
      default:
        return packet satisfies never
    }
  }

  [Symbol.dispose](): void {
    for (const { src } of this.#sockets.values()) this.#close(src)
  }
}
