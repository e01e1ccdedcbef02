// A node with programs and maps, but without traffic: single frames run through a program by BPF_PROG_TEST_RUN. What the node is like
// stands here once, for the tests' tables and for the oracle of the fuzzer.
import { readFileSync } from 'node:fs'
import { loadObject, type LoadedObject } from '#/kernel/bpf/object.ts'
import { type BpfMap } from '#/kernel/bpf/map.ts'
import { bpfObjectPath } from '#/kernel/bpf/object-file.ts'
import { type MapName, podFlags, type ProgramName, ways } from '#/wire/bpf/maps.ts'
import { TestNetns } from '../namespace.ts'
import { Connections } from './connections.ts'
import { addrOf, macOf, zeros } from './frames.ts'
import { NodeMaps } from './node-maps.ts'

export const bridgeMac = '02:43:57:00:00:01'
export const tunnelMac = '02:43:57:ff:00:01'
export const underlayMac = '02:00:00:00:30:01'
export const routerMac = '02:00:00:00:30:fe'
export const vtepMac = '02:43:57:ff:00:02'
export const vni = 7
export const vxlanPort = 8472

export type WorldPod = {
  readonly device: string
  readonly addr4: string
  readonly addr6: string
  readonly mac: string
  readonly slot: number
  readonly mtuBytes: number
  readonly flags: number
}

const podOf = (number: number, flags = 0, mtuBytes = 1450): WorldPod => ({
  device: `pod${number}`,
  addr4: `10.244.1.${10 + number}`,
  addr6: `fd10:244:0:1::${10 + number}`,
  mac: `02:00:00:00:01:0${number}`,
  slot: number,
  mtuBytes,
  flags,
})

export const pods = {
  client: podOf(1),
  server: podOf(2),
  limited: podOf(3, podFlags.limited),
  bridged: podOf(4, podFlags.bridged),
  narrow: podOf(5, 0, 1300),
} as const satisfies Record<string, WorldPod>

/** A device that no entry of cw_ports tells of. */
export const unknownDevice = 'pod9'

export type WorldNode = {
  readonly number: number
  readonly way: keyof typeof ways
  readonly mtuBytes: number
  readonly addr4: string
  readonly addr6: string
}

const nodeOf = (number: number, way: keyof typeof ways, mtuBytes = 0): WorldNode => ({
  number,
  way,
  mtuBytes,
  addr4: `172.30.1.${number}`,
  addr6: `fd30::${number}`,
})

/** Node N has the pod CIDRs 10.244.N.0/24 and fd10:244:0:N::/64. */
export const nodes = {
  own: nodeOf(1, 'local'),
  native: nodeOf(2, 'native', 1500),
  tunnel4: nodeOf(3, 'tunnel4', 1450),
  tunnel6: nodeOf(4, 'tunnel6', 1430),
  none: nodeOf(5, 'none'),
  /** Its way is known, but the kernel has no route there. */
  unrouted: nodeOf(6, 'native', 1500),
} as const satisfies Record<string, WorldNode>

export const remote4 = (node: WorldNode): string => `10.244.${node.number}.20`
export const remote6 = (node: WorldNode): string => `fd10:244:0:${node.number}::20`

export const mapped = (addr: string): Uint8Array => {
  const bytes = addrOf(addr)
  return bytes.length === 16 ? bytes : Uint8Array.from([...zeros(10), 0xff, 0xff, ...bytes])
}

export type Verdict = 'stack' | 'carried' | 'dropped'

/** What the kernel calls them: TC_ACT_UNSPEC, TC_ACT_SHOT and TC_ACT_REDIRECT (include/uapi/linux/pkt_cls.h). */
const verdictOf = new Map<number, Verdict>([
  [-1, 'stack'],
  [2, 'dropped'],
  [7, 'carried'],
])

export type Outcome = { readonly verdict: Verdict; readonly reason: string | undefined; readonly frame: Uint8Array }
export type RunOptions = { readonly gsoBytes?: number; readonly segments?: number }

/** Places in struct __sk_buff (include/uapi/linux/bpf.h). */
const contextBytes = 192
const ifindexAt = 40
const gsoSegsAt = 164
const gsoSizeAt = 176

export class World implements Disposable {
  readonly netns: TestNetns
  readonly connections: Connections
  readonly maps: NodeMaps
  readonly #stack: DisposableStack
  readonly #object: LoadedObject
  readonly #contexts = new Map<string, Uint8Array>()

  static async make(): Promise<World> {
    return new World(await loadObject({ bytes: readFileSync(bpfObjectPath()) }))
  }

  private constructor(object: LoadedObject) {
    using stack = new DisposableStack()
    this.#object = stack.use(object)
    this.netns = stack.use(new TestNetns())
    this.connections = stack.use(new Connections(this.netns.netns))
    this.maps = new NodeMaps(object)
    this.#makeDevices()
    this.maps.configure({
      bridge_device: this.indexOf('cw-br0'),
      tunnel_device: this.indexOf('cw-vxlan'),
      vni,
      vxlan_port: vxlanPort,
      bridge_mac: macOf(bridgeMac),
      tunnel_mac: macOf(tunnelMac),
    })
    for (const pod of Object.values(pods)) this.#tellPod(pod)
    for (const node of Object.values(nodes)) this.#tellNode(node)
    this.#stack = stack.move()
  }

