// Which way packets of pods go to other nodes by what flannel has written on Node objects. Pure.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { flannelDevice, type FlannelNode } from '#/model/flannel.ts'

type Way =
  | {
      readonly kind: 'vxlan'
      readonly device: string
      /** The next hop of the route, which stands for the tunnel's other end. */
      readonly gateway: Addr
      readonly mac: string
      /** The tunnel's ends. */
      readonly local?: Addr
      readonly remote: Addr
    }
  /** By the other node's address, which is on a link of this one. */
  | { readonly kind: 'direct'; readonly remote: Addr }
  | { readonly kind: 'unknown'; readonly why: string }

/** To one pod CIDR of another node. */
export type FlannelWay = Way & { readonly node: string; readonly cidr: Prefix }

function wayTo(self: FlannelNode, other: FlannelNode, family: Family, cidr: Prefix): Way {
  const { backend, publicAddrs, vtepMacs, vni } = other
  if (backend === undefined) return { kind: 'unknown', why: 'flannel has written no backend-type on its Node object' }
  const remote = publicAddrs[family]
  if (remote === undefined)
    return {
      kind: 'unknown',
      why: `flannel has written no ${family === 4 ? 'public-ip' : 'public-ipv6'} on its Node object`,
    }
  if (backend === 'host-gw') return { kind: 'direct', remote }
  if (backend !== 'vxlan') return { kind: 'unknown', why: `what its backend ${backend} makes is not known here` }
  const mac = vtepMacs[family]
  if (mac === undefined)
    return {
      kind: 'unknown',
      why: `flannel has written no VtepMAC into ${family === 4 ? 'backend-data' : 'backend-v6-data'} of its Node object`,
    }
  const local = self.publicAddrs[family]
  return { kind: 'vxlan', device: flannelDevice(family, vni), gateway: cidr.addr, mac, ...(local && { local }), remote }
}

/** The ways to the pod CIDRs of all other nodes, in the order of the nodes. A node without any has none. */
export function flannelWays(self: FlannelNode, others: readonly FlannelNode[]): FlannelWay[] {
  return others.flatMap((other) =>
    other.podCIDRs.map((cidr) => ({ ...wayTo(self, other, cidr.family, cidr), node: other.name, cidr })),
  )
}
