// Sends first packets between places and sees which arrive. A place is a namespace and the device by which packets come to it; its addresses
// say which packets are for it.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Addr, type Family, families } from '#/lib/addr.ts'
import { closeFd, int32, libc, SysError } from '#/sys/libc.ts'
import { receive, sendTo } from '#/sys/socket.ts'
import { type TestNetns } from '../netns/namespace.ts'
import { addrKey, encodeFirstPacket, type ProtocolName, tokenOf } from './packets.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const ETH_P_ALL_BE = 0x0300
const IPPROTO_RAW = 255
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const afOf: Record<Family, number> = { 4: 2, 6: 10 }

export type Place = {
  readonly name: string
  readonly netns: TestNetns
  /** Where its packets arrive; absent: it only sends. */
  readonly device?: string
  readonly addrs: readonly Addr[]
}

export type Probe = {
  readonly from: string
  readonly to: string
  readonly src: Addr
  readonly dst: Addr
  readonly protocol: ProtocolName
  readonly port: number
}

class Post implements Disposable {
  readonly #raw: Record<Family, number>
  readonly #captured: number | undefined
  readonly #own: ReadonlySet<string>
  readonly #buffer = new Uint8Array(2048)

  constructor({ netns, device, addrs }: Place) {
    const flags = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC
    const raw = (family: Family): number =>
      netns.netns.run(() => libc('socket', [afOf[family], flags, IPPROTO_RAW], 'raw IP'))
    this.#raw = { 4: raw(4), 6: raw(6) }
    this.#own = new Set(addrs.map(addrKey))
    if (device === undefined) return
    const index = netns.ip<{ ifindex: number }>(`link show ${device}`)[0]!.ifindex
    const address = new Uint8Array(20)
    const view = new DataView(address.buffer)
    view.setUint16(0, AF_PACKET, true)
    view.setUint16(2, ETH_P_ALL_BE, true)
    view.setInt32(4, index, true)
    this.#captured = netns.netns.run(() => {
      const fd = libc('socket', [AF_PACKET, flags, 0], 'AF_PACKET')
      libc('setsockopt', [fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(1 << 23), 4], 'SO_RCVBUFFORCE')
      libc('bind', [fd, address, address.length], 'AF_PACKET')
      return fd
    })
  }

  send(bytes: Uint8Array, dst: Addr): void {
    try {
      sendTo(this.#raw[dst.family], bytes, dst)
    } catch (error) {
      // what the sender's own stack refuses does not arrive
      if (!(error instanceof SysError)) throw error
    }
  }

  /** The tokens that have come since the last call. */
  take(): number[] {
    const tokens: number[] = []
    if (this.#captured === undefined) return tokens
    for (let count = receive(this.#captured, this.#buffer); count !== undefined;) {
      const token = tokenOf(this.#buffer.subarray(0, count), (addr) => this.#own.has(addr))
      if (token !== undefined) tokens.push(token)
      count = receive(this.#captured, this.#buffer)
    }
    return tokens
  }

  [Symbol.dispose](): void {
    for (const family of families) closeFd(this.#raw[family])
    if (this.#captured !== undefined) closeFd(this.#captured)
  }
}

/** So long nothing has come when all that will come has. */
const quietMs = 8
const firstToken = 2000

export class Prober implements Disposable {
  readonly #posts = new Map<string, Post>()
  #places: readonly Place[] = []
  #token = firstToken

  /** Sends and sees at these places from now on. Sockets of places that are as before stay: to close one takes milliseconds. */
  at(places: readonly Place[]): this {
    for (const place of places) {
      const before = this.#places.find(({ name }) => name === place.name)
      if (before !== undefined && before.netns === place.netns && String(before.addrs) === String(place.addrs)) continue
      this.#posts.get(place.name)?.[Symbol.dispose]()
      this.#posts.set(place.name, new Post(place))
    }
    this.#places = places
    return this
  }

  /** Which of the probes have arrived. Each has a source port that none before had. */
  async run(probes: readonly Probe[]): Promise<boolean[]> {
    for (const post of this.#posts.values()) post.take()
    const arrived = new Map<string, Set<number>>([...this.#posts.keys()].map((name) => [name, new Set()]))
    const collect = (): number => {
      let count = 0
      for (const [name, post] of this.#posts)
        for (const token of post.take()) {
          arrived.get(name)!.add(token)
          count++
        }
      return count
    }
    const tokens = probes.map(() => this.#nextToken())
    for (const [index, probe] of probes.entries()) {
      const { from, src, dst, protocol, port } = probe
      this.#posts.get(from)!.send(encodeFirstPacket({ src, dst, protocol, port, token: tokens[index]! }), dst)
      if (index % 200 === 199) collect()
    }
    for (let quiet = 0; quiet < 2; quiet = collect() === 0 ? quiet + 1 : 0) await sleep(quietMs)
    return probes.map(({ to }, index) => arrived.get(to)!.has(tokens[index]!))
  }

  #nextToken(): number {
    if (++this.#token > 65_000) this.#token = firstToken
    return this.#token
  }

  [Symbol.dispose](): void {
    for (const post of this.#posts.values()) post[Symbol.dispose]()
  }
}
