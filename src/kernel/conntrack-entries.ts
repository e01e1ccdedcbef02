// Makes entries of connection tracking until there is no room for more, and deletes them again by their mark.
import { Addr } from '#/lib/addr.ts'
import { IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW } from '#/wire/netlink/conntrack.ts'
import { encodeConntrackDeleteMarked, encodeConntrackEntry } from '#/wire/netlink/conntrack-entry.ts'
import { NLM_F_CREATE, NLM_F_EXCL } from '#/wire/netlink/message.ts'
import { type Netlink } from './netlink.ts'

/** Addresses for measuring networks (RFC 2544), which no network has. */
const ends = { src: Addr.parse('198.18.0.1'), dst: Addr.parse('198.19.0.1') } as const
const portsOfAnAddress = 60_000
const timeoutSeconds = 86_400
const entriesAtOnce = 4096

/**
 * Makes at most `count` entries, until the table is full; returns how many were made. `netlink` is of NETLINK_NETFILTER.
 * Throws KernelError for another refusal than that of a full table.
 */
export async function fillConntrack(netlink: Netlink, mark: number, count: number): Promise<number> {
  for (let made = 0; made < count; made += entriesAtOnce) {
    const operations = Array.from({ length: Math.min(entriesAtOnce, count - made) }, (_, index) => {
      const number = made + index
      const [address, port] = [Math.floor(number / portsOfAnAddress), 1 + (number % portsOfAnAddress)]
      const name = { src: ends.src.plus(address), srcPort: port, dst: ends.dst, dstPort: 9 }
      return {
        what: `conntrack -I -p udp -s ${name.src} -d ${name.dst} --sport ${port} --dport 9 -m ${mark}`,
        type: IPCTNL_MSG_CT_NEW,
        flags: NLM_F_CREATE | NLM_F_EXCL,
        payload: encodeConntrackEntry({ ...name, mark, timeoutSeconds }),
      }
    })
    const failures = await netlink.executeMany(operations)
    const at = failures.findIndex((failure) => failure !== undefined)
    const failure = failures[at]
    if (failure === undefined) continue
    if (failure.code === 'ENOMEM') return made + at
    throw failure
  }
  return count
}

/** Deletes the entries with a mark. Throws KernelError. */
export function deleteMarked(netlink: Netlink, mark: number): void {
  netlink.execute({
    what: `conntrack -D -m ${mark}`,
    type: IPCTNL_MSG_CT_DELETE,
    payload: encodeConntrackDeleteMarked(mark),
  })
}
