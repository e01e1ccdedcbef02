// The verdict about one pod CIDR of another node: which way packets go there from this node, and why. The plan keeps it; kernel
// routes, status, and whoever predicts a packet's way read it, and nobody derives it a second time.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type DesiredHop } from './network.ts'

export type NativeOrigin = 'bgp' | 'direct'

/** The tunnel's ends and where its frames are sent to. */
export type VerdictTunnel = {
  readonly outer: Family
  readonly src: Addr
  readonly dst: Addr
  /** The VTEP as next hop of the route: made up, and the same for all nodes, but for flannel nodes, which have one of their own. */
  readonly gateway: Addr
  /** The MAC of that VTEP where it has one of its own. */
  readonly vtepMac?: string
}

type Way =
  | { readonly way: 'vxlan'; readonly tunnel: VerdictTunnel; readonly mtuBytes: number }
  | {
      readonly way: 'native'
      readonly origin: NativeOrigin
      /** Several are equal paths. The gateway of an IPv4 CIDR may be an IPv6 address (RFC 8950). */
      readonly nextHops: readonly DesiredHop[]
      /** The largest packet that the underlay carries; absent: not known. */
      readonly mtuBytes?: number
    }
  | { readonly way: 'none' }

export type Verdict = Way & {
  readonly dst: Prefix
  readonly node: string
  /** Why it is this way and no other, or why there is none. */
  readonly reason: string
}

/** The same key as that of the kernel route: a node has at most one way to a CIDR. */
export const verdictKey = ({ dst }: Verdict): string => String(dst)
