// Sends packets that a trace follows, from the namespace of a pod or of the node, as the kernel sends any other of that namespace: routes, rules
// and translation apply to them. What a probe needs in its namespace, a source port, is given back soon after.
import { closeFd } from '#/sys/libc.ts'
import { type Netns } from '#/sys/netns.ts'
import { POLLIN, watchFd } from '#/sys/fd-watcher.ts'
import {
  pathMtuBytes,
  portSocket,
  realtimeMs,
  receiveFrom,
  sendTo,
  sourceTowards,
  wholePacketSocket,
} from '#/sys/socket.ts'
import { encodeProbe, type ProbePacket } from '#/wire/probe/packet.ts'
import { type Addr } from '#/lib/addr.ts'

/** Who answers later than this finds no socket. */
const heldMs = 5_000
/** One for each of so many probes. */
const mostHeld = 16

export class ProbeSender implements Disposable {
  /** What releases the ports of the last probes, the oldest first. */
  readonly #held: (() => void)[] = []
  /** What answers hold is nobody's. */
  readonly #buffer = new Uint8Array(64)

  /**
   * Sends one packet, out of `netns` or else of this process's namespace; returns when, in ms since 1970. The source port of UDP and TCP
   * stays taken for some seconds: an answer to a UDP probe is read, so that the kernel does not refuse it, and no other program gets into the
   * conversation. The kernel itself ends that of TCP with a RST, since no connection is begun. Throws SysError with the kernel's reason.
   */
  send(packet: ProbePacket, { netns, packetId }: { readonly netns?: Netns; readonly packetId: number }): number {
    const bytes = encodeProbe(packet, packetId)
    const inside = <T>(work: () => T): T => (netns === undefined ? work() : netns.run(work))
    return inside(() => {
      const fd = wholePacketSocket(packet.src)
      try {
        if (packet.protocol !== 'icmp') this.#hold(packet.protocol, packet.src, packet.sourcePort)
        const sentAtMs = realtimeMs()
        sendTo(fd, bytes, packet.dst)
        return sentAtMs
      } finally {
        closeFd(fd)
      }
    })
  }

  #hold(protocol: 'udp' | 'tcp', addr: Addr, port: number): void {
    if (this.#held.length >= mostHeld) this.#held[0]!()
    const fd = portSocket(protocol, addr, port)
    const reading = protocol === 'udp' ? watchFd(fd, POLLIN, () => void receiveFrom(fd, this.#buffer)) : undefined
    const release = (): void => {
      clearTimeout(timer)
      this.#held.splice(this.#held.indexOf(release), 1)
      reading?.[Symbol.dispose]()
      closeFd(fd)
    }
    const timer = setTimeout(release, heldMs)
    this.#held.push(release)
  }

  [Symbol.dispose](): void {
    while (this.#held.length > 0) this.#held[0]!()
  }
}

/** How large a packet may be for the kernel of this namespace to send it. Throws SysError where there is no way at all. */
export function sendableBytes(src: Addr, dst: Addr, netns?: Netns): number {
  return netns === undefined ? pathMtuBytes(src, dst) : netns.run(() => pathMtuBytes(src, dst))
}

/** The address from which this process's namespace sends to `dst`. Throws SysError where there is no way. */
export function sendingAddr(dst: Addr): Addr {
  return sourceTowards(dst)
}
