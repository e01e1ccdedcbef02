// A chain of namespaces that forward, with a pod at each end: some are nodes that are watched, one may be a router that nobody watches.
import { setTimeout as sleep } from 'node:timers/promises'
import { Observer } from '#/kernel/trace/observer.ts'
import { ProbeSender } from '#/kernel/trace/probe.ts'
import { type Sighting as Seen } from '#/kernel/trace/sighting.ts'
import { Addr } from '#/lib/addr.ts'
import { withoutPayload } from '#/trace/bytes.ts'
import { type Direction, type Prediction, type Sighting, type WayPlace } from '#/trace/types.ts'
import { type TraceFacts } from '#/trace/verdict.ts'
import { TestNetns } from './namespace.ts'

const settleMs = 50
/** A packet that has ended is told to have; on an emulated machine that takes longer. */
const mostWaits = 10
export const pods = { a: 'default/a', b: 'default/b' } as const
export const addrs = { a: '10.1.0.2', b: '10.2.0.2' } as const

export type ChainShape = {
  readonly length: number
  /** The number of the one that nobody watches. */
  readonly router?: number
  /** How far the clock of each node is ahead, ms. */
  readonly clocksMs: readonly number[]
}

/** Waits until nothing more comes, and something has been dropped or taken. */
async function settled(sightings: readonly Sighting[]): Promise<void> {
  for (let [waits, seen] = [0, -1]; waits < mostWaits; waits++) {
    const hasEnded = sightings.some(({ place }) => place === 'drop' || place === 'read')
    if (hasEnded && sightings.length === seen) return
    seen = sightings.length
    await sleep(settleMs)
  }
}

export class Chain implements AsyncDisposable {
  readonly shape: ChainShape
  readonly #stack = new DisposableStack()
  readonly a = this.#stack.use(new TestNetns())
  readonly b = this.#stack.use(new TestNetns())
  readonly hosts: readonly TestNetns[]
  readonly #sender = this.#stack.use(new ProbeSender())
  #observer: Observer | undefined
  #count = 0

  constructor(shape: ChainShape) {
    this.shape = shape
    this.hosts = Array.from({ length: shape.length }, () => this.#stack.use(new TestNetns()))
    try {
      this.#wire()
    } catch (error) {
      this.#stack.dispose()
      throw error
    }
  }

  /** Of each host: `left0` leads to pod a, `right0` to pod b. */
  #wire(): void {
    const { hosts, a, b } = this
    for (const [index, host] of hosts.entries()) {
      const next = hosts[index + 1] ?? b
      const there = index + 1 < hosts.length ? 'left0' : 'eth0'
      host.sh(`sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0; ip link set lo up
        ${index === 0 ? `ip link add left0 type veth peer name eth0 netns ${a.name}; ip link set left0 up; ip addr add 10.1.0.1/24 dev left0` : ''}
        ip link add right0 type veth peer name ${there} netns ${next.name}; ip link set right0 up`)
      if (next === b) host.sh('ip addr add 10.2.0.1/24 dev right0')
      else {
        host.sh(
          `ip addr add 192.0.2.${4 * index + 1}/30 dev right0; ip route add 10.2.0.0/24 via 192.0.2.${4 * index + 2}`,
        )
        next.sh(
          `ip link set left0 up; ip addr add 192.0.2.${4 * index + 2}/30 dev left0; ip route add 10.1.0.0/24 via 192.0.2.${4 * index + 1}`,
        )
      }
    }
    for (const [pod, number] of [
      [a, 1],
      [b, 2],
    ] as const)
      pod.sh(
        `ip link set lo up; ip link set eth0 up; ip addr add 10.${number}.0.2/24 dev eth0; ip route add default via 10.${number}.0.1`,
      )
    // neighbours are found now: none is to be waited for later
    a.sh(`ping -q -c 1 -W 2 ${addrs.b}`)
  }

  nodeName(index: number): string {
    return `node-${index + 1}`
  }

  isWatched(index: number): boolean {
    return index !== this.shape.router
  }

  async watch(): Promise<void> {
    const watched = this.hosts.filter((_, index) => this.isWatched(index))
    const namespaces = [this.a, this.b, ...watched].map(({ netns }) => netns.inode)
    this.#observer = await Observer.open({ vxlanPort: 8472, namespaces })
  }

  #placesOf(index: number, direction: Direction): WayPlace[] {
    const [into, out] = direction === 'there' ? (['left0', 'right0'] as const) : (['right0', 'left0'] as const)
    const [first, last] = direction === 'there' ? (['a', 'b'] as const) : (['b', 'a'] as const)
    const atStart = index === (direction === 'there' ? 0 : this.hosts.length - 1)
    const atEnd = index === (direction === 'there' ? this.hosts.length - 1 : 0)
    return [
      ...(atStart
        ? (['queue', 'transmit'] as const).map((place) => ({ place, device: 'eth0', pod: pods[first] }))
        : []),
      { place: 'receive', device: into },
      { place: 'queue', device: out },
      { place: 'transmit', device: out },
      ...(atEnd ? [{ place: 'receive', device: 'eth0', pod: pods[last] } as const] : []),
    ]
  }

  #predictionsOf(direction: Direction): Prediction[] {
    const indexes = this.hosts.keys().filter((index) => this.isWatched(index))
    const inOrder = direction === 'there' ? [...indexes] : [...indexes].toReversed()
    return inOrder.map((index) => ({ node: this.nodeName(index), steps: [], way: this.#placesOf(index, direction) }))
  }

  #told(seen: Seen): Sighting {
    const { netns, timeNs, place, role, device, lengthBytes, skb, bytes, startsAt, drop } = seen
    const isIn = (each: TestNetns): boolean => each.netns.inode === netns
    const pod = isIn(this.a) ? pods.a : isIn(this.b) ? pods.b : undefined
    const index = pod === pods.a ? 0 : pod === pods.b ? this.hosts.length - 1 : this.hosts.findIndex(isIn)
    return {
      node: this.nodeName(index),
      timeMs: Number(timeNs) / 1e6 + (this.shape.clocksMs[index] ?? 0),
      place,
      role,
      ...(pod !== undefined && { pod }),
      ...(device && { device: device.name }),
      lengthBytes,
      skb: skb.toString(16),
      bytes: withoutPayload(bytes, startsAt).toHex(),
      startsAt,
      ...(drop && { drop }),
    }
  }

  /** Sends one echo request from a to b. */
  async trace(): Promise<TraceFacts> {
    const cookie = Uint8Array.from({ length: 8 }, (_, at) => (at === 7 ? ++this.#count : at + 1))
    const sightings: Sighting[] = []
    using _followed = this.#observer!.follow({ protocol: 'icmp', cookie }, (seen) => sightings.push(this.#told(seen)))
    const [src, dst] = [Addr.parse(addrs.a), Addr.parse(addrs.b)]
    const packet = { src, dst, isWhole: false, protocol: 'icmp', id: 7, seq: 1, cookie } as const
    this.#sender.send(packet, { netns: this.a.netns, packetId: 7 })
    await settled(sightings)
    return {
      from: { addr: addrs.a, pod: pods.a, node: this.nodeName(0) },
      to: { addr: addrs.b, pod: pods.b, node: this.nodeName(this.hosts.length - 1) },
      protocol: 'icmp',
      predictions: { there: this.#predictionsOf('there'), back: this.#predictionsOf('back') },
      sightings,
      blind: [],
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#observer?.[Symbol.dispose]()
    this.#stack.dispose()
    return Promise.resolve()
  }
}
