// IP options of sockets of routing protocols and of probes: TTL and hop limits, priority, whether packets may be fragmented. ip(7), ipv6(7).
import { type Family } from '#/lib/addr.ts'
import { int32 } from './libc.ts'
import { setOption } from './socket.ts'

const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IP_TOS = 1
const IP_TTL = 2
const IP_MINTTL = 21
const IPV6_UNICAST_HOPS = 16
const IPV6_MULTICAST_HOPS = 18
const IPV6_TCLASS = 67
const IPV6_MINHOPCOUNT = 73
const IP_MTU_DISCOVER = 10
const IPV6_MTU_DISCOVER = 23
const IPV6_DONTFRAG = 62
/** Sets DF, and takes no notice of path MTUs that the kernel has learned. */
const PMTUDISC_PROBE = 3

/** Class selector 6 (RFC 2474), "internetwork control": the class with which routers send their own traffic. */
const networkControl = 0xc0

export function setNetworkControl(fd: number, family: Family): void {
  if (family === 4) setOption(fd, IPPROTO_IP, IP_TOS, int32(networkControl), 'IP_TOS')
  else setOption(fd, IPPROTO_IPV6, IPV6_TCLASS, int32(networkControl), 'IPV6_TCLASS')
}

/** Sets the TTL or hop limit of packets sent; undefined is the system's default. */
export function setTtl(fd: number, family: Family, ttl: number | undefined): void {
  const value = int32(ttl ?? -1)
  if (family === 4) setOption(fd, IPPROTO_IP, IP_TTL, value, `TTL ${ttl}`)
  else setOption(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, value, `hop limit ${ttl}`)
}

/**
 * No packet of this socket is fragmented, by nobody. How large it may be is what the device takes, not what the kernel has learned of the path: so
 * each one finds out again. A larger one than the device takes is refused with EMSGSIZE.
 */
export function setProbing(fd: number, family: Family): void {
  if (family === 4) return setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, int32(PMTUDISC_PROBE), 'IP_MTU_DISCOVER')
  setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, int32(PMTUDISC_PROBE), 'IPV6_MTU_DISCOVER')
  setOption(fd, IPPROTO_IPV6, IPV6_DONTFRAG, int32(1), 'IPV6_DONTFRAG')
}

/** Sets the hop limit of packets sent to IPv6 multicast groups. */
export function setMulticastHops(fd: number, hops: number): void {
  setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, int32(hops), `multicast hop limit ${hops}`)
}

/** Sets the least TTL of packets received, for TCP only: those with less are dropped (RFC 5082); 0 accepts all. */
export function setMinTtl(fd: number, family: Family, minTtl: number): void {
  if (family === 4) setOption(fd, IPPROTO_IP, IP_MINTTL, int32(minTtl), `least TTL ${minTtl}`)
  else setOption(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, int32(minTtl), `least hop limit ${minTtl}`)
}
