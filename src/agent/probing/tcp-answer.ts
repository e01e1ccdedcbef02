// Whether an address answers anything but echo requests: a firewall may refuse these alone. A connection to a port at which nobody listens is
// refused by the kernel of the other node, which says as much as an answer.
import { type Addr } from '#/lib/addr.ts'
import { POLLOUT } from '#/sys/fd-watcher.ts'
import { closeFd, SysError } from '#/sys/libc.ts'
import { untilReady } from '#/sys/readiness.ts'
import { bindTo, socketError, startConnect, tcpSocket } from '#/sys/socket.ts'

/** tcpmux (RFC 1078), at which hardly anybody listens. */
const port = 1
const usualWaitMs = 500

/** Opens a TCP socket; in another network namespace, when tests want it so. */
export type OpenTcp = (addr: Addr) => number

export async function answersTcp(
  src: Addr,
  dst: Addr,
  open: OpenTcp = ({ family }) => tcpSocket(family),
  waitMs = usualWaitMs,
): Promise<boolean> {
  let fd: number | undefined
  try {
    fd = open(dst)
    bindTo(fd, src, 0)
    startConnect(fd, dst, port)
    if (!(await untilReady(fd, POLLOUT, performance.now() + waitMs))) return false
    const error = socketError(fd)
    return error === undefined || error === 'ECONNREFUSED'
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    return error.code === 'ECONNREFUSED'
  } finally {
    if (fd !== undefined) closeFd(fd)
  }
}
