// What has to become of a frame, worked out from docs/ebpf.md and the RFCs: the fuzzer compares the programs with it.
import { readFileSync } from 'node:fs'
import { Addr } from '#/lib/addr.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'
import { type Direction } from '#/policy/policy.ts'
import { podFlags, type ProgramName } from '#/wire/bpf/maps.ts'
import { type DropReasonName } from '#/wire/bpf/reasons.ts'
import { addrOf, be16, be32, etherTypes, join, macOf, protocols, tcpFlags } from './frames.ts'
import { denies, fuzzedForm } from './fuzzed-form.ts'
import { type OpenConnections } from './open-connections.ts'
import { hexAt, protocolBehind, type Reading, readIpv4, readIpv6, readOptions, type Segment } from './packet-reading.ts'
import {
  bridgeMac,
  nodes,
  pods,
  tunnelMac,
  type Verdict,
  underlayMac,
  unknownDevice,
  vni,
  vtepMac,
  vxlanPort,
  type WorldNode,
  type WorldPod,
} from './world.ts'

export type Expected = {
  readonly verdict: Verdict
  readonly reason?: DropReasonName
  /** As it has to be left; of a packet in the tunnel over IPv4 the inner frame. */
  readonly frame: Uint8Array
  readonly outer?: { readonly ecn: number; readonly dst: string }
}

/** Since 6.4; before, such a packet is the tunnel device's to take out. */
const takesIpv6OutOfIpv4 = readFileSync('/sys/kernel/btf/vmlinux').includes('\0BPF_F_ADJ_ROOM_DECAP_L3_IPV6\0')

export type Sent = { readonly device: string; readonly frame: Uint8Array; readonly gsoBytes: number }

const hexOf = (addr: string): string => addrOf(addr).toHex()
const macHex = (mac: string): string => macOf(mac).toHex()
const podList: readonly WorldPod[] = Object.values(pods)
const podOf = new Map<string, WorldPod>(
  podList.flatMap((pod) => [
    [hexOf(pod.addr4), pod],
    [hexOf(pod.addr6), pod],
  ]),
)
const podAt = new Map<string, WorldPod>(podList.map((pod) => [pod.device, pod]))
const nodeList: readonly WorldNode[] = Object.values(nodes)
/** /24 of IPv4 and /64 of IPv6, as hex digits. */
const nodeOf = new Map<string, WorldNode>(
  nodeList.flatMap((node) => [
    [hexOf(`10.244.${node.number}.0`).slice(0, 6), node],
    [hexOf(`fd10:244:0:${node.number}::`).slice(0, 16), node],
  ]),
)
const endOf = new Map<string, WorldNode>(
  nodeList.flatMap((node) => [
    [hexOf(node.addr4), node],
    [hexOf(node.addr6), node],
  ]),
)
const isCarriedWay = (node: WorldNode | undefined): node is WorldNode =>
  node !== undefined && node.way !== 'none' && node.way !== 'local'
const nodeOfAddr = (addr: string): WorldNode | undefined => nodeOf.get(addr.slice(0, addr.length === 8 ? 6 : 16))

const [bridge, tunnel, vtep, underlay] = [bridgeMac, tunnelMac, vtepMac, underlayMac].map(macHex) as [
  string,
  string,
  string,
  string,
]
const unspecified = '0'.repeat(32)
const gatewayIdentifier = '004357fffe000001'
const isLinkLocal = (addr: string): boolean => (Number.parseInt(addr.slice(0, 4), 16) & 0xffc0) === 0xfe80
const isGroup = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1

const drop = (reason: DropReasonName, frame: Uint8Array): Expected => ({ verdict: 'dropped', reason, frame })
const stack = (frame: Uint8Array): Expected => ({ verdict: 'stack', frame })

function withMacs(frame: Uint8Array, to: string, from?: string): Uint8Array {
  const copy = Uint8Array.from(frame)
  copy.set(Uint8Array.fromHex(to), 0)
  if (from !== undefined) copy.set(Uint8Array.fromHex(from), 6)
  return copy
}

/** One hop less, by the arithmetic of the kernel's ip_decrease_ttl: of a wrong checksum it makes an equally wrong one. */
function hopped(frame: Uint8Array, isIpv4: boolean): Uint8Array {
  const copy = Uint8Array.from(frame)
  if (!isIpv4) {
    copy[21]!--
    return copy
  }
  copy[22]!--
  const view = new DataView(copy.buffer)
  const check = view.getUint16(24, true) + 1
  view.setUint16(24, check + (check >= 0xffff ? 1 : 0), true)
  return copy
}

/** Whether the segment could be a connection's first, of either protocol. */
function begins({ protocol, flags }: Segment): boolean {
  const { syn, ack, rst, fin } = tcpFlags
  return protocol === protocols.udp || (flags & (syn | ack | rst | fin)) === syn
}

