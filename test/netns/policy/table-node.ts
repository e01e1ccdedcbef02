// A node with the bridge of pods and the policy tables, made of a form that the test fills in. Its pods and another node are namespaces.
import assert from 'node:assert/strict'
import { PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { type PolicyFacts } from '#/reconcile/policy/policy-sink.ts'
import { changeOf, TestForm } from '#/plan/policy/testing/form.ts'
import { type FormChange } from '#/policy/form.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { type Logger, silent } from '#/lib/log.ts'
import {
  be32,
  etherTypes,
  ethernet,
  ipv4,
  ipv6,
  join,
  protocols,
  tcp,
  tcpFlags,
  type Ethernet,
  udp,
  withChecksum,
} from '../ebpf/frames.ts'
import { closeFd } from '#/sys/libc.ts'
import { icmpSocket, sendTo } from '#/sys/socket.ts'
import { TestNetns } from '../namespace.ts'
import { FramePort } from './frame-port.ts'

export const bridgeMac = '02:43:00:00:00:01'
export const subnets = { 4: '10.244.1', 6: 'fd10:244:0:1:' } as const
const remoteSubnets = { 4: '10.244.2', 6: 'fd10:244:0:2:' } as const

/** The address with this number of the node's own pods, or of the other node's. */
export function addrOf(family: Family, number: number, isRemote = false): string {
  const subnet = (isRemote ? remoteSubnets : subnets)[family]
  return family === 4 ? `${subnet}.${number}` : `${subnet}:${number}`
}

export type TestPod = {
  readonly netns: TestNetns
  readonly number: number
  readonly device: string
  readonly port: FramePort
  readonly isRemote?: boolean
}

export type Message = {
  readonly family: Family
  readonly from: TestPod
  readonly to: TestPod
  readonly protocol?: number
  readonly sourcePort?: number
  readonly port?: number
  readonly flags?: number
  readonly src?: string
  readonly dst?: string
  /** By default the gateway's for pods of other nodes, the pod's own on the same node. */
  readonly mac?: string
}

let marks = 0

export class TableNode implements Disposable {
  readonly #stack = new DisposableStack()
  readonly host = this.#stack.use(new TestNetns())
  /** The other node, and with it a pod of its own. */
  readonly other: TestPod
  readonly form = new TestForm()
  readonly ports = new Map<string, readonly Addr[]>()
  readonly tables: PolicyTables
  readonly #calls: Record<Family, number>
  mac: string | undefined = bridgeMac
  /** What the tables warned of. */
  readonly warnings: unknown[] = []
  readonly #log: Logger = { ...silent, warn: (_, fields) => this.warnings.push(fields) }

  constructor() {
    const other = this.#stack.use(new TestNetns())
    const noDad = 'sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0'
    for (const netns of [this.host, other]) netns.sh(noDad)
    this.host.sh(`ip link set lo up
      ip link add cw-br0 address ${bridgeMac} type bridge; ip link set cw-br0 up
      sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
      ip addr add ${addrOf(4, 1)}/24 dev cw-br0; ip addr add ${addrOf(6, 1)}/64 dev cw-br0 nodad
      ip link add u type veth peer name eth0 netns ${other.name}; ip link set u up
      ip addr add 172.30.1.1/24 dev u; ip addr add fd30::1/64 dev u nodad
      ip route add ${remoteSubnets[4]}.0/24 via 172.30.1.2; ip route add ${remoteSubnets[6]}:/64 via fd30::2`)
    other.sh(`ip link set lo up; ip link set eth0 up
      ip addr add 172.30.1.2/24 dev eth0; ip addr add fd30::2/64 dev eth0 nodad
      ip addr add ${addrOf(4, 9, true)}/32 dev lo; ip addr add ${addrOf(6, 9, true)}/128 dev lo nodad
      ip route add default via 172.30.1.1 src ${addrOf(4, 9, true)}
      ip route add default via fd30::1 src ${addrOf(6, 9, true)}`)
    const port = this.#stack.use(new FramePort(other))
    this.other = { netns: other, number: 9, device: 'eth0', port, isRemote: true }
    const call = (family: Family): number => {
      const fd = this.host.netns.run(() => icmpSocket(family, []))
      this.#stack.defer(() => closeFd(fd))
      return fd
    }
    this.#calls = { 4: call(4), 6: call(6) }
    this.tables = this.#stack.use(
      new PolicyTables({ log: this.#log, bridgeMac: () => this.mac, netns: this.host.netns }),
    )
  }

  /** br_netfilter hands what the bridge carries to the rules for IP. */
  set brNetfilter(isOn: boolean) {
    const value = isOn ? 1 : 0
    for (const name of ['iptables', 'ip6tables', 'arptables'])
      this.host.sh(`sysctl -qw net.bridge.bridge-nf-call-${name}=${value}`)
  }

  get facts(): PolicyFacts {
    return { hasPolicies: this.form.policies.size > 0, ports: this.ports, changedPorts: new Set(this.ports.keys()) }
  }

  /** A pod with the addresses of this number, and those that `classes` say in the form. */
  add(number: number, classes: { readonly ingress?: string; readonly egress?: string } = {}): TestPod {
    const netns = this.#stack.use(new TestNetns())
    const device = `cwv${String(number).padStart(11, '0')}`
    const addrs = [addrOf(4, number), addrOf(6, number)]
    this.host.sh(`ip link add ${device} type veth peer name eth0 netns ${netns.name}
      ip link set ${device} master cw-br0 up; ip link set ${device} type bridge_slave hairpin on`)
    netns.sh(`sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
      ip link set lo up; ip addr add ${addrs[0]}/24 dev eth0; ip addr add ${addrs[1]}/64 dev eth0 nodad
      ip link set eth0 up; ip route add default via ${addrOf(4, 1)}; ip route add default via ${addrOf(6, 1)}`)
    this.form.local(device, addrs, classes)
    this.ports.set(
      device,
      addrs.map((addr) => Addr.parse(addr)),
    )
    const port = this.#stack.use(new FramePort(netns))
    return { netns, number, device, port }
  }

  /** The MAC of the pod's host device. */
  portMac({ device }: TestPod): string {
    return this.host.ip<{ address: string }>(`link show ${device}`)[0]!.address
  }

  apply(change: Partial<FormChange> = {}): void {
    this.tables.apply(this.form, changeOf(change), this.facts)
  }

  /** Writes and reads the tables until nothing differs: once. */
  async settle(): Promise<readonly string[]> {
    const lines = await this.tables.compare(this.form, this.facts)
    assert.deepEqual(await this.tables.differences(this.form, this.facts), [])
    return lines
  }

  nft(command: string): string {
    return this.host.sh(`nft ${command}`)
  }

  /** Sends one packet and says whether it arrives; each is the first of a connection of its own unless `sourcePort` says otherwise. */
  async arrives(message: Message): Promise<boolean> {
    const mark = `mark-${++marks}-`
    this.send(message, mark)
    // what the node itself sends to a pod always comes, and behind what was sent before
    const { family, to } = message
    const { number, isRemote, port } = to
    const end = `end-${marks}-`
    const echo = join([family === 4 ? 8 : 128, 0, 0, 0], be32(marks), new TextEncoder().encode(end))
    sendTo(this.#calls[family], echo, Addr.parse(addrOf(family, number, isRemote)))
    return port.gets(mark, end)
  }

  send(message: Message, mark: string): void {
    const { family, from, to, protocol = protocols.tcp, port = 80, flags = tcpFlags.syn } = message
    const { sourcePort = 20_000 + (marks % 40_000) } = message
    const src = message.src ?? addrOf(family, from.number, from.isRemote)
    const dst = message.dst ?? addrOf(family, to.number, to.isRemote)
    const ports = { from: sourcePort, to: port }
    const payload = new TextEncoder().encode(mark)
    const packet = (l4: Uint8Array): Uint8Array => (family === 4 ? ipv4 : ipv6)({ src, dst, protocol }, l4)
    const gateway = from.isRemote ? this.uplink.to : bridgeMac
    const mac = message.mac ?? (from.isRemote || to.isRemote ? gateway : to.port.mac)
    const messages: Record<number, () => Uint8Array> = {
      [protocols.tcp]: () => withChecksum({ src, dst }, protocols.tcp, tcp(ports, payload, flags), 16),
      [protocols.udp]: () => withChecksum({ src, dst }, protocols.udp, udp(ports, payload), 6),
      [protocols.sctp]: () => sctpInit(ports, payload),
    }
    const type = family === 4 ? etherTypes.ipv4 : etherTypes.ipv6
    from.port.send(ethernet({ to: mac, from: from.port.mac }, type, packet(messages[protocol]!())))
  }

  /** Of frames from the other node to this one. */
  get uplink(): Ethernet {
    return { to: this.host.ip<{ address: string }>('link show u')[0]!.address, from: this.other.port.mac }
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}

const crcTable = Array.from({ length: 256 }, (_, byte) =>
  Array.from({ length: 8 }).reduce<number>(
    (value) => (value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1) >>> 0,
    byte,
  ),
)

/** An INIT (RFC 9260 section 3.3.2) with a parameter of no known type, which has the text, and its CRC32c. */
function sctpInit({ from, to }: { readonly from: number; readonly to: number }, text: Uint8Array): Uint8Array {
  const padded = new Uint8Array((text.length + 3) & ~3)
  padded.set(text)
  const bytes = new Uint8Array(12 + 20 + 4 + padded.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, from)
  view.setUint16(2, to)
  bytes[12] = 1
  view.setUint16(14, bytes.length - 12)
  view.setUint32(16, 0x1234)
  view.setUint32(20, 0xffff)
  view.setUint16(24, 1)
  view.setUint16(26, 1)
  view.setUint32(28, 1)
  view.setUint16(32, 0x8008)
  view.setUint16(34, 4 + padded.length)
  bytes.set(padded, 36)
  const crc = bytes.reduce((sum, byte) => (crcTable[(sum ^ byte) & 0xff]! ^ (sum >>> 8)) >>> 0, 0xffff_ffff)
  view.setUint32(8, ~crc >>> 0, true)
  return bytes
}
