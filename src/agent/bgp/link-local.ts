// Who is at the other end of a link, for BGP neighbours without a configured address ("unnumbered"): the link-local address that
// answers when all nodes of the link are asked (RFC 4443 section 4.2 lets a multicast echo be answered by each). Routers such as FRR know
// us the same way only by router advertisements (RFC 4861 section 4.2), so one goes with the question.
import { randomBytes } from 'node:crypto'
import { Addr } from '#/lib/addr.ts'
import { POLLIN } from '#/sys/fd-watcher.ts'
import { setMulticastHops } from '#/sys/ip-options.ts'
import { closeFd } from '#/sys/libc.ts'
import { untilReady } from '#/sys/readiness.ts'
import { bindToDevice, icmpSocket, receiveFrom, sendTo } from '#/sys/socket.ts'

const ROUTER_ADVERTISEMENT = 134
const ECHO_REQUEST = 128
const ECHO_REPLY = 129
const allNodes = Addr.parse('ff02::1')
const waitMs = 200

/** Type, code, a checksum that the kernel fills in, and an identifier with a sequence number. */
function echoRequest(): Uint8Array {
  return Uint8Array.of(ECHO_REQUEST, 0, 0, 0, ...randomBytes(4))
}

/** Everything in it is zero: we are no default router (a lifetime of 0), and say nothing of the link. */
function routerAdvertisement(): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes[0] = ROUTER_ADVERTISEMENT
  return bytes
}

/** The link-local address of another node on the device; undefined when nobody answers. Needs CAP_NET_RAW. */
export async function findLinkLocal(device: string, own: readonly Addr[]): Promise<Addr | undefined> {
  const fd = icmpSocket(6, [ECHO_REPLY])
  try {
    bindToDevice(fd, device)
    // what came over a router is no advertisement (RFC 4861 section 6.1.2)
    setMulticastHops(fd, 255)
    sendTo(fd, routerAdvertisement(), allNodes)
    sendTo(fd, echoRequest(), allNodes)
    const buffer = new Uint8Array(256)
    const deadlineMs = performance.now() + waitMs
    while (await untilReady(fd, POLLIN, deadlineMs)) {
      for (let got = receiveFrom(fd, buffer); got !== undefined; got = receiveFrom(fd, buffer)) {
        const { from } = got
        if (from.isLinkLocal && !own.some((addr) => addr.equals(from))) return from
      }
    }
    return undefined
  } finally {
    closeFd(fd)
  }
}
