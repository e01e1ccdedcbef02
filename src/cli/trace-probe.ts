// What a probe is recognised by: numbers that no other packet has, and a port at which nobody listens where none was asked for.
import { randomBytes, randomInt } from 'node:crypto'
import { type TracePair, type TraceSendRequest } from '#/api/schemas/trace-send.ts'
import { type TraceWish } from './trace-facts.ts'

const cookieBytes = 8
/** From where kernels take the ports of programs that ask for none (net.ipv4.ip_local_port_range). */
const sourcePorts = { first: 32_768, behindLast: 61_000 } as const
/** As traceroute(8) does: an answer that nothing listens is as good as any, when it is asked whether the way is whole. */
const closedPort = { udp: 33_434, tcp: 33_434 } as const

/** In a DNS message, the octet with QR and OPCODE (RFC 1035 section 4.1.1). */
const dnsFlagsAt = 2

/** A DNS server answers a query that it cannot read; it ignores what says that it is a response, and so would half of all random bytes. */
function datagramCookie(): string {
  const bytes = randomBytes(cookieBytes)
  bytes[dnsFlagsAt] = 0
  return bytes.toString('hex')
}

export function probeRequest({ from, to }: TracePair, { protocol, port, sizeBytes }: TraceWish): TraceSendRequest {
  const common = {
    src: from.addr,
    dst: to.addr,
    protocol,
    ...(sizeBytes !== undefined && { sizeBytes }),
  }
  if (protocol === 'icmp')
    return { ...common, cookie: randomBytes(cookieBytes).toString('hex'), id: randomInt(1, 0x1_0000), seq: 1 }
  const ports = {
    sourcePort: randomInt(sourcePorts.first, sourcePorts.behindLast),
    port: port ?? closedPort[protocol],
  }
  return protocol === 'udp'
    ? { ...common, ...ports, cookie: datagramCookie() }
    : { ...common, ...ports, seq: randomInt(1, 2 ** 32 - 1) }
}

/** The same probe with another source port: the first was taken. */
export function withOtherPort(request: TraceSendRequest): TraceSendRequest {
  return { ...request, sourcePort: randomInt(sourcePorts.first, sourcePorts.behindLast) }
}
