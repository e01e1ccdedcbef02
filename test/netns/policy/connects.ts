// Whether a real TCP connection opens.
import { type Addr } from '#/lib/addr.ts'
import { POLLOUT, watchFd } from '#/sys/fd-watcher.ts'
import { closeFd } from '#/sys/libc.ts'
import { socketError, startConnect, tcpListener, tcpSocket } from '#/sys/socket.ts'
import { type TestNetns } from '../namespace.ts'

/** What has not answered by then is dropped: the second SYN would come after a second. */
const answerMs = 150

/** Connects to an address and port; the receiver listens at `listenPort`, which a Service may lead to. */
export async function connects(
  from: TestNetns,
  to: TestNetns,
  dst: Addr,
  port: number,
  listenPort = port,
): Promise<boolean> {
  const listener = to.netns.run(() => tcpListener(dst.family, listenPort))
  const client = from.netns.run(() => tcpSocket(dst.family))
  try {
    startConnect(client, dst, port)
    return await becomesWritable(client)
  } finally {
    closeFd(client)
    closeFd(listener)
  }
}

function becomesWritable(fd: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const watch = watchFd(fd, POLLOUT, () => resolve(socketError(fd) === undefined))
  const timer = setTimeout(() => resolve(false), answerMs)
  return promise.finally(() => {
    clearTimeout(timer)
    watch[Symbol.dispose]()
  })
}
