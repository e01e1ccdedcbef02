// Both families, for tests that run the same for each.
import { etherTypes, ipv4, ipv6 } from './frames.ts'
import { type Outcome, remote4, remote6, type WorldNode, type WorldPod } from './world.ts'

export type Family = {
  readonly name: 'IPv4' | 'IPv6'
  readonly type: number
  readonly addr: (pod: WorldPod) => string
  readonly end: (node: WorldNode) => string
  /** A pod of another node. */
  readonly remote: (node: WorldNode) => string
  readonly packet: typeof ipv4
  /** Bytes of the IP header. */
  readonly headerBytes: number
}

export const families: readonly Family[] = [
  {
    name: 'IPv4',
    type: etherTypes.ipv4,
    addr: ({ addr4 }) => addr4,
    end: ({ addr4 }) => addr4,
    remote: remote4,
    packet: ipv4,
    headerBytes: 20,
  },
  {
    name: 'IPv6',
    type: etherTypes.ipv6,
    addr: ({ addr6 }) => addr6,
    end: ({ addr6 }) => addr6,
    remote: remote6,
    packet: ipv6,
    headerBytes: 40,
  },
]

/** "stack", "carried", or "dropped: source_mac". */
export const told = ({ verdict, reason }: Outcome): string => (reason === undefined ? verdict : `${verdict}: ${reason}`)
