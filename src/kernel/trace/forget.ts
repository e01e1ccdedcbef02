// Removes what a probe leaves behind in the kernel: the entries of connection tracking that its packets made.
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { type Netns } from '#/sys/netns.ts'
import { type TrackedPacket } from '#/wire/netlink/conntrack.ts'
import { packetEntryDelete } from '../conntrack.ts'
import { Netlink } from '../netlink.ts'

/**
 * Deletes the entries that these packets belong to, in a pod's namespace or else in this process's. Nobody else has such entries: ports and
 * identifiers are those that the probe had there. No failure is one: without connection tracking there is nothing to delete.
 */
export function forgetPackets(packets: readonly TrackedPacket[], netns?: Netns): void {
  using netlink = new Netlink(NETLINK_NETFILTER, netns, true)
  netlink.executeAll(packets.map(packetEntryDelete))
}
