// Two nodes with a pod each, made by hand: pod, veth, bridge, VXLAN over a veth between the nodes, and back. What is told of packets that go
// this way is the same whoever has made it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Addr, families, type Family } from '#/lib/addr.ts'
import { Observer, type Probe } from '#/kernel/trace/observer.ts'
import { ProbeSender } from '#/kernel/trace/probe.ts'
import { type Sighting } from '#/kernel/trace/sighting.ts'
import { PacketSocket } from '#/sys/packet-socket.ts'
import { SysError } from '#/sys/libc.ts'
import { type TraceProtocol } from '#/wire/bpf/trace-words.ts'
import { type ProbePacket } from '#/wire/probe/packet.ts'
import { TestNetns } from './namespace.ts'

export const vxlanPort = 8472
/** Longer than a packet takes through all of it, also on a busy machine. */
const settleMs = 100

type Side = 'left' | 'right'
const numbers = { left: 1, right: 2 } as const satisfies Record<Side, number>

/** Addresses of a side's node on the underlay, of its bridge, and of its pod. */
export function addrOf(what: 'node' | 'bridge' | 'pod', side: Side, family: Family): Addr {
  const number = numbers[side]
  const text = {
    node: { 4: `192.0.2.${number}`, 6: `2001:db8::${number}` },
    bridge: { 4: `10.1.${number}.1`, 6: `fd01:${number}::1` },
    pod: { 4: `10.1.${number}.10`, 6: `fd01:${number}::10` },
  }[what][family]
  return Addr.parse(text)
}

/** What is sent, from the left pod; to the right one, unless it says otherwise. */
export type Trace = {
  readonly protocol: TraceProtocol
  readonly family?: Family
  readonly cookie?: string
  readonly sizeBytes?: number
  readonly to?: string
  readonly port?: number
  /** This frame out of the pod's device instead of a packet by its kernel. */
  readonly frame?: Uint8Array
  /** The sender's own kernel may refuse it. */
  readonly mayBeRefused?: boolean
}

export class TraceWorld implements Disposable {
  readonly #stack = new DisposableStack()
  readonly left = this.#stack.use(new TestNetns())
  readonly right = this.#stack.use(new TestNetns())
  readonly leftPod = this.#stack.use(new TestNetns())
  readonly rightPod = this.#stack.use(new TestNetns())
  readonly #sender = this.#stack.use(new ProbeSender())

  /** `outer`: the family of the tunnel. */
  constructor(outer: Family = 4) {
    try {
      this.left.sh(`ip link add eth0 type veth peer name eth0 netns ${this.right.name}`)
      for (const side of ['left', 'right'] as const) this.#makeSide(side, outer)
      for (const side of ['left', 'right'] as const) this.#makeWay(side)
      // neighbours are found now: none is to be waited for later
      for (const family of families) this.leftPod.sh(`ping -q -c 1 -W 2 ${addrOf('pod', 'right', family)}`)
    } catch (error) {
      this.#stack.dispose()
      throw error
    }
  }

