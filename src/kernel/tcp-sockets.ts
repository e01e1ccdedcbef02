// Whether a TCP connection exists, by asking for its socket in the namespace of one of its ends.
import { type Netns } from '#/sys/netns.ts'
import { NETLINK_SOCK_DIAG } from '#/sys/netlink-socket.ts'
import {
  encodeSocketRequest,
  isOpenConnection,
  SOCK_DIAG_BY_FAMILY,
  type SocketEnds,
} from '#/wire/netlink/sock-diag.ts'
import { KernelError, Netlink } from './netlink.ts'

/** False when there is none, and when the kernel cannot tell (without the module tcp_diag). */
export function hasTcpConnection(netns: Netns, ends: SocketEnds): boolean {
  using netlink = new Netlink(NETLINK_SOCK_DIAG, netns, true)
  const { local, localPort, remote, remotePort } = ends
  const what = `ss -tn src ${local} sport ${localPort} dst ${remote} dport ${remotePort}`
  try {
    const { payload } = netlink.get({ what, type: SOCK_DIAG_BY_FAMILY, payload: encodeSocketRequest(ends) })
    return isOpenConnection(payload)
  } catch (error) {
    if (error instanceof KernelError) return false
    throw error
  }
}
