// Which process has a port. The kernel tells a socket's inode (net/ipv4/tcp_ipv4.c, get_tcp4_sock), and each process lists the inodes of its
// own sockets (proc_pid_fd(5)).
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** By protocol, the state of a socket that waits for packets: TCP_LISTEN, and TCP_CLOSE of a UDP socket that is not connected. */
const waiting = { tcp: '0A', udp: '07' } as const

export type PortProtocol = keyof typeof waiting

/** undefined: what is read is gone by now, or not for this process to see. */
function tried<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function inodesOn(protocol: PortProtocol, port: number): Set<string> {
  const inodes = new Set<string>()
  // a thread may be in another network namespace than its process
  for (const file of [`/proc/thread-self/net/${protocol}`, `/proc/thread-self/net/${protocol}6`])
    for (const line of (tried(() => readFileSync(file, 'utf8')) ?? '').split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      if (state === waiting[protocol] && Number.parseInt(local.split(':')[1] ?? '', 16) === port) inodes.add(inode)
    }
  return inodes
}

/**
 * "bird (process 812)": the process of this thread's network namespace that listens on the port. Undefined when none is seen, be it that
 * there is none, or that its files are hidden, as they are in a container without the host's process ids.
 */
export function portOwner(protocol: PortProtocol, port: number): string | undefined {
  const links = new Set(
    inodesOn(protocol, port)
      .values()
      .map((inode) => `socket:[${inode}]`),
  )
  if (links.size === 0) return undefined
  const own = tried(() => readlinkSync('/proc/thread-self/ns/net'))
  for (const pid of tried(() => readdirSync('/proc'))?.filter((name) => /^\d+$/.test(name)) ?? []) {
    // pods have most of a node's processes, and namespaces of their own
    if (tried(() => readlinkSync(`/proc/${pid}/ns/net`)) !== own) continue
    for (const fd of tried(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      if (!links.has(tried(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '')) continue
      return `${tried(() => readFileSync(`/proc/${pid}/comm`, 'utf8'))?.trim() ?? 'a program'} (process ${pid})`
    }
  }
  return undefined
}

/** Whether a socket of this thread's network namespace waits for packets to the address and port. */
export function isWaitedFor(protocol: PortProtocol, port: number, hexAddrs: readonly string[]): boolean {
  return [protocol, `${protocol}6`].some((file) =>
    (tried(() => readFileSync(`/proc/thread-self/net/${file}`, 'utf8')) ?? '')
      .split('\n')
      .slice(1)
      .some((line) => {
        const [, local = '', , state] = line.trim().split(/\s+/)
        const [addr = '', hexPort = ''] = local.split(':')
        const isAny = /^0+$/.test(addr)
        return (
          state === waiting[protocol] && Number.parseInt(hexPort, 16) === port && (isAny || hexAddrs.includes(addr))
        )
      }),
  )
}
