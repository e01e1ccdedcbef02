// Two nodes as namespaces, with bridge, tunnel and pods as Causeway makes them, and the programs attached by hand: real packets.
import { readFileSync } from 'node:fs'
import { attachTcx } from '#/kernel/bpf/tcx.ts'
import { loadObject, type LoadedObject } from '#/kernel/bpf/object.ts'
import { bpfObjectPath } from '#/kernel/bpf/object-file.ts'
import { type ProgramName, ways } from '#/wire/bpf/maps.ts'
import { TestNetns } from '../namespace.ts'
import { addrOf, macOf } from './frames.ts'
import { NodeMaps } from './node-maps.ts'
import { type Protocol, Talker } from './talking-pod.ts'
import { mapped, vni, vxlanPort } from './world.ts'

export type Way = 'native' | 'tunnel4' | 'tunnel6'
const vtepMac = (node: number): string => `02:43:57:ff:00:0${node}`
export const echoPort = 5000
export const overheads: Readonly<Record<Way, number>> = { native: 0, tunnel4: 50, tunnel6: 70 }
const deviceMtuBytes = 1500

/** A number of the kernel's ticks: entries of connection tracking are kept alive by it. */
export async function jiffiesHz(object: LoadedObject): Promise<number> {
  const clock = object.programs.get('cw_clock')!
  const read = (): [bigint, bigint] => {
    const view = new DataView(clock.testRun({ ctx: new Uint8Array(16) }).ctx.buffer)
    return [view.getBigUint64(0, true), view.getBigUint64(8, true)]
  }
  const [ticks, ns] = read()
  await new Promise((resolve) => setTimeout(resolve, 200))
  const [ticksLater, nsLater] = read()
  const exact = (Number(ticksLater - ticks) * 1e9) / Number(nsLater - ns)
  return [100, 250, 300, 1000].sort((a, b) => Math.abs(a - exact) - Math.abs(b - exact))[0]!
}

export class Pod extends Talker {
  readonly node: TestNode
  readonly number: number
  readonly device: string
  readonly slot: number
  readonly mac: string
  readonly addrs: Readonly<Record<4 | 6, string>>

  constructor(node: TestNode, number: number) {
    super()
    this.node = node
    this.number = number
    this.device = `pod${number}`
    this.slot = number
    this.mac = `02:00:00:00:0${node.number}:0${number}`
    this.addrs = { 4: `10.244.${node.number}.${10 + number}`, 6: `fd10:244:0:${node.number}::${10 + number}` }
    const { 4: addr4, 6: addr6 } = this.addrs
    node.sh(`ip link add ${this.device} mtu ${node.podMtuBytes} up type veth peer name eth0 address ${this.mac} mtu ${node.podMtuBytes} netns ${this.netns.name}
      ip link set ${this.device} master cw-br0
      ip link set ${this.device} type bridge_slave hairpin on`)
    this.netns.sh(`ip link set lo up; ip link set eth0 up
      ip addr add ${addr4}/24 dev eth0; ip addr add ${addr6}/64 dev eth0 nodad
      ip route add default via 10.244.${node.number}.1; ip route add default via fd10:244:0:${node.number}::1`)
  }

  async serve(): Promise<void> {
    for (const addr of Object.values(this.addrs)) await this.call({ kind: 'serve', addr, port: echoPort })
  }

  /** A connection to a pod, or to an address. */
  async connect(
    id: string,
    protocol: Protocol,
    family: 4 | 6,
    to: Pod | string,
    { fromPort, port = echoPort }: { fromPort?: number; port?: number } = {},
  ): Promise<void> {
    const addr = typeof to === 'string' ? to : to.addrs[family]
    const from = this.addrs[family]
    await this.call({ kind: 'open', id, protocol, from, to: addr, port, ...(fromPort !== undefined && { fromPort }) })
  }

  async close(id: string, how: 'fin' | 'rst' = 'fin'): Promise<void> {
    await this.call({ kind: 'close', id, how })
  }
}

