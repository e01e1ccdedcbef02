// Whether anything comes from the pods of another node, or from their gateway, whatever a firewall of this node then does with it.
import { type Prefix } from '#/lib/addr.ts'
import { vtepMac } from '#/model/names.ts'
import { POLLIN } from '#/sys/fd-watcher.ts'
import { closeFd } from '#/sys/libc.ts'
import { arrivalSocket } from '#/sys/packet-socket.ts'
import { untilReady } from '#/sys/readiness.ts'
import { onlyFromSources, type SocketFilter } from '#/sys/socket-filter.ts'
import { macBytes } from '#/wire/ethernet/mac.ts'

/** Opens the socket; in another network namespace, when tests want it so. */
export type OpenArrivals = (filter: SocketFilter) => number

/** Resolves as soon as a packet with such a source comes in by any device, or when the time is over. */
export async function comesFrom(
  sources: Prefix,
  waitMs: number,
  open: OpenArrivals = (filter) => arrivalSocket(filter),
): Promise<boolean> {
  // no device has the MAC to which nodes send through the tunnel
  const fd = open(onlyFromSources(sources, macBytes(vtepMac)))
  try {
    return await untilReady(fd, POLLIN, performance.now() + waitMs)
  } finally {
    closeFd(fd)
  }
}
