// Whether a real TCP connection opens.
import { type Addr } from '#/lib/addr.ts'
import { POLLOUT, watchFd } from '#/sys/fd-watcher.ts'
import { closeFd } from '#/sys/libc.ts'
import { socketError, startConnect, tcpListener, tcpSocket } from '#/sys/socket.ts'
import { type TestNetns } from '../namespace.ts'

/** A busy machine may take its time to answer; what is dropped shows soon, as the second SYN comes after a second. */
const patienceMs = { connection: 3000, none: 150 } as const

/** Connects to an address and port, where `listenPort` is open behind a Service. `isExpected` says how long to wait for it. */
export async function connects(
  from: TestNetns,
  to: TestNetns,
  { dst, port, listenPort = port, isExpected }: { dst: Addr; port: number; listenPort?: number; isExpected: boolean },
): Promise<boolean> {
  const listener = to.netns.run(() => tcpListener(dst.family, listenPort))
  const client = from.netns.run(() => tcpSocket(dst.family))
  try {
    startConnect(client, dst, port)
    return await becomesWritable(client, patienceMs[isExpected ? 'connection' : 'none'])
  } finally {
    closeFd(client)
    closeFd(listener)
  }
}

function becomesWritable(fd: number, waitMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const watch = watchFd(fd, POLLOUT, () => resolve(socketError(fd) === undefined))
  const timer = setTimeout(() => resolve(false), waitMs)
  return promise.finally(() => {
    clearTimeout(timer)
    watch[Symbol.dispose]()
  })
}
