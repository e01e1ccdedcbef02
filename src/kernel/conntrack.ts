// Connection tracking: reading, changing and deleting its entries.
import { type Family } from '#/lib/addr.ts'
import {
  type Connection,
  decodeConnection,
  encodeConntrackDelete,
  encodeConntrackDump,
  encodeConntrackLiberal,
  encodePacketEntryDelete,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_NEW,
  type TrackedPacket,
} from '#/wire/netlink/conntrack.ts'
import { type Netlink, type Operation } from './netlink.ts'

/** The tracked connections of a family, read in turns of the event loop; `netlink` is of NETLINK_NETFILTER. Throws KernelError. */
export async function listConnections(netlink: Netlink, family: Family): Promise<Connection[]> {
  const payload = encodeConntrackDump(family)
  const messages = await netlink.dumpInTurns({ what: 'conntrack -L', type: IPCTNL_MSG_CT_GET, payload })
  return messages.flatMap(({ type, payload: each }) =>
    type === IPCTNL_MSG_CT_NEW ? (decodeConnection(each) ?? []) : [],
  )
}

export function connectionDelete(connection: Connection): Operation {
  const { protocol, src, srcPort, dst, dstPort } = connection
  return {
    what: `conntrack -D -p ${protocol} -s ${src} -d ${dst} --sport ${srcPort} --dport ${dstPort}`,
    type: IPCTNL_MSG_CT_DELETE,
    payload: encodeConntrackDelete(connection),
  }
}

/** Has the kernel take the packets of a TCP connection whatever their sequence numbers; it checks them no more. */
export function connectionLiberal(connection: Connection): Operation {
  const { src, srcPort, dst, dstPort } = connection
  return {
    what: `# no sequence check: tcp ${src} ${srcPort} to ${dst} ${dstPort}`,
    type: IPCTNL_MSG_CT_NEW,
    payload: encodeConntrackLiberal(connection),
  }
}

/** Deletes the entry of the flow that a packet belongs to. There need not be one. */
export function packetEntryDelete(packet: TrackedPacket): Operation {
  const { protocol, src, dst, ports } = packet
  return {
    what: `conntrack -D -p ${protocol} -s ${src} -d ${dst}${ports ? ` --sport ${ports.src} --dport ${ports.dst}` : ''}`,
    type: IPCTNL_MSG_CT_DELETE,
    payload: encodePacketEntryDelete(packet),
    mayFail: true,
  }
}
