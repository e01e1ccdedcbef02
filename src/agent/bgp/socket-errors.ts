// Errors of sockets in words for the one who has to mend the network.
import { constants } from 'node:os'
import { getSystemErrorMessage } from 'node:util'
import { type ConnectOptions } from '#/bgp/contract.ts'
import { errorCode } from '#/lib/error-code.ts'
import { messageOf } from '#/lib/log.ts'
import { type PortProtocol, portOwner } from '#/sys/port-owner.ts'

const errnos: Readonly<Record<string, number>> = constants.errno

/** "ECONNREFUSED: connection refused"; what is no error of the kernel tells itself. */
export function kernelWords(error: unknown): string {
  const code = errorCode(error)
  const errno = code === undefined ? undefined : errnos[code]
  return errno === undefined ? messageOf(error) : `${code}: ${getSystemErrorMessage(-errno)}`
}

/** What silence can mean: TCP tells nothing of a wrong password (RFC 2385 section 2), or of a TTL that is too low (RFC 5082). */
export function silenceHint({ addr, port, password, minTtl }: ConnectOptions): string {
  const reasons = [
    `is ${addr} up, and does no filter drop TCP port ${port}`,
    password === undefined
      ? 'does the other side want a password'
      : 'does the other side have the same password for us',
    ...(minTtl === undefined ? [] : [`does it send with TTL 255 from at most ${256 - minTtl} hops away`]),
  ]
  return `nobody answers: ${reasons.join('; ')}?`
}

function hintOf(code: string | undefined, options: ConnectOptions): string | undefined {
  const { addr, port, localAddr, device } = options
  switch (code) {
    case 'ECONNREFUSED':
      return `nothing listens on TCP port ${port} of ${addr}, or a filter rejects us`
    case 'ETIMEDOUT':
      return silenceHint(options)
    case 'EHOSTUNREACH':
      return `nobody has ${addr} on the link, or a router on the way has no route to it`
    case 'ENETUNREACH':
      return `this node has no route to ${addr}`
    case 'EADDRNOTAVAIL':
      return `this node does not have the address ${localAddr ?? 'to connect from'}`
    case 'ENODEV':
      return `this node has no device ${device}`
    case 'EINVAL':
      return addr.isLinkLocal && device === undefined ? 'a link-local address needs a device' : undefined
    default:
      return undefined
  }
}

export function connectError(error: unknown, options: ConnectOptions): Error {
  const hint = hintOf(errorCode(error), options)
  return new Error(`${kernelWords(error)}${hint === undefined ? '' : `: ${hint}`}`)
}

/** Of a port that could not be listened on: where another process has it, which one. */
export function listenError(error: unknown, protocol: PortProtocol, port: number): Error {
  const owner = (): string =>
    `: ${portOwner(protocol, port) ?? 'another process, whose files this one may not see,'} has it`
  return new Error(
    `cannot listen on ${protocol.toUpperCase()} port ${port}: ${kernelWords(error)}${errorCode(error) === 'EADDRINUSE' ? owner() : ''}`,
  )
}

export function isNoSuchFamily(error: unknown): boolean {
  return errorCode(error) === 'EAFNOSUPPORT'
}
