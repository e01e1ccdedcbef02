// Frames for the fuzzer: sound ones of every kind, changed at random in places that matter, and noise.
import {
  addrOf,
  arp,
  broadcastMac,
  etherTypes,
  ethernet,
  extension,
  ipv4,
  ipv6,
  macOf,
  neighbour,
  neighbourTypes,
  option,
  protocols,
  tcp,
  tcpFlags,
  udp,
  vxlan,
  withBytes,
  zeros,
} from './frames.ts'
import {
  bridgeMac,
  clientPairs,
  clientPort,
  nodes,
  pods,
  remote4,
  remote6,
  routerMac,
  serverPort,
  tunnelMac,
  underlayMac,
  unansweredPort,
  unknownDevice,
  vni,
  vtepMac,
  vxlanPort,
} from './world.ts'

/** A generator of 32-bit numbers (xorshift, Marsaglia 2003), the same for the same seed. */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  /** From 0 to `bound` - 1. */
  below(bound: number): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state >>> 0
    return this.#state % bound
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
}

const { client, server } = pods
const payload = zeros(24)
const flagsOfTcp = [tcpFlags.ack, tcpFlags.syn, tcpFlags.fin | tcpFlags.ack, tcpFlags.rst, tcpFlags.ack | tcpFlags.psh]

/** A packet for each pair, of UDP and TCP, as the client sends it or as it is answered. */
function packets(isAnswer: boolean): { readonly type: number; readonly bytes: Uint8Array }[] {
  return clientPairs.flatMap(({ src, dst }) => {
    const is4 = !src.includes(':')
    const ip = isAnswer ? { src: dst, dst: src } : { src, dst }
    const ports = isAnswer ? { from: serverPort, to: clientPort } : { from: clientPort, to: serverPort }
    const make = (protocol: number, segment: Uint8Array) => (is4 ? ipv4 : ipv6)({ ...ip, protocol }, segment)
    const all = [
      make(protocols.udp, udp(ports, payload)),
      ...flagsOfTcp.map((flags) => make(protocols.tcp, tcp(ports, payload, flags))),
    ]
    return all.map((bytes) => ({ type: is4 ? etherTypes.ipv4 : etherTypes.ipv6, bytes }))
  })
}

const toGateway = { to: bridgeMac, from: client.mac }

function discovery(
  type: number,
  target: string | undefined,
  options: readonly Uint8Array[],
  src = client.addr6,
): Uint8Array {
  const message = { src, dst: 'ff02::1', type, options, ...(target !== undefined && { target }) }
  const packet = ipv6({ src, dst: 'ff02::1', hops: 255, protocol: protocols.icmpv6 }, neighbour(message))
  return ethernet({ to: '33:33:00:00:00:01', from: client.mac }, etherTypes.ipv6, packet)
}

const { solicitation, advertisement, routerSolicitation, routerAdvertisement, redirect } = neighbourTypes
const neighbours: readonly Uint8Array[] = [
  ...[server.addr4, client.addr4, pods.bridged.addr4, '10.244.1.1'].map((target) =>
    ethernet(
      { to: broadcastMac, from: client.mac },
      etherTypes.arp,
      arp({ sender: [client.mac, client.addr4], target: ['00:00:00:00:00:00', target] }),
    ),
  ),
  ...[server.addr6, client.addr6, pods.bridged.addr6, 'fd10:244:0:1::1'].map((target) =>
    discovery(solicitation, target, [option.sourceMac(client.mac)]),
  ),
  discovery(solicitation, client.addr6, [option.nonce()], '::'),
  discovery(solicitation, server.addr6, [], 'fe80::11'),
  discovery(advertisement, client.addr6, [option.targetMac(client.mac)]),
  discovery(advertisement, 'fe80::11', [option.targetMac(client.mac), option.nonce()], 'fe80::11'),
  discovery(routerSolicitation, undefined, [option.sourceMac(client.mac)]),
  discovery(routerAdvertisement, undefined, [option.sourceMac(client.mac)]),
  discovery(redirect, server.addr6, []),
]

const chains = [
  [extension.hopByHop],
  [extension.destination, extension.destination],
  [extension.fragment],
  [extension.laterFragment],
  Array.from({ length: 6 }, () => extension.destination),
]

const fromPod: readonly Uint8Array[] = [
  ...packets(false).map(({ type, bytes }) => ethernet(toGateway, type, bytes)),
  ...neighbours,
  ...[protocols.udp, protocols.icmpv6, protocols.tcp].flatMap((protocol) =>
    chains.map((extensions) =>
      ethernet(
        toGateway,
        etherTypes.ipv6,
        ipv6(
          { src: client.addr6, dst: server.addr6, hops: 255, protocol, extensions },
          neighbour({ src: client.addr6, dst: server.addr6, type: advertisement, target: server.addr6 }),
        ),
      ),
    ),
  ),
  ...[nodes.tunnel4.addr4, nodes.own.addr4].map((dst) =>
    ethernet(toGateway, etherTypes.ipv4, ipv4({ src: client.addr4, dst }, udp({ from: 9, to: vxlanPort }, payload))),
  ),
  ethernet(
    toGateway,
    etherTypes.ipv6,
    ipv6({ src: client.addr6, dst: nodes.tunnel6.addr6 }, udp({ from: 9, to: vxlanPort }, payload)),
  ),
  ethernet(
    { to: '01:00:5e:00:00:fb', from: client.mac },
    etherTypes.ipv4,
    ipv4({ src: client.addr4, dst: '224.0.0.251' }, udp({ from: 9, to: 9 }, payload)),
  ),
]

