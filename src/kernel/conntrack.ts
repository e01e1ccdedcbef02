// Connection tracking: reading and deleting its entries.
import { type Family } from '#/lib/addr.ts'
import {
  type Connection,
  decodeConnection,
  encodeConntrackDelete,
  encodeConntrackDump,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_NEW,
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
