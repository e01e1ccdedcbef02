// What of a peer's configuration its sockets and its session depend on. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { type ConnectOptions, type SocketOptions } from '../contract.ts'

/** Whether one configuration's session can go on under the other; policies and limits are not the session's. */
export function sameSession(one: PeerConfig, other: PeerConfig): boolean {
  return sessionKey(one) === sessionKey(other)
}

function sessionKey(config: PeerConfig): string {
  const { port, localAddr, families, mode, timers, gracefulRestart: restart, password } = config
  const { holdTimeSeconds, keepaliveSeconds, connectRetrySeconds } = timers
  return JSON.stringify([
    neighbourKey(config),
    [port, localAddr, families, mode, password, config.blockedBecause],
    [holdTimeSeconds, keepaliveSeconds, connectRetrySeconds, config.ttlSecurityHops, config.multihopTtl],
    restart && [restart.restartTimeSeconds, restart.stalePathTimeSeconds, restart.longLivedStaleTimeSeconds],
  ])
}

/** Whether it is the same router at the other end: if not, nothing of the old one's may be kept. */
export function sameNeighbour(one: PeerConfig, other: PeerConfig): boolean {
  return neighbourKey(one) === neighbourKey(other)
}

function neighbourKey({ addr, device, localAsn, remoteAsn }: PeerConfig): string {
  return JSON.stringify([addr, device, localAsn, remoteAsn])
}

/** Of values that are made in the same way each time. */
export function sameValue(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

export function connectOptions(config: PeerConfig, addr: Addr): ConnectOptions {
  const { port, localAddr, device, password } = config
  return {
    addr,
    port,
    ...(localAddr && { localAddr }),
    ...(device !== undefined && { device }),
    ...(password !== undefined && { password }),
    ...ttlOptions(config),
  }
}

/** RFC 5082, else what keeps an external session on its link. */
export function ttlOptions(config: PeerConfig): Pick<SocketOptions, 'ttl' | 'minTtl'> {
  const { ttlSecurityHops: hops, multihopTtl, localAsn, remoteAsn } = config
  if (hops !== undefined) return { ttl: 255, minTtl: 256 - hops }
  return localAsn === remoteAsn ? {} : { ttl: multihopTtl ?? 1 }
}
