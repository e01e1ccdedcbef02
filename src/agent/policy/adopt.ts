// Takes up TCP connections that connection tracking has lost. Of a connection whose entry is gone, the kernel takes the sender of the next packet
// for the one who opened it. Where that direction is denied and the opposite one is allowed, the packet may be of a connection that was opened
// the other way, and cutting it would be wrong. It may as well be forged by who is denied: so what counts is whether the pod that opened it
// says so, by its socket.
import { KernelError, type Netlink } from '#/kernel/netlink.ts'
import { flowEstablished } from '#/kernel/flows.ts'
import { type Addr } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type PolicyPacket, type PolicyVerdict } from '#/policy/verdict.ts'
import { SysError } from '#/sys/libc.ts'
import { type SocketEnds } from '#/wire/netlink/sock-diag.ts'
import { type EndedConnections } from './ended-connections.ts'

const IPPROTO_TCP = 6
/** Flags of a TCP header. */
const SYN = 0x02
const RST = 0x04

/** A packet that policies denied. */
export type DeniedPacket = {
  readonly src: Addr
  readonly dst: Addr
  readonly protocol: number
  readonly sourcePort?: number
  readonly port?: number
  readonly tcp?: { readonly flags: number }
}

export type AdopterDeps = {
  readonly evaluate: (packet: PolicyPacket) => PolicyVerdict
  /** Whether the kernel has what the evaluator knows. */
  readonly isLevel: () => boolean
  /** Whether a pod of this node has the connection, by its own socket; undefined: the address is none of its pods'. */
  readonly hasConnection: (ends: SocketEnds) => boolean | undefined
  readonly ended: Pick<EndedConnections, 'mayHave'>
  /** Of NETLINK_NETFILTER. */
  readonly netlink: Pick<Netlink, 'execute'>
  readonly log: Logger
}

export class Adopter {
  readonly #deps: AdopterDeps
  #count = 0

  constructor(deps: AdopterDeps) {
    this.#deps = deps
  }

  /** How many connections were taken up. */
  get count(): number {
    return this.#count
  }

  /** Enters the packet's connection into connection tracking, where it is one that was lost; returns whether it did. */
  adopt({ src, dst, protocol, sourcePort: srcPort, port: dstPort, tcp }: DeniedPacket): boolean {
    const { isLevel, ended, netlink, log } = this.#deps
    if (protocol !== IPPROTO_TCP || tcp === undefined || srcPort === undefined || dstPort === undefined) return false
    if ((tcp.flags & (SYN | RST)) !== 0 || !isLevel()) return false
    const opened = { src: dst, srcPort: dstPort, dst: src, dstPort: srcPort }
    if (ended.mayHave(opened) || !this.#isOnlyAnswer(opened)) return false
    try {
      if (!this.#exists(opened)) return false
      netlink.execute(flowEstablished(opened))
    } catch (error) {
      // EEXIST: another packet was first; ENOENT: the pod is gone by now
      if (!(error instanceof KernelError || error instanceof SysError)) throw error
      log.debug('a connection was not taken up', { error: error.message })
      return false
    }
    this.#count++
    log.info('a connection that connection tracking had lost goes on', {
      from: `${opened.src} ${opened.srcPort}`,
      to: `${opened.dst} ${opened.dstPort}`,
    })
    return true
  }

  #isOnlyAnswer({ src, srcPort, dst, dstPort }: Opened): boolean {
    const { evaluate } = this.#deps
    const asOpened = evaluate({ src, dst, protocol: IPPROTO_TCP, port: dstPort })
    return !asOpened.isDropped && evaluate({ src: dst, dst: src, protocol: IPPROTO_TCP, port: srcPort }).isDropped
  }

  /**
   * By the pod that opened it, so only where that is of this node. The other one may not be asked: it is the one who is denied, and a pod that
   * may send raw packets makes an established socket to any address by answering its own SYN.
   */
  #exists({ src, srcPort, dst, dstPort }: Opened): boolean {
    const { hasConnection } = this.#deps
    return hasConnection({ local: src, localPort: srcPort, remote: dst, remotePort: dstPort }) === true
  }
}

type Opened = { readonly src: Addr; readonly srcPort: number; readonly dst: Addr; readonly dstPort: number }