export class TestNode implements Disposable {
  readonly host = new TestNetns()
  readonly number: number
  readonly way: Way
  readonly podMtuBytes: number
  readonly maps: NodeMaps
  readonly pods: Pod[] = []
  readonly #stack = new DisposableStack()
  readonly #object: LoadedObject

  constructor(number: number, way: Way, object: LoadedObject) {
    this.number = number
    this.way = way
    this.podMtuBytes = deviceMtuBytes - overheads[way]
    this.#object = this.#stack.use(object)
    this.#stack.use(this.host)
    this.sh(`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.send_redirects=0
      ip link set lo up
      ip link add cw-br0 address 02:43:57:00:00:0${number} mtu ${this.podMtuBytes} up type bridge
      ip addr add 10.244.${number}.1/24 dev cw-br0; ip addr add fd10:244:0:${number}::1/64 dev cw-br0 nodad
      ip link add cw-vxlan address ${vtepMac(number)} mtu ${this.podMtuBytes} type vxlan external dstport ${vxlanPort}
      ip link set cw-vxlan up
      ip neigh add 172.31.0.${3 - number} lladdr ${vtepMac(3 - number)} dev cw-vxlan nud permanent
      ip neigh add fd31::${3 - number} lladdr ${vtepMac(3 - number)} dev cw-vxlan nud permanent`)
    // as beside kube-proxy: connection tracking is on, and what is invalid is dropped
    this.nft(`table inet node {
      chain forward { type filter hook forward priority 0; ct state invalid counter drop; }
      chain postrouting { type nat hook postrouting priority srcnat; }
      chain prerouting { type nat hook prerouting priority dstnat; }
    }`)
    this.maps = new NodeMaps(object)
  }

  sh(command: string): string {
    return this.host.sh(command)
  }

  nft(rules: string): void {
    this.sh(`nft -f - <<'RULES'\n${rules}\nRULES`)
  }

  indexOf(device: string): number {
    return this.host.ip<{ ifindex: number }>(`link show ${device}`)[0]!.ifindex
  }

  addPod(): Pod {
    const pod = this.#stack.use(new Pod(this, this.pods.length + 1))
    this.pods.push(pod)
    return pod
  }

  tellPod(pod: Pod, flags = 0): void {
    this.maps.tellPod({
      device: this.indexOf(pod.device),
      slot: pod.slot,
      mtu: this.podMtuBytes,
      flags,
      mac: macOf(pod.mac),
      addrs: Object.values(pod.addrs).map(addrOf),
    })
  }

  /** Of the other node, in both families. */
  tellNode(number: number, change: { readonly mtu?: number; readonly way?: keyof typeof ways } = {}): void {
    const way = change.way ?? (number === this.number ? 'local' : this.way)
    const endOf = (node: number): string => (this.way === 'tunnel6' ? `fd30::${node}` : `172.30.1.${node}`)
    this.maps.tellNode({
      number,
      ends: [`172.30.1.${number}`, `fd30::${number}`].map(mapped),
      node: {
        owner: BigInt(number),
        tunnel_src: mapped(endOf(this.number)),
        tunnel_dst: mapped(endOf(number)),
        mtu: change.mtu ?? this.podMtuBytes,
        way: ways[way],
        flags: 0,
        vtep_mac: macOf(vtepMac(number)),
      },
    })
  }

  configure(change: Parameters<NodeMaps['configure']>[0] = {}): void {
    this.maps.configure({
      bridge_device: this.indexOf('cw-br0'),
      tunnel_device: this.indexOf('cw-vxlan'),
      vni,
      vxlan_port: vxlanPort,
      bridge_mac: macOf(`02:43:57:00:00:0${this.number}`),
      tunnel_mac: macOf(vtepMac(this.number)),
      ...change,
    })
  }

