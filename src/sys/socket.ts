// TCP and ICMP sockets, plain: a file descriptor goes in and out, nothing blocks. Call the functions that open one inside
// Netns.run: the socket then belongs to that namespace for ever and is used from anywhere.
// ip(7), ipv6(7), tcp(7), raw(7); numbers of include/uapi/linux.
import { Addr, type Family } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { errnoName } from './errno.ts'
import { closeFd, int32, libc, SysError } from './libc.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_ERROR = 4
const SO_BINDTODEVICE = 25
const SO_RCVBUFFORCE = 33
const IPPROTO_ICMP = 1
const IPPROTO_TCP = 6
const IPPROTO_IPV6 = 41
const IPPROTO_ICMPV6 = 58
/** A socket that sends packets with their IP header, and receives none. */
const IPPROTO_RAW = 255
const SOCK_DGRAM = 2
const IP_MTU = 14
const IPV6_MTU = 24
const IP_MTU_DISCOVER = 10
const IPV6_MTU_DISCOVER = 23
/** Packets are not to be fragmented, whatever the kernel knows of the path. */
const PMTUDISC_PROBE = 3
const IPV6_V6ONLY = 26
const SOL_RAW = 255
const ICMP_FILTER = 1
const ICMPV6_FILTER = 1
const TCP_INFO = 11
/** Offset of tcpi_rtt in struct tcp_info: eight bytes and fifteen 32-bit numbers stand before it. */
const tcpInfoRttOffset = 68
const MSG_NOSIGNAL = 0x4000
const CLOCK_REALTIME = 0
/** _IOR(0x89, 0x07, long long[2]), SIOCGSTAMPNS_NEW of linux/sockios.h. */
const SIOCGSTAMPNS = 0x80108907
const SIOCGIFNAME = 0x8910
const IFNAMSIZ = 16
const backlog = 511

const inetFamily = { 4: AF_INET, 6: AF_INET6 } as const
const sockaddrBytes = { 4: 16, 6: 28 } as const

/** Encodes a struct sockaddr_in or sockaddr_in6. */
export function encodeSockaddr(addr: Addr, port: number): Uint8Array {
  const bytes = new Uint8Array(sockaddrBytes[addr.family])
  const view = viewOf(bytes)
  view.setUint16(0, inetFamily[addr.family], true)
  view.setUint16(2, port)
  bytes.set(addr.toBytes(), addr.family === 4 ? 4 : 8)
  return bytes
}

export type SocketAddress = {
  readonly addr: Addr
  readonly port: number
  /** The interface's index, for link-local addresses only. */
  readonly scopeId?: number
}

/** The address in a struct sockaddr; undefined when it has another family or is too short. */
export function decodeSockaddr(bytes: Uint8Array): SocketAddress | undefined {
  if (bytes.length < sockaddrBytes[4]) return undefined
  const view = viewOf(bytes)
  const family = view.getUint16(0, true)
  if (family === AF_INET) return { addr: Addr.fromBytes(bytes.subarray(4, 8)), port: view.getUint16(2) }
  if (family !== AF_INET6 || bytes.length < sockaddrBytes[6]) return undefined
  const scopeId = view.getUint32(24, true)
  return {
    addr: Addr.fromBytes(bytes.subarray(8, 24)),
    port: view.getUint16(2),
    ...(scopeId !== 0 && { scopeId }),
  }
}

