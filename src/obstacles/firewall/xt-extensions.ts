// Matches of iptables (include/uapi/linux/netfilter/xt_*.h), which nf_tables carries as structures of bytes. Those not known here may
// match any packet.
import { viewOf } from '#/lib/bytes.ts'
import { both, type Level, opposite, type PacketClass } from './packet.ts'
import { compared, inRange, masked, metaValue, payloadValue } from './values.ts'

const inverted = (level: Level, isInverted: boolean): Level => (isInverted ? opposite(level) : level)

/** Targets that decide nothing about the packet: it goes on to the next rule. */
const passingTargets = new Set(
  'LOG NFLOG ULOG AUDIT MARK CONNMARK TCPMSS TCPOPTSTRIP DSCP TOS TTL HL ECN CT NOTRACK TRACE SET CLASSIFY CHECKSUM SECMARK CONNSECMARK TEE IDLETIMER LED RATEEST HMARK'.split(
    ' ',
  ),
)

const translatingTargets = new Set(['MASQUERADE', 'SNAT', 'DNAT', 'REDIRECT', 'NETMAP'])

export function xtTarget(name: string): 'drop' | 'accept' | 'translate' | 'continue' | 'other' {
  if (name === 'REJECT' || name === 'DROP') return 'drop'
  if (translatingTargets.has(name)) return 'translate'
  if (name === 'ACCEPT') return 'accept'
  return passingTargets.has(name) ? 'continue' : 'other'
}

type Match = (info: DataView, packet: PacketClass, revision: number) => Level

const matches: Readonly<Record<string, Match>> = {
  comment: () => 'all',
  icmp: icmpType,
  icmp6: icmpType,
  tcp: (info, packet) => {
    if (packet.protocol !== 'tcp') return 'none'
    const inversions = info.getUint8(11)
    const flagMask = info.getUint8(9)
    const flags: Level =
      flagMask === 0
        ? 'all'
        : compared(
            masked(payloadValue(2, 13, 1, packet), Uint8Array.of(flagMask), Uint8Array.of(0)),
            0,
            Uint8Array.of(info.getUint8(10)),
          ).level
    const option: Level = info.getUint8(8) === 0 ? 'all' : 'maybe'
    return both(
      both(ports(info, packet, inversions), inverted(flags, flagMask !== 0 && (inversions & 4) !== 0)),
      option,
    )
  },
  udp: (info, packet) => (packet.protocol === 'udp' ? ports(info, packet, info.getUint8(8)) : 'none'),
  multiport: (info, packet, revision) => {
    const [flags, count] = [info.getUint8(0), info.getUint8(1)]
    const isInverted = revision >= 1 && info.getUint8(47) !== 0
    if (packet.dport === undefined) return inverted('some', isInverted)
    // XT_MULTIPORT_DESTINATION
    if (flags !== 1 || count > 15) return 'maybe'
    const at = (index: number): number => info.getUint16(2 + 2 * index, true)
    const isRangeStart = (index: number): boolean => revision >= 1 && info.getUint8(32 + index) !== 0
    let isListed = false
    for (let index = 0; index < count; index++) {
      const low = at(index)
      const high = isRangeStart(index) ? at(++index) : low
      isListed ||= low <= packet.dport && packet.dport <= high
    }
    return inverted(isListed ? 'all' : 'none', isInverted)
  },
  mark: (info, packet, revision) => {
    if (revision !== 1) return 'maybe'
    const mark = new Uint8Array(info.buffer, info.byteOffset, 4)
    const mask = new Uint8Array(info.buffer, info.byteOffset + 4, 4)
    return inverted(
      compared(masked(metaValue(3, packet), mask, new Uint8Array(4)), 0, mark).level,
      info.getUint8(8) !== 0,
    )
  },
  state: (info, packet) => ctState(info.getUint32(0, true), packet, 64),
  conntrack: (info, packet, revision) => {
    // XT_CONNTRACK_STATE alone; XT_CONNTRACK_STATUS and the like look at more than the state
    if (revision < 2 || info.getUint16(146, true) !== 1) return 'maybe'
    const mask = info.getUint16(150, true)
    return inverted(ctState(mask, packet, 256), (info.getUint16(148, true) & 1) !== 0)
  },
  addrtype: (info, packet, revision) => {
    if (revision !== 1 || info.getUint16(0, true) !== 0) return 'maybe'
    const flags = info.getUint32(4, true)
    // XT_ADDRTYPE_INVERT_DEST; the other flags limit the search to a device
    if ((flags & ~3) !== 0) return 'maybe'
    const type = packet.isLocal ? 2 : 1
    return inverted((info.getUint16(2, true) & (1 << type)) === 0 ? 'none' : 'all', (flags & 2) !== 0)
  },
}

/** struct ipt_icmp and struct ip6t_icmp: a type, or 255 for any of IPv4's, and a range of codes. */
function icmpType(info: DataView, packet: PacketClass): Level {
  if (packet.protocol !== 'icmp') return 'none'
  if (packet.icmpType === undefined) return 'maybe'
  const type = info.getUint8(0)
  // an echo has code 0
  const isMatch = (type === 255 && packet.family === 4) || (type === packet.icmpType && info.getUint8(1) === 0)
  return inverted(isMatch ? 'all' : 'none', (info.getUint8(3) & 1) !== 0)
}

/** XT_CONNTRACK_STATE_BIT and its neighbours; `untracked` has another bit in each extension. SNAT and DNAT (64, 128) match no packet here. */
function ctState(mask: number, { ctState: state }: PacketClass, untracked: number): Level {
  const bit = state === 'new' ? 8 : state === 'established' ? 2 : untracked
  return (mask & bit) === 0 ? 'none' : 'all'
}

/** Source and destination ports as struct xt_tcp and xt_udp begin with them. */
function ports(info: DataView, packet: PacketClass, inversions: number): Level {
  const range = (offset: number, at: number): Level => {
    const bytes = (index: number): Uint8Array => Uint8Array.of(info.getUint8(index + 1), info.getUint8(index))
    return inRange(payloadValue(2, at, 2, packet), bytes(offset), bytes(offset + 2)).level
  }
  return both(inverted(range(0, 0), (inversions & 1) !== 0), inverted(range(4, 2), (inversions & 2) !== 0))
}

/** How far a match of iptables holds for packets of the class. */
export function xtMatch(name: string, revision: number, info: Uint8Array, packet: PacketClass): Level {
  const match = Object.hasOwn(matches, name) ? matches[name] : undefined
  if (match === undefined) return 'maybe'
  try {
    return match(viewOf(info), packet, revision)
  } catch (error) {
    // a structure shorter than that of the revisions known here
    if (error instanceof RangeError) return 'maybe'
    throw error
  }
}
