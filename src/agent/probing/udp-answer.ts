// Whether a datagram of a given size arrives: at a port at which nobody listens the kernel of the other node says so. A firewall may refuse large echo
// requests alone.
import { type Addr } from '#/lib/addr.ts'
import { POLLIN } from '#/sys/fd-watcher.ts'
import { closeFd, SysError } from '#/sys/libc.ts'
import { untilReady } from '#/sys/readiness.ts'
import { send, socketError, startConnect, wholeDatagramSocket } from '#/sys/socket.ts'

/** As of TCP: nobody listens there. */
const port = 1
const usualWaitMs = 500
const headerBytes = { 4: 28, 6: 48 } as const

/** Opens a UDP socket; in another network namespace, when tests want it so. */
export type OpenUdp = (src: Addr) => number

/** `sizeBytes`: of the IP packet. */
export async function refusesUdp(
  src: Addr,
  dst: Addr,
  sizeBytes: number,
  open: OpenUdp = wholeDatagramSocket,
  waitMs = usualWaitMs,
): Promise<boolean> {
  let fd: number | undefined
  try {
    fd = open(src)
    startConnect(fd, dst, port)
    send(fd, new Uint8Array(sizeBytes - headerBytes[dst.family]))
    return (await untilReady(fd, POLLIN, performance.now() + waitMs)) && socketError(fd) === 'ECONNREFUSED'
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    return error.code === 'ECONNREFUSED'
  } finally {
    if (fd !== undefined) closeFd(fd)
  }
}
