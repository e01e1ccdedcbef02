// TCP sockets of routing sessions: with MD5 signatures (RFC 2385) and TTL security (RFC 5082), which node:net cannot ask for.
// tcp(7); struct tcp_md5sig and numbers of include/uapi/linux/tcp.h.
import { Addr, type Family } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { setMinTtl, setNetworkControl, setTtl } from './ip-options.ts'
import { int32, libc, SysError } from './libc.ts'
import { bindTo, bindToDevice, encodeSockaddr, openSocket, setOption } from './socket.ts'

const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const IPPROTO_TCP = 6
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const TCP_MD5SIG = 14
const TCP_USER_TIMEOUT = 18
const md5SigBytes = 216
const keyLengthOffset = 130
const keyOffset = 136
const maxKeyBytes = 80
const backlog = 511
/** Makes a connection attempt without an answer fail, with an error, before the next attempt is due (five seconds by default). */
const connectTimeoutMs = 4_000

export type TcpSessionOptions = {
  readonly localAddr?: Addr
  readonly device?: string
  readonly password?: string
  readonly ttl?: number
  readonly minTtl?: number
}

/** Sets the key that signs segments to and from an address; undefined removes it, which is no error where there is none. */
export function setMd5Key(fd: number, addr: Addr, password: string | undefined): void {
  const key = new TextEncoder().encode(password ?? '')
  if (key.length > maxKeyBytes)
    throw new Error(
      `the password for ${addr} has ${key.length} bytes, and TCP MD5 takes ${maxKeyBytes}: choose a shorter one`,
    )
  const value = new Uint8Array(md5SigBytes)
  value.set(encodeSockaddr(addr, 0))
  viewOf(value).setUint16(keyLengthOffset, key.length, true)
  value.set(key, keyOffset)
  try {
    setOption(fd, IPPROTO_TCP, TCP_MD5SIG, value, `TCP MD5 key for ${addr}`)
  } catch (error) {
    if (error instanceof SysError && error.code === 'ENOENT' && key.length === 0) return
    if (error instanceof SysError && error.code === 'ENOPROTOOPT')
      throw new Error('passwords need a kernel with CONFIG_TCP_MD5SIG', { cause: error })
    throw error
  }
}

/** Sets the TTL of packets sent and the least TTL of packets received; both may change while the socket is in use. */
export function setTcpTtl(fd: number, family: Family, options: Pick<TcpSessionOptions, 'ttl' | 'minTtl'>): void {
  setTtl(fd, family, options.ttl)
  setMinTtl(fd, family, options.minTtl ?? 0)
}

/** Sets after how long without acknowledgement the connection fails with ETIMEDOUT; 0 is the system's default. */
export function setUserTimeout(fd: number, timeoutMs: number): void {
  setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, int32(timeoutMs), 'TCP_USER_TIMEOUT')
}

/** Ends the timeout of a connection attempt once connected: from then on the session itself decides how long silence may last. */
export function endConnectTimeout(fd: number): void {
  setUserTimeout(fd, 0)
}

/** Opens a socket ready to be connected to `addr`. Throws ENODEV, EADDRNOTAVAIL, ENOPROTOOPT. */
export function tcpSessionSocket(addr: Addr, options: TcpSessionOptions): number {
  const { family } = addr
  const { device, localAddr, password } = options
  return openSocket(family, SOCK_STREAM, 0, (fd) => {
    setUserTimeout(fd, connectTimeoutMs)
    setNetworkControl(fd, family)
    setTcpTtl(fd, family, options)
    if (device !== undefined) bindToDevice(fd, device)
    if (localAddr !== undefined) bindTo(fd, localAddr, 0)
    if (password !== undefined) setMd5Key(fd, addr, password)
  })
}

/**
 * Listens on all addresses of one family only. Handshakes are answered with TTL 255, as neighbours with TTL security require, and
 * accepted with any TTL: which one is right is known only once the neighbour is known. Throws EADDRINUSE, EAFNOSUPPORT.
 */
export function tcpSessionListener(family: Family, port: number): number {
  return openSocket(family, SOCK_STREAM, 0, (fd) => {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, int32(1), 'SO_REUSEADDR')
    if (family === 6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, int32(1), 'IPV6_V6ONLY')
    setNetworkControl(fd, family)
    setTtl(fd, family, 255)
    bindTo(fd, new Addr(family, 0n), port)
    libc('listen', [fd, backlog], `TCP port ${port}`)
  })
}