  #makeSide(side: Side, outer: Family): void {
    const [node, pod] = [this[side], this[`${side}Pod`]]
    const other = side === 'left' ? 'right' : 'left'
    const of = (what: 'node' | 'bridge' | 'pod', family: Family): string => String(addrOf(what, side, family))
    node.sh(`
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
      ip link set lo up; ip link set eth0 up
      ip addr add ${of('node', 4)}/24 dev eth0; ip addr add ${of('node', 6)}/64 dev eth0 nodad
      ip link add br0 type bridge; ip link set br0 up
      ip addr add ${of('bridge', 4)}/24 dev br0; ip addr add ${of('bridge', 6)}/64 dev br0 nodad
      ip link add host0 type veth peer name eth0 netns ${pod.name}; ip link set host0 master br0 up
      ip link add vx0 address 02:00:00:00:00:0${numbers[side]} type vxlan id 1 dstport ${vxlanPort} nolearning noudpcsum udp6zerocsumrx \
        local ${of('node', outer)} remote ${addrOf('node', other, outer)}
      ip link set vx0 up`)
    pod.sh(`
      sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
      ip link set lo up; ip link set eth0 up
      ip addr add ${of('pod', 4)}/24 dev eth0; ip addr add ${of('pod', 6)}/64 dev eth0 nodad
      ip route add default via ${of('bridge', 4)}; ip -6 route add default via ${of('bridge', 6)}`)
  }

  #makeWay(side: Side): void {
    const other = side === 'left' ? 'right' : 'left'
    const number = numbers[other]
    this[side].sh(`
      ip addr add 10.9.0.${numbers[side]}/32 dev vx0
      ip route add 10.9.0.${number}/32 dev vx0
      for each in 4 6; do
        if [ $each = 4 ]; then via=10.9.0.${number}; net=10.1.${number}.0/24; else via=fe80::9:${number}; net=fd01:${number}::/64; fi
        ip -$each neigh replace $via lladdr 02:00:00:00:00:0${number} dev vx0 nud permanent
        ip -$each route add $net via $via dev vx0 onlink
      done`)
  }

  get #namespaces(): Readonly<Record<string, TestNetns>> {
    return { left: this.left, right: this.right, leftPod: this.leftPod, rightPod: this.rightPod }
  }

  nameOf(inode: number): string {
    return Object.entries(this.#namespaces).find(([, { netns }]) => netns.inode === inode)?.[0] ?? `netns ${inode}`
  }

  /** Observes all of these namespaces; without a name, all. */
  async observe(...names: ('left' | 'right' | 'leftPod' | 'rightPod')[]): Promise<Observer> {
    const chosen = names.length === 0 ? Object.values(this.#namespaces) : names.map((name) => this[name])
    return Observer.open({ vxlanPort, namespaces: chosen.map(({ netns }) => netns.inode) })
  }

  /** Sends a packet, and waits until it has gone all of its way. */
  async send({ protocol, family = 4, cookie = '', to, port = 9000, ...wish }: Trace): Promise<void> {
    try {
      if (wish.frame) this.#sendFrame(wish.frame)
      else {
        const dst = to === undefined ? addrOf('pod', 'right', family) : Addr.parse(to)
        const { sizeBytes } = wish
        const common = {
          src: addrOf('pod', 'left', family),
          dst,
          isWhole: true,
          ...(sizeBytes !== undefined && { sizeBytes }),
        }
        const bytes = Uint8Array.fromHex(cookie)
        const sourcePort = 40_000 + (seqOf(cookie) % 20_000)
        const packet: ProbePacket =
          protocol === 'icmp'
            ? { ...common, protocol, id: 7, seq: 1, cookie: bytes }
            : protocol === 'udp'
              ? { ...common, protocol, sourcePort, port, cookie: bytes }
              : { ...common, protocol, sourcePort, port, seq: seqOf(cookie) }
        this.#sender.send(packet, { netns: this.leftPod.netns, packetId: 77 })
      }
    } catch (error) {
      if (wish.mayBeRefused !== true || !(error instanceof SysError)) throw error
    }
    await this.settle()
  }

  #sendFrame(frame: Uint8Array): void {
    const [link] = this.leftPod.ip<{ ifindex: number }>('link show eth0')
    this.leftPod.netns.run(() => {
      using socket = new PacketSocket()
      socket.send(link!.ifindex, frame)
    })
  }

  /** Waits until packets have gone all of their way. */
  async settle(ms = settleMs): Promise<void> {
    await sleep(ms)
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}

function seqOf(cookie: string): number {
  return Number.parseInt(cookie.slice(0, 8), 16)
}

function probeOf({ protocol }: Trace, cookie: string): Probe {
  return protocol === 'tcp' ? { protocol, seq: seqOf(cookie) } : { protocol, cookie: Uint8Array.fromHex(cookie) }
}

/** Sends a probe and tells all that is seen of it, in order. */
export async function traced(world: TraceWorld, observer: Observer, wish: Trace): Promise<Sighting[]> {
  const cookie = wish.cookie ?? randomBytes(8).toString('hex')
  const seen: Sighting[] = []
  using followed = observer.follow(probeOf(wish, cookie), (sighting) => seen.push(sighting))
  await world.send({ ...wish, cookie })
  // a packet that has ended is told to have; on an emulated machine that takes longer
  if (!seen.some(({ place }) => place === 'drop' || place === 'read')) await world.settle(4 * settleMs)
  assert.equal(followed.lost, 0)
  return seen.sort((a, b) => Number(a.timeNs - b.timeNs))
}

/** Where something was seen, in words: NAMESPACE:DEVICE:PLACE of each. */
export function wordsOf(world: TraceWorld, sightings: readonly Pick<Sighting, 'netns' | 'device' | 'place'>[]): string {
  return sightings.map(({ netns, device, place }) => `${world.nameOf(netns)}:${device?.name ?? ''}:${place}`).join(' ')
}