/** Opens a socket and lets `prepare` set it up; it does not stay open when that throws. */
export function openSocket(family: Family, type: number, protocol: number, prepare: (fd: number) => void): number {
  const args = [inetFamily[family], type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol]
  const fd = libc('socket', args, `IPv${family}`)
  try {
    prepare(fd)
    return fd
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

export function setOption(fd: number, level: number, option: number, value: Uint8Array, about: string): void {
  libc('setsockopt', [fd, level, option, value, value.length], about)
}

/** Binds a socket to a local address; with port 0 the kernel chooses. Throws EADDRINUSE, or EADDRNOTAVAIL for a foreign address. */
export function bindTo(fd: number, addr: Addr, port: number, about = `${addr} port ${port}`): void {
  const address = encodeSockaddr(addr, port)
  libc('bind', [fd, address, address.length], about)
}

/** Makes room for what waits to be received, beyond what the system lets everybody have. Needs CAP_NET_ADMIN. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(bytes), 'SO_RCVBUFFORCE')
}

/** Limits a socket to packets of this device; link-local addresses mean those on it. Throws ENODEV. */
export function bindToDevice(fd: number, device: string): void {
  setOption(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(`${device}\0`), device)
}

/** The device that a socket is bound to, also by the kernel, as with accepted link-local connections; undefined: none. */
export function boundDevice(fd: number): string | undefined {
  const name = new Uint8Array(IFNAMSIZ)
  const length = int32(name.length)
  libc('getsockopt', [fd, SOL_SOCKET, SO_BINDTODEVICE, name, length], 'SO_BINDTODEVICE')
  const count = viewOf(length).getInt32(0, true)
  return count === 0 ? undefined : new TextDecoder().decode(name.subarray(0, count - 1))
}

/** The name of the interface with this index in the socket's namespace; undefined when there is none (any more). */
export function deviceName(fd: number, index: number): string | undefined {
  const request = new Uint8Array(40)
  viewOf(request).setInt32(IFNAMSIZ, index, true)
  try {
    libc('ioctl', [fd, SIOCGIFNAME, request], `interface ${index}`)
  } catch (error) {
    if (error instanceof SysError && error.code === 'ENODEV') return undefined
    throw error
  }
  return new TextDecoder().decode(request.subarray(0, request.indexOf(0)))
}

/** A connected socket's own address, or the other side's. Throws ENOTCONN when the connection has ended. */
export function socketAddress(fd: number, side: 'local' | 'remote'): SocketAddress {
  const address = new Uint8Array(sockaddrBytes[6])
  const length = int32(address.length)
  libc(side === 'local' ? 'getsockname' : 'getpeername', [fd, address, length])
  const decoded = decodeSockaddr(address.subarray(0, viewOf(length).getInt32(0, true)))
  if (decoded === undefined) throw new Error(`socket ${fd} is none of IPv4 or IPv6`)
  return decoded
}

/**
 * A listening TCP socket on any address, for v4 clients too when the family is 6 (they then show as v4-mapped).
 * Throws EADDRINUSE, and EAFNOSUPPORT for family 6 on a kernel without IPv6.
 */
export function tcpListener(family: Family, port: number): number {
  return openSocket(family, SOCK_STREAM, 0, (fd) => {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, int32(1), 'SO_REUSEADDR')
    // set explicitly, because net.ipv6.bindv6only changes the default
    if (family === 6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, int32(0), 'IPV6_V6ONLY')
    const about = `TCP port ${port}`
    bindTo(fd, new Addr(family, 0n), port, about)
    libc('listen', [fd, backlog], about)
  })
}

/** A TCP socket that is not connected yet. */
export function tcpSocket(family: Family): number {
  return openSocket(family, SOCK_STREAM, 0, () => {})
}

/** Starts the handshake; POLLOUT reports its end and socketError its outcome. Throws errors that the kernel knows at once. */
export function startConnect(fd: number, addr: Addr, port: number): void {
  const address = encodeSockaddr(addr, port)
  try {
    libc('connect', [fd, address, address.length], `${addr} port ${port}`)
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== 'EINPROGRESS') throw error
  }
}

/** Takes the pending error (SO_ERROR) off a socket as an errno's name; undefined when there is none. */
export function socketError(fd: number): string | undefined {
  const value = int32(0)
  libc('getsockopt', [fd, SOL_SOCKET, SO_ERROR, value, int32(value.length)], 'SO_ERROR')
  const errno = viewOf(value).getInt32(0, true)
  return errno === 0 ? undefined : errnoName(errno)
}

/** The kernel's own measure of a TCP connection's round trip; right after connecting it is that of the handshake. */
export function tcpRttMs(fd: number): number {
  const info = new Uint8Array(256)
  libc('getsockopt', [fd, IPPROTO_TCP, TCP_INFO, info, int32(info.length)], 'TCP_INFO')
  return viewOf(info).getUint32(tcpInfoRttOffset, true) / 1000
}

/** struct icmp_filter and icmp6_filter: a set bit keeps that type away from the socket. */
function icmpFilter(family: Family, types: readonly number[]): Uint8Array {
  const words = new Uint32Array(family === 4 ? 1 : 8).fill(0xffff_ffff)
  for (const type of types) words[type >>> 5]! &= ~(1 << (type & 31))
  return new Uint8Array(words.buffer)
}

/**
 * A raw socket that receives these ICMP types alone. With v4 the kernel gives each packet with its IP header and leaves the
 * checksum to the sender; with v6 it gives none and fills it in (RFC 3542 section 3.1). Needs CAP_NET_RAW.
 */
export function icmpSocket(family: Family, types: readonly number[]): number {
  return openSocket(family, SOCK_RAW, family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, (fd) => {
    const filter = icmpFilter(family, types)
    if (family === 4) setOption(fd, SOL_RAW, ICMP_FILTER, filter, 'ICMP_FILTER')
    else setOption(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, filter, 'ICMPV6_FILTER')
    // the first call switches time stamps on, and has no answer yet
    receivedAtMs(fd)
  })
}

/**
 * A socket that sends whole IP packets, with their headers, from this address. Throws EADDRNOTAVAIL when the namespace does not have the
 * address. Needs CAP_NET_RAW.
 */