const native = packets(true).map(({ type, bytes }) => ethernet({ to: underlayMac, from: routerMac }, type, bytes))
const outOfTunnel = packets(true).map(({ type, bytes }) => ethernet({ to: tunnelMac, from: vtepMac }, type, bytes))
const tunnelled = outOfTunnel.flatMap((frame) =>
  [nodes.tunnel4, nodes.native].map(({ addr4 }) =>
    ethernet(
      { to: underlayMac, from: routerMac },
      etherTypes.ipv4,
      ipv4({ src: addr4, dst: nodes.own.addr4 }, udp({ from: 50_000, to: vxlanPort }, vxlan(vni, frame))),
    ),
  ),
)
const toPod = [
  ...packets(true).map(({ type, bytes }) => ethernet({ to: client.mac, from: bridgeMac }, type, bytes)),
  ...neighbours,
  ethernet(
    { to: client.mac, from: bridgeMac },
    etherTypes.ipv4,
    ipv4({ src: '10.244.1.1', dst: client.addr4, protocol: protocols.icmp }, Uint8Array.of(5, 1, ...zeros(30))),
  ),
]

export const soundFrames = {
  cw_from_pod: fromPod,
  cw_from_underlay: [...native, ...tunnelled],
  cw_from_tunnel: outOfTunnel,
  cw_to_pod: toPod,
} as const

export const devices = {
  cw_from_pod: [
    client.device,
    client.device,
    client.device,
    server.device,
    pods.bridged.device,
    pods.limited.device,
    unknownDevice,
  ],
  cw_from_underlay: ['eth0'],
  cw_from_tunnel: ['cw-vxlan'],
  cw_to_pod: [client.device, unknownDevice],
} as const

/** Where fields begin: of Ethernet, IPv4, IPv6, and of what is in them. */
const fieldsAt = [
  0, 6, 12, 14, 15, 16, 18, 20, 21, 22, 23, 26, 28, 30, 34, 36, 38, 42, 46, 47, 50, 54, 55, 56, 58, 62, 64, 66, 70, 72,
  73, 76, 78, 80, 84, 86, 88, 104, 106,
]
const octets = [
  0, 1, 2, 3, 4, 5, 6, 14, 17, 32, 44, 45, 51, 58, 60, 64, 0x45, 0x46, 0x60, 132, 133, 134, 135, 136, 137, 254, 255,
]
const values: readonly Uint8Array[] = [
  ...Object.values(pods).flatMap(({ addr4, addr6, mac }) => [addrOf(addr4), addrOf(addr6), macOf(mac)]),
  ...Object.values(nodes).flatMap((node) => [node.addr4, node.addr6, remote4(node), remote6(node)].map(addrOf)),
  ...[
    '::',
    '0.0.0.0',
    '255.255.255.255',
    '10.244.1.1',
    'fd10:244:0:1::1',
    'fe80::43:57ff:fe00:1',
    'fe80::11',
    'ff02::1',
    '192.0.2.1',
  ].map(addrOf),
  ...[bridgeMac, tunnelMac, vtepMac, underlayMac, broadcastMac, '33:33:00:00:00:01'].map(macOf),
  ...[clientPort, serverPort, unansweredPort, vxlanPort, 0, 0xffff, 0x2000, 0x00a0, ...Object.values(etherTypes)].map(
    (value) => Uint8Array.of(value >> 8, value & 0xff),
  ),
]

/** Longest frame that the kernel's headers and tails leave room for, with some to spare. */
const longest = 2000

function once(frame: Uint8Array, chance: Chance, sound: readonly Uint8Array[]): Uint8Array {
  const at = chance.below(3) === 0 ? chance.below(frame.length) : chance.of(fieldsAt)
  switch (chance.below(9)) {
    case 0:
      return at < frame.length ? withBytes(frame, at, [frame[at]! ^ (1 << chance.below(8))]) : frame
    case 1:
    case 2:
      return at < frame.length ? withBytes(frame, at, [chance.of(octets)]) : frame
    case 3:
    case 4:
    case 5: {
      const value = chance.of(values)
      return at + value.length <= frame.length ? withBytes(frame, at, value) : frame
    }
    case 6:
      return frame.subarray(0, 1 + chance.below(frame.length))
    case 7: {
      const more = new Uint8Array(Math.min(longest, frame.length + chance.below(chance.below(4) === 0 ? 1500 : 40)))
      more.set(frame.subarray(0, more.length))
      return more
    }
    default: {
      // the head of one and the tail of another
      const other = chance.of(sound)
      const more = Uint8Array.from(frame)
      more.set(
        other.subarray(Math.min(at, other.length)).subarray(0, Math.max(0, more.length - at)),
        Math.min(at, more.length),
      )
      return more
    }
  }
}

/** The shortest frame that the kernel takes for BPF_PROG_TEST_RUN: with a whole IP header where its type is that of IP. */
function longEnough(frame: Uint8Array): Uint8Array {
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)
  const least = type === etherTypes.ipv4 ? 34 : type === etherTypes.ipv6 ? 54 : 15
  if (frame.length >= least) return frame
  const more = new Uint8Array(least)
  more.set(frame)
  return more
}

/** A sound frame with up to five changes, or noise. */
export function nextFrame(chance: Chance, sound: readonly Uint8Array[]): Uint8Array {
  let frame = chance.of(sound)
  if (chance.below(50) === 0) {
    frame = Uint8Array.from({ length: 15 + chance.below(200) }, () => chance.below(256))
    if (chance.below(2) === 0)
      frame = withBytes(
        longEnough(frame),
        12,
        Uint8Array.from(
          chance.of([
            [8, 0],
            [8, 6],
            [0x86, 0xdd],
          ]),
        ),
      )
  }
  for (let count = chance.below(6); count > 0; count--) frame = once(frame, chance, sound)
  return longEnough(frame)
}
