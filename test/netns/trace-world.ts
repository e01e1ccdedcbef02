// Two nodes with a pod each, made by hand: pod, veth, bridge, VXLAN over a veth between the nodes, and back. What is told of packets that go
// this way is the same whoever has made it.
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Addr, type Family } from '#/lib/addr.ts'
import { Observer, type Followed, type Probe } from '#/kernel/trace/observer.ts'
import { ProbeSender } from '#/kernel/trace/probe.ts'
import { type Sighting } from '#/kernel/trace/sighting.ts'
import { type ProbePacket } from '#/wire/probe/packet.ts'
import { TestNetns } from './namespace.ts'

export const vxlanPort = 8472
/** Longer than a packet takes through all of it, also on a busy machine. */
const settleMs = 150

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

/** Where something was seen, in one word: NAMESPACE:DEVICE:PLACE. */
export function wordOf(world: TraceWorld, { netns, device, place }: Sighting): string {
  return `${world.nameOf(netns)}:${device?.name ?? ''}:${place}`
}

export class TraceWorld implements Disposable {
  readonly #stack = new DisposableStack()
  readonly left = this.#stack.use(new TestNetns())
  readonly right = this.#stack.use(new TestNetns())
  readonly leftPod = this.#stack.use(new TestNetns())
  readonly rightPod = this.#stack.use(new TestNetns())
  readonly sender = this.#stack.use(new ProbeSender())

  /** `outer`: the family of the tunnel. */
  constructor(outer: Family = 4) {
    try {
      this.left.sh(`ip link add eth0 type veth peer name eth0 netns ${this.right.name}`)
      for (const side of ['left', 'right'] as const) this.#makeSide(side, outer)
      for (const side of ['left', 'right'] as const) this.#makeWay(side)
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
      sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
      ip link set lo up; ip link set eth0 up
      ip addr add ${of('pod', 4)}/24 dev eth0; ip addr add ${of('pod', 6)}/64 dev eth0 nodad
      ip route add default via ${of('bridge', 4)}; ip -6 route add default via ${of('bridge', 6)}`)
  }

  #makeWay(side: Side): void {
    const other = side === 'left' ? 'right' : 'left'
    const number = numbers[other]
    this[side].sh(`
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

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}

export function freshProbe(
  protocol: ProbePacket['protocol'],
): Probe & { readonly cookie: Uint8Array; readonly seq: number } {
  const cookie = new Uint8Array(randomBytes(8))
  const seq = createHash('sha256').update(cookie).digest().readUInt32BE()
  return { protocol, cookie, seq } as Probe & { readonly cookie: Uint8Array; readonly seq: number }
}

export async function settle(): Promise<void> {
  await sleep(settleMs)
}

export type { Followed }