export class Oracle {
  readonly #open: OpenConnections

  constructor(open: OpenConnections) {
    this.#open = open
  }

  expect(program: ProgramName, sent: Sent): Expected {
    const type = (sent.frame[12]! << 8) | sent.frame[13]!
    const isIpv4 = type === etherTypes.ipv4
    const reading = isIpv4
      ? readIpv4({ ...sent, at: 14 })
      : type === etherTypes.ipv6
        ? readIpv6({ ...sent, at: 14 })
        : undefined
    const isIp = isIpv4 || type === etherTypes.ipv6
    if (program === 'cw_to_pod') return this.#toPod(sent, type)
    if (program === 'cw_from_tunnel') {
      if (!isIp) return stack(sent.frame)
      return reading === undefined ? drop('malformed', sent.frame) : this.#toPodOrDenied(sent.frame, reading, isIpv4)
    }
    if (program === 'cw_from_underlay') return this.#fromUnderlay(sent, reading, isIpv4)
    if (isIpv4) return this.#ipv4FromPod(sent, reading)
    if (isIp) return this.#ipv6FromPod(sent, reading)
    if (!podAt.has(sent.device)) return stack(sent.frame)
    return type === etherTypes.arp ? this.#arp(sent) : drop('protocol', sent.frame)
  }

