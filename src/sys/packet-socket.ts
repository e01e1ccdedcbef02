// Sockets below IP: packet(7). One sends whole Ethernet frames out of a device, one sees what comes in.
import { closeFd, int32, libc } from './libc.ts'
import { setOption } from './socket.ts'
import { attachFilter, type SocketFilter } from './socket-filter.ts'

const AF_PACKET = 17
const SOCK_DGRAM = 2
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const SOL_PACKET = 263
const PACKET_IGNORE_OUTGOING = 23
/** ETH_P_ALL in network order. */
const everyProtocol = 0x0300

/**
 * A socket for sending alone: without a protocol it receives nothing. It belongs to the namespace in which it is made. Keep it: the kernel
 * takes milliseconds to close one. Needs CAP_NET_RAW.
 */
export class PacketSocket implements Disposable {
  readonly #fd = libc('socket', [AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0], 'AF_PACKET')

  /** Sends a frame out of the device with this index. Throws SysError: ENXIO when there is none, ENETDOWN when it is down. */
  send(index: number, frame: Uint8Array): void {
    // the frame has the addresses and the type already
    const address = addressOf(index, 0)
    libc('sendto', [this.#fd, frame, frame.length, 0, address, address.length], 'AF_PACKET')
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd)
  }
}

/**
 * A socket that receives what comes in by any device of the namespace in which it is made, from the IP header on, before any rule of that
 * namespace; with a filter, only what that takes. Needs CAP_NET_RAW.
 */
export function arrivalSocket(filter?: SocketFilter): number {
  // without a protocol it receives nothing until it is bound
  const fd = libc('socket', [AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0], 'AF_PACKET')
  try {
    setOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int32(1), 'PACKET_IGNORE_OUTGOING')
    if (filter) attachFilter(fd, filter)
    const address = addressOf(0, everyProtocol)
    libc('bind', [fd, address, address.length], 'AF_PACKET')
    return fd
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

/** struct sockaddr_ll of linux/if_packet.h; index 0: every device. `protocol` is in network order. */
function addressOf(index: number, protocol: number): Uint8Array {
  const address = new Uint8Array(20)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_PACKET, true)
  view.setUint16(2, protocol, true)
  view.setInt32(4, index, true)
  return address
}
