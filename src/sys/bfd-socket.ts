// UDP sockets of BFD (RFC 5881): one per family that receives, one per session that sends.
import { Addr, type Family } from '#/lib/addr.ts'
import { setNetworkControl, setTtl } from './ip-options.ts'
import { int32, SysError } from './libc.ts'
import { bindTo, bindToDevice, openSocket, setOption, startConnect } from './socket.ts'
import { attachFilter, onlyFromLink } from './socket-filter.ts'

const SOCK_DGRAM = 2
const SOL_SOCKET = 1
const SO_RCVBUF = 8
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

/** The UDP port of BFD control packets (RFC 5881 section 4). */
export const bfdControlPort = 3784
const firstSourcePort = 49_152
const sourcePorts = 65_536 - firstSourcePort
const portTries = 64

/** Receive buffer that holds what arrives while a late event loop does not read. */
const receiveBufferBytes = 1 << 20

/** Opens a socket for the packets of all sessions of a family, only those with TTL 255. Throws EADDRINUSE, EAFNOSUPPORT. */
export function bfdReceiveSocket(family: Family): number {
  return openSocket(family, SOCK_DGRAM, 0, (fd) => {
    setOption(fd, SOL_SOCKET, SO_RCVBUF, int32(receiveBufferBytes), 'SO_RCVBUF')
    if (family === 6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, int32(1), 'IPV6_V6ONLY')
    // attached before the bind, so that nothing comes in unfiltered
    attachFilter(fd, onlyFromLink(family))
    bindTo(fd, new Addr(family, 0n), bfdControlPort)
  })
}

export type BfdPathOptions = { readonly addr: Addr; readonly localAddr?: Addr; readonly device?: string }

/** Binds to a free port of the range that RFC 5881 section 4 asks for, `startPort` if possible. */
function bindSourcePort(fd: number, addr: Addr, startPort: number): number {
  for (let tried = 0; ; tried++) {
    const port = firstSourcePort + ((startPort - firstSourcePort + tried) % sourcePorts)
    try {
      bindTo(fd, addr, port)
      return port
    } catch (error) {
      if (!(error instanceof SysError) || error.code !== 'EADDRINUSE' || tried === portTries) throw error
    }
  }
}

/**
 * A socket that sends to one neighbour, with a source port that no other session has: `port` if that is free. It must not change
 * during a session. Throws ENODEV, EADDRNOTAVAIL, ENETUNREACH.
 */
export function bfdSendSocket(
  path: BfdPathOptions,
  startPort?: number,
): { readonly fd: number; readonly port: number } {
  const { addr, localAddr, device } = path
  let port = startPort ?? firstSourcePort + Math.floor(Math.random() * sourcePorts)
  const fd = openSocket(addr.family, SOCK_DGRAM, 0, (opened) => {
    // nothing is ever read from it: the other side sends to the control port
    setOption(opened, SOL_SOCKET, SO_RCVBUF, int32(0), 'SO_RCVBUF')
    setNetworkControl(opened, addr.family)
    setTtl(opened, addr.family, 255)
    if (device !== undefined) bindToDevice(opened, device)
    port = bindSourcePort(opened, localAddr ?? new Addr(addr.family, 0n), port)
    startConnect(opened, addr, bfdControlPort)
  })
  return { fd, port }
}
