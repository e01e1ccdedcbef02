// The kernel's tables of neighbours, which all its namespaces share: how full they are. Any namespace may ask.
import {
  decodeNeighTable,
  encodeNeighTableDump,
  type NeighbourTable,
  RTM_GETNEIGHTBL,
  RTM_NEWNEIGHTBL,
} from '#/wire/netlink/neigh-table.ts'
import { type Netlink } from './netlink.ts'

/** The tables of both families, as far as the kernel has them. Throws KernelError. */
export function listNeighbourTables(netlink: Netlink): NeighbourTable[] {
  const messages = netlink.dump({ what: 'ip ntable show', type: RTM_GETNEIGHTBL, payload: encodeNeighTableDump() })
  return messages.flatMap(({ type, payload }) => (type === RTM_NEWNEIGHTBL ? (decodeNeighTable(payload) ?? []) : []))
}
