// Connection tracking as policies use it: looking through a table that may be large, ending a flow, and entering one that was lost.
import { setImmediate } from 'node:timers/promises'
import { WireError } from '#/lib/bytes.ts'
import {
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_NEW,
  encodeConntrackDump,
} from '#/wire/netlink/conntrack.ts'
import {
  decodeFlow,
  encodeEstablished,
  encodeFlowDelete,
  type Flow,
  flowEnds,
  type TcpFlow,
} from '#/wire/netlink/flow.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '#/wire/netlink/message.ts'
import { type Netlink, type Operation } from './netlink.ts'

/** How many entries are decoded before the event loop gets a turn. */
const decodedPerTurn = 128

/**
 * The tracked flows of both families that `isWanted` by the keys (addrKey) of who began it and who answers. Read in turns of the event loop;
 * what is not wanted is neither copied nor decoded. One dump: for each the kernel goes through the whole hash table, which takes it 10 ms for
 * 262,144 places, however few flows there are. Throws KernelError.
 */
export async function findFlows(netlink: Netlink, isWanted: (src: string, dst: string) => boolean): Promise<Flow[]> {
  const payload = encodeConntrackDump()
  const messages = await netlink.dumpInTurns(
    { what: 'conntrack -L', type: IPCTNL_MSG_CT_GET, payload },
    (each) => !wants(each, isWanted),
  )
  const flows: Flow[] = []
  for (const [index, { type, payload: each }] of messages.entries()) {
    if (index % decodedPerTurn === 0) await setImmediate()
    const flow = type === IPCTNL_MSG_CT_NEW ? decodeFlow(each) : undefined
    if (flow) flows.push(flow)
  }
  return flows
}

function wants(payload: Uint8Array, isWanted: (src: string, dst: string) => boolean): boolean {
  try {
    return isWanted(...flowEnds(payload))
  } catch (error) {
    // what cannot be read is none of ours to end
    if (error instanceof WireError) return false
    throw error
  }
}

/** An entry that is gone by then is no failure. */
export function flowDelete(flow: Flow): Operation {
  const { protocol, src, dst, srcPort, dstPort } = flow
  const ports = srcPort === undefined ? '' : ` --sport ${srcPort} (answered from port ${dstPort})`
  return {
    what: `conntrack -D -p ${protocol} -s ${src} (answered by ${dst})${ports}`,
    type: IPCTNL_MSG_CT_DELETE,
    payload: encodeFlowDelete(flow),
    mayFail: true,
  }
}

/** EEXIST when there is an entry already. */
export function flowEstablished(flow: TcpFlow): Operation {
  const { src, dst, srcPort, dstPort } = flow
  return {
    what: `conntrack -I -p tcp -s ${src} -d ${dst} --sport ${srcPort} --dport ${dstPort} --state ESTABLISHED --status SEEN_REPLY,ASSURED`,
    type: IPCTNL_MSG_CT_NEW,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    payload: encodeEstablished(flow),
  }
}