export function wholePacketSocket(src: Addr): number {
  return openSocket(src.family, SOCK_RAW, IPPROTO_RAW, (fd) => bindTo(fd, src, 0, String(src)))
}

/**
 * A socket that has this port of this address, so that no other gets it; it does not listen. Throws EADDRINUSE, and EADDRNOTAVAIL for a foreign
 * address.
 */
export function portSocket(protocol: 'tcp' | 'udp', addr: Addr, port: number): number {
  const type = protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM
  return openSocket(addr.family, type, 0, (fd) => bindTo(fd, addr, port))
}

/** A UDP socket whose packets no router cuts up, from this address. Throws EADDRNOTAVAIL when the namespace does not have the address. */
export function wholeDatagramSocket(src: Addr): number {
  return openSocket(src.family, SOCK_DGRAM, 0, (fd) => {
    const [level, option] = src.family === 4 ? [0, IP_MTU_DISCOVER] : [IPPROTO_IPV6, IPV6_MTU_DISCOVER]
    setOption(fd, level, option, int32(PMTUDISC_PROBE), 'IP_MTU_DISCOVER')
    bindTo(fd, src, 0)
  })
}

/** The address from which the kernel of this namespace sends to `dst`. Throws ENETUNREACH and others where there is no way. */
export function sourceTowards(dst: Addr): Addr {
  const fd = openSocket(dst.family, SOCK_DGRAM, 0, () => {})
  try {
    startConnect(fd, dst, 9)
    return socketAddress(fd, 'local').addr
  } finally {
    closeFd(fd)
  }
}

/** How large a packet to this address may be, as the kernel knows it now. Throws ENETUNREACH and others where there is no way. */
export function pathMtuBytes(src: Addr, dst: Addr): number {
  const fd = portSocket('udp', src, 0)
  try {
    startConnect(fd, dst, 9)
    const value = int32(0)
    const [level, option] = dst.family === 4 ? [0, IP_MTU] : [IPPROTO_IPV6, IPV6_MTU]
    libc('getsockopt', [fd, level, option, value, int32(value.length)], 'IP_MTU')
    return viewOf(value).getInt32(0, true)
  } finally {
    closeFd(fd)
  }
}

export function sendTo(fd: number, bytes: Uint8Array, addr: Addr): void {
  const address = encodeSockaddr(addr, 0)
  libc('sendto', [fd, bytes, bytes.length, 0, address, address.length], String(addr))
}

/** Sends on a connected socket; returns how many bytes the kernel took. */
export function send(fd: number, bytes: Uint8Array): number {
  return libc('sendto', [fd, bytes, bytes.length, MSG_NOSIGNAL, null, 0])
}

/** Runs a receiving call; undefined when there is nothing to receive now. */
function unlessEmpty(call: () => number): number | undefined {
  try {
    return call()
  } catch (error) {
    if (error instanceof SysError && error.code === 'EAGAIN') return undefined
    throw error
  }
}

/** Receives into `buffer`; returns the count, 0 at the end of a stream, or undefined when nothing is there now. */
export function receive(fd: number, buffer: Uint8Array): number | undefined {
  return unlessEmpty(() => libc('recv', [fd, buffer, buffer.length, 0]))
}

/** The next datagram and who sent it, or undefined when nothing is there now. `bytes` lies in `buffer`. */
export function receiveFrom(
  fd: number,
  buffer: Uint8Array,
): { readonly bytes: Uint8Array; readonly from: Addr; readonly scopeId?: number } | undefined {
  const address = new Uint8Array(sockaddrBytes[6])
  const addressLength = int32(address.length)
  const count = unlessEmpty(() => libc('recvfrom', [fd, buffer, buffer.length, 0, address, addressLength]))
  const from = decodeSockaddr(address)
  if (count === undefined || from === undefined) return undefined
  const { addr, scopeId } = from
  return { bytes: buffer.subarray(0, count), from: addr, ...(scopeId !== undefined && { scopeId }) }
}

/** Converts a struct timespec of two 64-bit numbers to milliseconds. */
function timespecMs(bytes: Uint8Array): number {
  const view = viewOf(bytes)
  return Number(view.getBigInt64(0, true)) * 1000 + Number(view.getBigInt64(8, true)) / 1e6
}

/** The clock of receivedAtMs, in ms since 1970, finer than Date.now(). */
export function realtimeMs(): number {
  const time = new Uint8Array(16)
  libc('clock_gettime', [CLOCK_REALTIME, time])
  return timespecMs(time)
}

/** When the kernel received the last datagram taken off this socket; undefined before the first one. */
export function receivedAtMs(fd: number): number | undefined {
  const time = new Uint8Array(16)
  try {
    libc('ioctl', [fd, SIOCGSTAMPNS, time], 'SIOCGSTAMPNS')
    return timespecMs(time)
  } catch (error) {
    if (error instanceof SysError && error.code === 'ENOENT') return undefined
    throw error
  }
}
