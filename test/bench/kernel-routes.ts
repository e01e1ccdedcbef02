// What is in the kernel, asked of the kernel: whether routes to pod CIDRs are there, and when one arrives.
import { KernelError, Netlink } from '#/kernel/netlink.ts'
import { listRoutes } from '#/kernel/routes.ts'
import { type Prefix } from '#/lib/addr.ts'
import { NETLINK_ROUTE, NotificationSocket } from '#/sys/netlink-socket.ts'
import { decodeMessages } from '#/wire/netlink/message.ts'
import { decodeRoute, RTM_GETROUTE, RTM_NEWROUTE } from '#/wire/netlink/route.ts'
import { monotonicMs } from './clock.ts'
import { type BenchNetns } from './netns.ts'

const AF_INET = 2
const RTM_F_FIB_MATCH = 0x2000
const RTA_DST = 1
/** So many of the prefixes are looked up to guess that all are there; only then all are counted. */
const sampleCount = 16

export class KernelRoutes implements Disposable {
  readonly #netlink: Netlink

  constructor({ netns }: BenchNetns) {
    this.#netlink = new Netlink(NETLINK_ROUTE, netns)
  }

  /** `ip route get fibmatch`: the namespace has no default route, so what answers is the route itself. */
  #has(prefix: Prefix): boolean {
    const payload = new Uint8Array(20)
    const view = new DataView(payload.buffer)
    payload[0] = AF_INET
    payload[1] = 32
    view.setUint32(8, RTM_F_FIB_MATCH, true)
    view.setUint16(12, 8, true)
    view.setUint16(14, RTA_DST, true)
    payload.set(prefix.at(1).toBytes(), 16)
    try {
      const { payload: answer } = this.#netlink.get({ what: `ip route get ${prefix}`, type: RTM_GETROUTE, payload })
      return decodeRoute(answer)?.dst.equals(prefix) ?? false
    } catch (error) {
      if (error instanceof KernelError && error.code === 'ENETUNREACH') return false
      throw error
    }
  }

  /** Whether all are there. Cheap while they are not. `prefixes` are sorted, as they are usually made. */
  hasAll(prefixes: readonly Prefix[]): boolean {
    const step = Math.max(1, Math.floor(prefixes.length / sampleCount))
    const samples = prefixes.filter((_, index) => index % step === 0)
    if (!this.#has(prefixes.at(-1)!) || !samples.every((prefix) => this.#has(prefix))) return false
    const present = new Set(listRoutes(this.#netlink).map(({ dst }) => String(dst)))
    return prefixes.every((prefix) => present.has(String(prefix)))
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]()
  }
}

const RTNLGRP_IPV4_ROUTE = 7

/** Tells when routes arrive, as the kernel announces them. */
export class RouteArrivals implements Disposable {
  readonly #socket: NotificationSocket
  readonly #arrivedMs = new Map<string, number>()
  readonly #waiting = new Map<string, (atMs: number) => void>()

  constructor({ netns }: BenchNetns) {
    this.#socket = netns.run(() => new NotificationSocket(NETLINK_ROUTE, [RTNLGRP_IPV4_ROUTE]))
    void this.#follow()
  }

  async #follow(): Promise<void> {
    for (;;) {
      const datagram = await this.#socket.receive()
      if (datagram === undefined) return
      const atMs = monotonicMs()
      if (datagram === 'overflow') continue
      for (const { type, payload } of decodeMessages(datagram)) {
        const dst = type === RTM_NEWROUTE ? decodeRoute(payload)?.dst : undefined
        if (dst === undefined) continue
        this.#arrivedMs.set(String(dst), atMs)
        this.#waiting.get(String(dst))?.(atMs)
      }
    }
  }

  /** When the route to this prefix arrived or arrives. */
  async of(prefix: Prefix, timeoutMs: number): Promise<number> {
    const already = this.#arrivedMs.get(String(prefix))
    if (already !== undefined) return already
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#waiting.set(String(prefix), resolve)
    const timer = setTimeout(() => reject(new Error(`no route to ${prefix} within ${timeoutMs} ms`)), timeoutMs)
    return promise.finally(() => clearTimeout(timer))
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }
}