  attach(): void {
    const places: [string, 'ingress' | 'egress', ProgramName][] = [
      ['eth0', 'ingress', 'cw_from_underlay'],
      ['cw-vxlan', 'ingress', 'cw_from_tunnel'],
      ...this.pods.flatMap(({ device }): [string, 'ingress' | 'egress', ProgramName][] => [
        [device, 'ingress', 'cw_from_pod'],
        [device, 'egress', 'cw_to_pod'],
      ]),
    ]
    for (const [name, hook, program] of places) {
      const device = { name, index: this.indexOf(name) }
      this.#stack.use(this.host.netns.run(() => attachTcx(device, hook, this.#object.programs.get(program)!)))
    }
  }

  /** How the kernel's route to another node's pods goes; `remote` is its number. */
  route(remote: number, verb: 'add' | 'del' = 'add'): void {
    const encap = {
      native: undefined,
      tunnel4: `encap ip id ${vni} src 172.30.1.${this.number} dst 172.30.1.${remote} ttl 64`,
      tunnel6: `encap ip6 id ${vni} src fd30::${this.number} dst fd30::${remote} hoplimit 64 csum`,
    }[this.way]
    const via = (gateway: string, tunnelGateway: string): string =>
      encap === undefined ? `via ${gateway} dev eth0` : `${encap} via ${tunnelGateway} dev cw-vxlan onlink`
    this.sh(`ip route ${verb} 10.244.${remote}.0/24 ${via(`172.30.1.${remote}`, `172.31.0.${remote}`)}
      ip route ${verb} fd10:244:0:${remote}::/64 ${via(`fd30::${remote}`, `fd31::${remote}`)}`)
  }

  /** The lines of connection tracking with all of these in them. */
  tracked(...words: string[]): string[] {
    const lines = this.sh('cat /proc/net/nf_conntrack').split('\n')
    return lines.filter((line) => words.every((word) => line.includes(word)))
  }

  /** Packets that connection tracking found invalid, and the firewall dropped. */
  get invalid(): number {
    return Number(/counter packets (\d+)/.exec(this.sh('nft list chain inet node forward'))![1])
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
  }
}

/** Node 1 with two pods and node 2 with one, joined by a switch. */
export class TwoNodes implements Disposable {
  /** Where other machines of the underlay would be. */
  readonly wire: TestNetns
  readonly outsider: Talker
  readonly nodes: readonly [TestNode, TestNode]
  readonly client: Pod
  readonly neighbour: Pod
  readonly remote: Pod
  readonly hz: number
  readonly #stack = new DisposableStack()

  static async make(way: Way): Promise<TwoNodes> {
    const objects = await Promise.all([1, 2].map(async () => loadObject({ bytes: readFileSync(bpfObjectPath()) })))
    const hz = await jiffiesHz(objects[0]!)
    const both = new TwoNodes(way, objects as [LoadedObject, LoadedObject], hz)
    await Promise.all([both.client, both.neighbour, both.remote].map((pod) => pod.serve()))
    return both
  }

  private constructor(way: Way, [first, second]: [LoadedObject, LoadedObject], hz: number) {
    this.hz = hz
    const one = this.#stack.use(new TestNode(1, way, first))
    const two = this.#stack.use(new TestNode(2, way, second))
    this.nodes = [one, two]
    this.outsider = this.#stack.use(new Talker())
    this.wire = this.outsider.netns
    this.wire.sh('ip link add br0 up type bridge')
    for (const { number, host } of this.nodes) {
      this.wire.sh(`ip link add port${number} master br0 up type veth peer name eth0 netns ${host.name}`)
      host.sh('ip link set eth0 up')
    }
    this.client = one.addPod()
    this.neighbour = one.addPod()
    this.remote = two.addPod()
    for (const node of this.nodes) {
      const { number } = node
      node.sh(`ip addr add 172.30.1.${number}/24 dev eth0; ip addr add fd30::${number}/64 dev eth0 nodad`)
      node.route(3 - number)
      node.configure({ jiffies_hz: hz })
      for (const pod of node.pods) node.tellPod(pod)
      for (const each of [1, 2]) node.tellNode(each)
      node.attach()
    }
  }

  traffic(pod: Pod): Record<string, number> {
    return pod.node.maps.traffic(pod.slot)
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
  }
}