  #makeDevices(): void {
    const veths = [...Object.values(pods).map(({ device }) => device), unknownDevice]
    this.netns.sh(`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
      ip link add cw-br0 address ${bridgeMac} up type bridge
      ip addr add 10.244.1.1/24 dev cw-br0; ip addr add fd10:244:0:1::1/64 dev cw-br0 nodad
      ip link add cw-vxlan address ${tunnelMac} mtu 1450 up type vxlan external dstport ${vxlanPort}
      ip link add eth0 address ${underlayMac} up type veth peer name wire; ip link set wire up
      ip addr add 172.30.1.1/24 dev eth0; ip addr add fd30::1/64 dev eth0 nodad
      ip neigh add 172.30.1.254 lladdr ${routerMac} dev eth0; ip neigh add fd30::fe lladdr ${routerMac} dev eth0
      ${veths.map((name) => `ip link add ${name} up type veth peer name ${name}-in; ip link set ${name} master cw-br0`).join('\n')}
      ip route add 10.244.2.0/24 via 172.30.1.254; ip route add fd10:244:0:2::/64 via fd30::fe
      ip link set lo up`)
  }

  indexOf(device: string): number {
    const [link] = this.netns.ip<{ ifindex: number }>(`link show ${device}`)
    return link!.ifindex
  }

  #tellPod({ device, addr4, addr6, mac, slot, mtuBytes, flags }: WorldPod): void {
    const addrs = [addr4, addr6].map(addrOf)
    this.maps.tellPod({ device: this.indexOf(device), slot, mtu: mtuBytes, flags, mac: macOf(mac), addrs })
  }

  #tellNode({ number, way, mtuBytes, addr4, addr6 }: WorldNode): void {
    const is6 = way === 'tunnel6'
    this.maps.tellNode({
      number,
      ends: [addr4, addr6].map(mapped),
      node: {
        owner: BigInt(number),
        tunnel_src: mapped(is6 ? nodes.own.addr6 : nodes.own.addr4),
        tunnel_dst: mapped(is6 ? addr6 : addr4),
        mtu: mtuBytes,
        way: ways[way],
        flags: 0,
        vtep_mac: macOf(vtepMac),
      },
    })
  }

  #contextOf(device: string, { gsoBytes = 0, segments = 0 }: RunOptions): Uint8Array {
    const key = `${device} ${gsoBytes} ${segments}`
    const known = this.#contexts.get(key)
    if (known) return known
    const context = new Uint8Array(contextBytes)
    const view = new DataView(context.buffer)
    view.setUint32(ifindexAt, this.indexOf(device), true)
    view.setUint32(gsoSegsAt, segments, true)
    view.setUint32(gsoSizeAt, gsoBytes, true)
    this.#contexts.set(key, context)
    return context
  }

  /** Many frames in one step into the namespace. */
  inside<T>(work: () => T): T {
    return this.netns.netns.run(work)
  }

  /** To be called within `inside`: the verdict and the frame as the program left it. */
  runInside(program: ProgramName, device: string, data: Uint8Array, options: RunOptions = {}): Omit<Outcome, 'reason'> {
    const { retval, data: frame } = this.#object.programs
      .get(program)!
      .testRun({ data, ctx: this.#contextOf(device, options), growthBytes: 64 })
    const verdict = verdictOf.get(retval)
    if (verdict === undefined) throw new Error(`${program} returned ${retval}`)
    return { verdict, frame }
  }

  run(program: ProgramName, device: string, data: Uint8Array, options: RunOptions = {}): Outcome {
    this.maps.clearDrops()
    // so that the first call, which asks for the index, is not within
    this.#contextOf(device, options)
    const outcome = this.inside(() => this.runInside(program, device, data, options))
    const [reason] = this.maps.drops().keys()
    return { ...outcome, reason }
  }

  /** A map as it is, for what is written by key. */
  map(name: MapName): BpfMap {
    return this.#object.maps.get(name)!
  }

  /** Packets of a pod, by how they went; those that are none are left out. */
  traffic({ slot }: WorldPod): Record<string, number> {
    return this.maps.traffic(slot)
  }

  clearTraffic(): void {
    for (const { slot } of Object.values(pods)) this.maps.clearTraffic(slot)
  }

  clearBudgets(): void {
    for (const { slot } of Object.values(pods)) this.maps.clearBudget(slot)
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
  }
}

/** The ports of each pair's connection, as the client sends. */
export const clientPort = 40_000
export const serverPort = 5_000
/** Of a connection whose entry has not been answered yet. */
export const unansweredPort = 5_001
/** Of a connection that is translated, by flag. */
export const translatedPort = 5_002
/** Of a connection that is translated without a flag, as by IPVS. */
export const quietlyTranslatedPort = 5_003

export type Pair = { readonly src: string; readonly dst: string }

/** The client, and all others that it has connections with, by family. */
export const clientPairs: readonly Pair[] = [
  ...Object.values(pods)
    .filter((pod) => pod !== pods.client)
    .flatMap(({ addr4, addr6 }) => [
      { src: pods.client.addr4, dst: addr4 },
      { src: pods.client.addr6, dst: addr6 },
    ]),
  ...Object.values(nodes).flatMap((node) => [
    { src: pods.client.addr4, dst: remote4(node) },
    { src: pods.client.addr6, dst: remote6(node) },
  ]),
]

/** Connections of each kind between all pairs, in UDP and TCP. */
export function openConnections({ connections }: World): void {
  for (const [index, { src, dst }] of clientPairs.entries()) {
    for (const protocol of [6, 17]) {
      const to = (port: number) => ({ protocol, src, dst, from: clientPort, to: port })
      connections.add(to(serverPort))
      connections.add({ ...to(unansweredPort), status: 8 })
      connections.add({ ...to(translatedPort), translatedTo: dst.includes(':') ? 'fd10:244:0:7::7' : '10.244.7.7' })
      const other = dst.includes(':') ? 'fd10:244:0:7::8' : '10.244.7.8'
      connections.add({
        ...to(quietlyTranslatedPort),
        reply: { src: other, dst: src, from: 10_000 + index, to: clientPort },
      })
    }
  }
}