  #toPod({ device, frame }: Sent, type: number): Expected {
    if (!podAt.has(device)) return stack(frame)
    const isFirst = frame[14]! % 16 === 5 && (((frame[20]! << 8) | frame[21]!) & 0x1fff) === 0
    const isRedirect =
      (type === etherTypes.ipv4 && frame[23] === protocols.icmp && isFirst && frame[34] === 5) ||
      (type === etherTypes.ipv6 && frame[20] === protocols.icmpv6 && frame[54] === 137)
    return isRedirect ? drop('redirect', frame) : stack(frame)
  }

  /** What policies deny is dropped where it would go to the stack. */
  #toPodOrDenied(frame: Uint8Array, reading: Reading, isIpv4: boolean): Expected {
    const outcome = this.#carryToPod(frame, reading, isIpv4)
    const pod = podOf.get(reading.dst)
    const isDenied = outcome.verdict === 'stack' && pod !== undefined && this.#denies('ingress', pod, reading)
    return isDenied ? drop('policy', frame) : outcome
  }

  #denies(direction: Direction, pod: WorldPod, reading: Reading): boolean {
    const { segment, isEcho } = reading
    if (segment === undefined ? !isEcho : !begins(segment)) return false
    if (segment && this.#open.hasAdmitted(reading, segment)) return false
    const [own, peer] = direction === 'egress' ? [reading.src, reading.dst] : [reading.dst, reading.src]
    return denies(fuzzedForm, pod, direction, {
      own: Addr.fromBytes(Uint8Array.fromHex(own)),
      peer: Addr.fromBytes(Uint8Array.fromHex(peer)),
      protocol: segment === undefined ? 'ICMP' : segment.protocol === protocols.tcp ? 'TCP' : 'UDP',
      port: segment?.to ?? 0,
    })
  }

  /** What a pod sends to a pod of this node, or of another whose packets programs carry. */
  #isDeniedFromPod(reading: Reading, from: WorldPod): boolean {
    const to = podOf.get(reading.dst)
    if (to === undefined) return isCarriedWay(nodeOfAddr(reading.dst)) && this.#denies('egress', from, reading)
    return to !== from && (this.#denies('egress', from, reading) || this.#denies('ingress', to, reading))
  }

  #carryToPod(frame: Uint8Array, reading: Reading, isIpv4: boolean): Expected {
    const pod = podOf.get(reading.dst)
    const { segment, hops } = reading
    if (!segment || !pod || pod.flags & podFlags.bridged || !isCarriedWay(nodeOfAddr(reading.src))) return stack(frame)
    if (!this.#open.takes(reading, segment, hops > 1 && segment.bytes <= pod.mtuBytes)) return stack(frame)
    return { verdict: 'carried', frame: withMacs(hopped(frame, isIpv4), macHex(pod.mac), bridge) }
  }

  #fromUnderlay({ frame, gsoBytes }: Sent, reading: Reading | undefined, isIpv4: boolean): Expected {
    if (!(reading?.segment || reading?.isEcho) || hexAt(frame, 0, 6) !== underlay) return stack(frame)
    const isTunnel = reading.segment?.protocol === protocols.udp && reading.segment.to === vxlanPort
    if (!isIpv4 || !isTunnel) return this.#toPodOrDenied(frame, reading, isIpv4)
    // VXLAN header, inner Ethernet header
    if (frame.length < 64 || hexAt(frame, 42, 8) !== `08000000${(vni << 8).toString(16).padStart(8, '0')}`)
      return stack(frame)
    const type = (frame[62]! << 8) | frame[63]!
    const place = { frame, at: 64, gsoBytes }
    const inner = type === etherTypes.ipv4 ? readIpv4(place) : type === etherTypes.ipv6 ? readIpv6(place) : undefined
    if (!inner?.segment) return stack(frame)
    const pod = podOf.get(inner.dst)
    const owner = nodeOfAddr(inner.src)
    if (!pod || pod.flags !== 0 || !isCarriedWay(owner) || endOf.get(reading.src) !== owner) return stack(frame)
    const fits = inner.hops > 1 && inner.segment.bytes <= pod.mtuBytes
    // the device joins marks of congestion
    if (!fits || (reading.ecn !== 0 && reading.ecn !== inner.ecn)) return stack(frame)
    if (!this.#open.takes(inner, inner.segment, true)) return stack(frame)
    // BPF_PROG_TEST_RUN knows no type of segmentation, with which the kernel takes no headers off
    if (gsoBytes !== 0 || (type === etherTypes.ipv6 && !takesIpv6OutOfIpv4)) return stack(frame)
    const taken = join(frame.subarray(0, 12), be16(type), frame.subarray(64))
    return { verdict: 'carried', frame: withMacs(hopped(taken, type === etherTypes.ipv4), macHex(pod.mac), bridge) }
  }

  /** A packet of a pod that has shown itself as its sender: carried by its way, or given to the stack. */
  #carryFromPod(sent: Sent, reading: Reading, isIpv4: boolean): Expected {
    const outcome = this.#carriedFromPod(sent, reading, isIpv4)
    const from = podAt.get(sent.device)
    const isDenied = outcome.verdict === 'stack' && from !== undefined && this.#isDeniedFromPod(reading, from)
    return isDenied ? drop('policy', sent.frame) : outcome
  }

  #carriedFromPod({ frame, gsoBytes, device }: Sent, reading: Reading, isIpv4: boolean): Expected {
    const { segment, hops, ecn } = reading
    const to = podOf.get(reading.dst)
    const fromFlags = podAt.get(device)?.flags ?? 0
    const isBridged = (fromFlags & podFlags.bridged) !== 0
    const node = to ? undefined : nodeOfAddr(reading.dst)
    const aside = stack(
      isIpv4 || !isLinkLocal(reading.dst)
        ? withMacs(frame, to && (to.flags | fromFlags) & podFlags.bridged ? macHex(to.mac) : bridge)
        : frame,
    )
    if (!segment || isBridged) return aside
    const mtuBytes = to?.mtuBytes ?? node?.mtuBytes ?? 0
    const may = hops > 1 && (mtuBytes === 0 || segment.bytes <= mtuBytes)
    if (to) {
      if (to.flags & podFlags.bridged || !this.#open.takes(reading, segment, may)) return aside
      return { verdict: 'carried', frame: withMacs(hopped(frame, isIpv4), macHex(to.mac), bridge) }
    }
    if (!isCarriedWay(node) || !this.#open.takes(reading, segment, may)) return aside
    const less = hopped(frame, isIpv4)
    if (node === nodes.unrouted || (node.way === 'tunnel4' && gsoBytes !== 0)) {
      // found only now: the connection is given back
      this.#open.takes(reading, segment, false)
      return aside
    }
    if (node.way === 'native') return { verdict: 'carried', frame: less }
    const inner = withMacs(less, vtep, tunnel)
    return { verdict: 'carried', frame: inner, ...(node.way === 'tunnel4' && { outer: { ecn, dst: node.addr4 } }) }
  }

  #isTunnelToNode({ dst, segment }: Reading): boolean {
    return segment?.protocol === protocols.udp && segment.to === vxlanPort && endOf.has(dst)
  }

  #ipv4FromPod(sent: Sent, reading: Reading | undefined): Expected {
    const { frame, device } = sent
    if (!reading) return drop('malformed', frame)
    const pod = podOf.get(reading.src)
    if (pod?.device !== device) return device === unknownDevice ? stack(frame) : drop('source_address', frame)
    if (hexAt(frame, 6, 6) !== macHex(pod.mac)) return drop('source_mac', frame)
    if (this.#isTunnelToNode(reading)) return drop('tunnel_from_pod', frame)
    return isGroup(hexAt(frame, 0, 1)) ? stack(frame) : this.#carryFromPod(sent, reading, true)
  }

  #maySpeakAs(addr: string, device: string): boolean {
    return isLinkLocal(addr) ? addr.slice(16) !== gatewayIdentifier : podOf.get(addr)?.device === device
  }

  #ipv6FromPod(sent: Sent, reading: Reading | undefined): Expected {
    const { frame, device } = sent
    if (!reading) return drop('malformed', frame)
    const pod = podAt.get(device)
    if (!pod) return stack(frame)
    if (hexAt(frame, 6, 6) !== macHex(pod.mac)) {
      // whose address it is comes first where the packet is a connection's
      return drop('source_mac', frame)
    }
    const toMany = isGroup(hexAt(frame, 0, 1))
    if (!this.#maySpeakAs(reading.src, device) && !(toMany && reading.src === unspecified))
      return drop('source_address', frame)
    if (this.#isTunnelToNode(reading)) return drop('tunnel_from_pod', frame)
    const isOwn = podOf.get(reading.src) === pod
    if (!toMany && isOwn && (reading.segment || reading.isEcho)) return this.#carryFromPod(sent, reading, false)
    if (reading.next !== protocols.icmpv6) {
      const behind = reading.hops === 255 ? protocolBehind(frame, 14, reading.next) : reading.next
      if (behind === undefined || behind === protocols.icmpv6) return drop('malformed', frame)
    } else {
      const outcome = this.#discovery(sent, reading, pod)
      if (outcome) return outcome
    }
    const isAdvertisement = reading.next === protocols.icmpv6 && frame[54] === 136
    return toMany || isAdvertisement
      ? stack(frame)
      : this.#carryFromPod(sent, { ...reading, segment: undefined, isEcho: false }, false)
  }

  /** Whether the gateway answers for an address: one of this node's pods, and neither the asking nor a bridged one. */
  #answers(addr: string, asking: WorldPod): boolean {
    const target = podOf.get(addr)
    return nodeOfAddr(addr) === nodes.own && target !== asking && !(target && target.flags & podFlags.bridged)
  }

  /** Undefined: the message may pass. */
  #discovery({ frame, device }: Sent, { src, hops }: Reading, pod: WorldPod): Expected | undefined {
    if (frame.length < 62) return drop('malformed', frame)
    const type = frame[54]!
    if (type === 134 || type === 137) return drop('router_message', frame)
    if (type < 133 || type > 136) return undefined
    const optionsAt = type === 133 ? 62 : 78
    if (frame.length < optionsAt) return drop('malformed', frame)
    const options = readOptions(frame, optionsAt)
    const isOwn = ({ type: option, bytes }: { type: number; bytes: Uint8Array }): boolean =>
      (option !== 1 && option !== 2) || (bytes.length === 8 && hexAt(bytes, 2, 6) === macHex(pod.mac))
    if (!options?.every(isOwn)) return drop('neighbour_target', frame)
    if (type === 133) return undefined
    const target = hexAt(frame, 62, 16)
    if (type === 136 || src === unspecified)
      return this.#maySpeakAs(target, device) ? undefined : drop('neighbour_target', frame)
    const [only] = options
    if (hops !== 255 || frame.length !== 86 || only?.type !== 1 || !this.#answers(target, pod)) return undefined
    return { verdict: 'carried', frame: this.#advertisement(frame, target, src) }
  }

  #advertisement(asked: Uint8Array, target: string, src: string): Uint8Array {
    const [from, to] = [Uint8Array.fromHex(target), Uint8Array.fromHex(src)]
    // the code, which has no meaning, stays
    const message = join([136, asked[55]!, 0, 0], be32(0xe000_0000), from, [2, 1], Uint8Array.fromHex(bridge))
    const check = internetChecksum(join(from, to, be32(32), be32(protocols.icmpv6), message))
    message.set(be16(check), 2)
    const header = join(asked.subarray(14, 18), be16(32), asked.subarray(20, 22), from, to)
    return join(asked.subarray(6, 12), Uint8Array.fromHex(bridge), be16(etherTypes.ipv6), header, message)
  }

  #arp({ frame, device }: Sent): Expected {
    const pod = podAt.get(device)!
    const own = macHex(pod.mac)
    if (frame.length < 42 || hexAt(frame, 14, 6) !== '000108000604') return drop('malformed', frame)
    if (hexAt(frame, 6, 6) !== own) return drop('source_mac', frame)
    const [operation, senderMac, sender, target] = [
      hexAt(frame, 20, 2),
      hexAt(frame, 22, 6),
      hexAt(frame, 28, 4),
      hexAt(frame, 38, 4),
    ]
    const isOwn = sender === '00000000' || podOf.get(sender) === pod
    if (senderMac !== own || !isOwn) return drop('arp_sender', frame)
    if (operation !== '0001' || !this.#answers(target, pod)) return stack(frame)
    const answer = withMacs(frame, own, bridge)
    answer.set(Uint8Array.fromHex(`0002${bridge}${target}${own}${sender}`), 20)
    return { verdict: 'carried', frame: answer }
  }
}
