// What is asked of another node: its addresses, and its gateways as pods' packets go. Pure.
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type Addr, families, type Family, type Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { type Verdict } from '#/model/verdict.ts'
import { gatewaysOf, type RemotePlan } from '#/plan/remote-plan.ts'
import { answererOf } from './flows.ts'

export type Target = {
  /** The same for the same way, whatever its addresses and sizes are. */
  readonly key: string
  readonly node: string
  readonly path: PeerWay['path']
  readonly family: Family
  /** The address of this node that it is asked from. */
  readonly src: Addr
  readonly dst: Addr
  readonly way: PeerWay['way']
  /** The largest packet that the way is to carry; absent: not known. */
  readonly mtuBytes?: number
  /** What the other node's pods have their addresses of; absent: the way is to the node itself. */
  readonly podCIDR?: Prefix
  /** The addresses between which packets of the tunnel go. */
  readonly tunnel?: { readonly src: Addr; readonly dst: Addr }
}

/** Whether nothing of the target has changed. */
export function sameTarget(a: Target, b: Target): boolean {
  return a.key === b.key && a.src.equals(b.src) && a.dst.equals(b.dst) && a.way === b.way && a.mtuBytes === b.mtuBytes
}

type Plan = Pick<RemotePlan, 'verdicts' | 'tunnelEnds' | 'underlay'>

/** The ways to one node: for each family its address, and the gateway of its first pod CIDR to which there is a way. */
export function targetsOf(node: string, plan: Plan, self: NodeState): Target[] {
  const gateways = gatewaysOf(self)
  return families.flatMap((family) => [
    ...nodePath(node, plan, family, self.addrs),
    ...podPath(node, plan.verdicts, family, gateways[family]),
  ])
}

function nodePath(node: string, { tunnelEnds, underlay }: Plan, family: Family, own: readonly Addr[]): Target[] {
  const isOfFamily = (addr: Addr): boolean => addr.family === family
  const [src, dst] = [own.find(isOfFamily), tunnelEnds.find(isOfFamily)]
  if (src === undefined || dst === undefined) return []
  const mtuBytes = underlay.find((each) => each.family === family)?.mtuBytes
  const key = `${node} node IPv${family}`
  return [{ key, node, path: 'node', family, src, dst, way: 'direct', ...(mtuBytes !== undefined && { mtuBytes }) }]
}

function podPath(node: string, verdicts: readonly Verdict[], family: Family, src: Addr | undefined): Target[] {
  const verdict = verdicts.find(({ dst, way }) => dst.family === family && way !== 'none' && dst.size > 2n)
  if (src === undefined || verdict === undefined || verdict.way === 'none') return []
  const { way, mtuBytes } = verdict
  return [
    {
      key: `${node} pod IPv${family}`,
      node,
      path: 'pod',
      family,
      src,
      dst: answererOf(verdict),
      way,
      podCIDR: verdict.dst,
      ...(mtuBytes !== undefined && { mtuBytes }),
      ...(verdict.way === 'vxlan' && { tunnel: verdict.tunnel }),
    },
  ]
}
