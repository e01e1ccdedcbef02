// NFLOG (include/uapi/linux/netfilter/nfnetlink_log.h): the kernel sends packets that a rule logs to the one socket that is bound to the
// rule's group, each with what is known of it.
import { WireError, written } from '#/lib/bytes.ts'
import { be16, be32, type Codec, nest, raw, text, u8 } from '../netlink/attr.ts'

const NFNL_SUBSYS_ULOG = 4
export const NFULNL_MSG_PACKET = NFNL_SUBSYS_ULOG << 8
export const NFULNL_MSG_CONFIG = NFULNL_MSG_PACKET | 1

const NFULNL_CFG_CMD_BIND = 1
const NFULNL_COPY_PACKET = 2
/** Has the kernel number the packets of the group, so that lost ones can be counted. */
const NFULNL_CFG_F_SEQ = 1

/** struct nfgenmsg: the family, a version, and the group in network order. */
const headerBytes = 4
/** struct nfulnl_msg_packet_hdr */
const packetHeaderBytes = 4

/** struct nfulnl_msg_config_mode: how much of a packet is copied. */
const copyMode: Codec<number> = {
  decode: (bytes) => be32.decode(bytes),
  encode(range, into) {
    into.u32be(range)
    into.u8(NFULNL_COPY_PACKET)
    into.u8(0)
  },
}
const configCodec = nest({
  command: [1, u8],
  copyBytes: [2, copyMode],
  /** In 1/100 s. */
  timeout: [4, be32],
  queueThreshold: [5, be32],
  flags: [6, be16],
})

export type NflogBinding = {
  readonly group: number
  /** The most of a packet that is copied; a rule may ask for less (its snaplen). */
  readonly copyBytes: number
  /** The kernel hands packets over when there are so many of them, or the first has waited for so long. */
  readonly gatherPackets: number
  readonly gatherMs: number
}

/** The payload of an NFULNL_MSG_CONFIG that binds the socket to a group. */
export function encodeNflogBind({ group, copyBytes, gatherPackets, gatherMs }: NflogBinding): Uint8Array {
  return written((into) => {
    into.u8(0)
    into.u8(0)
    into.u16be(group)
    configCodec.encode(
      {
        command: NFULNL_CFG_CMD_BIND,
        copyBytes,
        timeout: Math.max(1, Math.round(gatherMs / 10)),
        queueThreshold: gatherPackets,
        flags: NFULNL_CFG_F_SEQ,
      },
      into,
    )
  })
}

const packetCodec = nest({
  header: [1, raw],
  mark: [2, be32],
  inDevice: [4, be32],
  outDevice: [5, be32],
  physicalInDevice: [6, be32],
  physicalOutDevice: [7, be32],
  packet: [9, raw],
  prefix: [10, text],
  sequence: [12, be32],
})

/** A packet that a rule has logged. Devices are indexes; those that the packet has not are undefined. */
export type NflogPacket = {
  readonly group: number
  /** NFPROTO_* of the table: 2 and 10 of the IP families (also in a table of family inet), 7 of family bridge. */
  readonly family: number
  /** The prefix of the rule. */
  readonly prefix: string
  /** The Ethernet type of what is in `packet`; 0 for some that the host sends itself. */
  readonly etherType: number
  /** The kernel's number of the hook (hookNumbers of nftables). */
  readonly hook: number
  readonly mark: number
  /** In family bridge the bridge; the port of it is the physical device. */
  readonly inDevice: number | undefined
  readonly outDevice: number | undefined
  readonly physicalInDevice: number | undefined
  readonly physicalOutDevice: number | undefined
  /** The packet from its IP header on, or the first bytes of it. */
  readonly packet: Uint8Array
  /** Counts the packets of the group since it was bound. */
  readonly sequence: number | undefined
}

/** Decodes an NFULNL_MSG_PACKET. Throws WireError. */
export function decodeNflogPacket(payload: Uint8Array): NflogPacket {
  if (payload.length < headerBytes) throw new WireError('message of NFLOG cut off', 0)
  const {
    header,
    mark = 0,
    packet = new Uint8Array(),
    prefix = '',
    sequence,
    ...devices
  } = packetCodec.decode(payload.subarray(headerBytes))
  if (header === undefined || header.length < packetHeaderBytes)
    throw new WireError('message of NFLOG without its header', headerBytes)
  return {
    group: (payload[2]! << 8) | payload[3]!,
    family: payload[0]!,
    prefix,
    etherType: (header[0]! << 8) | header[1]!,
    hook: header[2]!,
    mark,
    inDevice: devices.inDevice,
    outDevice: devices.outDevice,
    physicalInDevice: devices.physicalInDevice,
    physicalOutDevice: devices.physicalOutDevice,
    packet,
    sequence,
  }
}
