// TTL security (RFC 5082) of BGP sessions in the node's nftables table. The socket of a session refuses packets from too far away, but one
// that is accepted learns only afterwards what it is to refuse: by then the kernel has taken what came with the handshake. These rules drop
// it before. The first packet of a connection passes: it brings nothing, there is no connection without a second one, and a router may set
// the TTL of its socket only once that is connected. Pure.
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { type NftChain, type NftMatch, type NftRule } from '#/wire/nftables/ruleset.ts'

/** A neighbour whose packets come from at most a number of links away. */
export type SessionGuard = {
  readonly peer: string
  /** Absent: whoever has a link-local address on `device`. */
  readonly addr?: Addr
  readonly device?: string
  /** The own address of the session, where it is configured: other programs of this node may have sessions with the same neighbour. */
  readonly localAddr?: Addr
  /** Packets with less are dropped. */
  readonly minTtl: number
  /** Of TCP: the one that this node listens on, if it does, and the one that the neighbour listens on. */
  readonly ownPort?: number
  readonly itsPort: number
}

const linkLocal = Prefix.parse('fe80::/10')
/** NF_IP_PRI_FILTER */
const filterPriority = 0
/** Comments of rules are short (src/wire/nftables/check.ts). */
const longestName = 60

export function sessionGuards(config: Pick<SpeakerConfig, 'peers' | 'listenPort'> | undefined): SessionGuard[] {
  const { peers = [], listenPort } = config ?? {}
  return peers.flatMap(({ name, addr, device, localAddr, port, ttlSecurityHops: hops }: PeerConfig): SessionGuard[] =>
    hops === undefined || (addr === undefined && device === undefined)
      ? []
      : [
          {
            peer: name,
            ...(addr && { addr }),
            ...(device !== undefined && (addr === undefined || addr.isLinkLocal) && { device }),
            ...(localAddr && { localAddr }),
            minTtl: 256 - hops,
            ...(listenPort !== undefined && { ownPort: listenPort }),
            itsPort: port,
          },
        ],
  )
}

/** While this node does not listen. */
export function withoutOwnPort(guard: SessionGuard): SessionGuard {
  const { ownPort, ...others } = guard
  return ownPort === undefined ? guard : others
}

function rulesOf({ peer, addr, device, localAddr, minTtl, ownPort, itsPort }: SessionGuard): NftRule[] {
  const family: Family = addr?.family ?? 6
  const from: NftMatch[] = [
    ...(device === undefined ? [] : [{ kind: 'device', field: 'iifname', name: device } as const]),
    { kind: 'addr', field: 'saddr', prefix: addr ? Prefix.host(addr) : linkLocal },
    ...(localAddr ? [{ kind: 'addr', field: 'daddr', prefix: Prefix.host(localAddr) } as const] : []),
    { kind: 'l4proto', protocol: 'tcp' },
  ]
  const drop = (what: string, ...port: NftMatch[]): NftRule => ({
    comment: `${what} ${peer.slice(0, longestName)} from too far away`,
    match: [...from, ...port, { kind: 'ttlBelow', family, ttl: minTtl }],
    action: { kind: 'drop', counter: true },
  })
  return [
    ...(ownPort === undefined
      ? []
      : [drop('BGP connections of', { kind: 'dport', port: ownPort }, { kind: 'tcpSyn', not: true })]),
    drop('BGP answers of', { kind: 'sport', port: itsPort }),
  ]
}

/** The chain that drops packets of the guarded sessions that come from too far away; none without guards. */
export function guardChains(guards: readonly SessionGuard[]): NftChain[] {
  if (guards.length === 0) return []
  const others: NftRule = {
    comment: 'not BGP',
    match: [{ kind: 'l4proto', protocol: 'tcp', not: true }],
    action: { kind: 'accept' },
  }
  return [
    {
      name: 'bgp-in',
      hook: { type: 'filter', hook: 'input', priority: filterPriority },
      policy: 'accept',
      rules: [others, ...guards.flatMap(rulesOf)],
    },
  ]
}
