// The verdict about one pod CIDR of another node: which way packets go there from this node, and why. Only the plan derives it; kernel
// routes, status, and the prediction of a packet's way read it.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type DesiredHop } from './network.ts'

export type NativeOrigin = 'bgp' | 'direct'

/** The tunnel's ends and the destination of its frames. */
export type VerdictTunnel = {
  readonly outer: Family
  readonly src: Addr
  readonly dst: Addr
  /** The VTEP that is the route's next hop: an invented one, the same for all nodes, except that flannel nodes each have their own. */
  readonly gateway: Addr
  /** The MAC of that VTEP, for nodes that have their own. */
  readonly vtepMac?: string
}

type Way =
  | { readonly way: 'vxlan'; readonly tunnel: VerdictTunnel; readonly mtuBytes: number }
  | {
      readonly way: 'native'
      readonly origin: NativeOrigin
      /** Several next hops are equal paths. The gateway of an IPv4 CIDR may be an IPv6 address (RFC 8950). */
      readonly nextHops: readonly DesiredHop[]
      /** The largest packet that the underlay carries; absent: not known. */
      readonly mtuBytes?: number
    }
  | { readonly way: 'none' }

export type Verdict = Way & {
  readonly dst: Prefix
  readonly node: string
  /** Why this way was chosen, or why there is none. */
  readonly reason: string
}

/** The key of a verdict, the same as that of its kernel route: a node has at most one way to a CIDR. */
export const verdictKey = ({ dst }: Verdict): string => String(dst)

function sameTunnel(a: VerdictTunnel, b: VerdictTunnel): boolean {
  return (
    a.outer === b.outer &&
    a.src.equals(b.src) &&
    a.dst.equals(b.dst) &&
    a.gateway.equals(b.gateway) &&
    a.vtepMac === b.vtepMac
  )
}

function sameHops(a: readonly DesiredHop[], b: readonly DesiredHop[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ device, gateway }, index) => device === b[index]!.device && gateway.equals(b[index]!.gateway))
  )
}

/** Whether two verdicts say the same of the same pod CIDR. */
export function sameVerdict(a: Verdict, b: Verdict): boolean {
  if (a.node !== b.node || a.reason !== b.reason || !a.dst.equals(b.dst)) return false
  if (a.way === 'vxlan') return b.way === 'vxlan' && a.mtuBytes === b.mtuBytes && sameTunnel(a.tunnel, b.tunnel)
  if (a.way === 'native')
    return b.way === 'native' && a.origin === b.origin && a.mtuBytes === b.mtuBytes && sameHops(a.nextHops, b.nextHops)
  return b.way === 'none'
}
