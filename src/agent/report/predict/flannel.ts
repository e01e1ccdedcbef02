// What is planned for a packet where the network of pods is flannel's, and what is said where the kernel has something else.
import { type LookupAnswer } from '#/kernel/route-lookup.ts'
import { routeText } from '#/kernel/routes.ts'
import { type Addr, type Family } from '#/lib/addr.ts'
import { type FlannelWay } from '#/plan/flannel-ways.ts'
import { restartFlannel } from '#/reconcile/flannel/compare.ts'
import { type Judgement, type Obstacle, type PlannedWay } from '#/reconcile/kernel-way.ts'
import { type Mend } from '#/trace/predict-steps.ts'
import { type Prediction } from './context.ts'

export type FlannelView = {
  readonly ways: () => readonly FlannelWay[]
  /** The name of its VXLAN device for packets of a family. */
  readonly device: (family: Family) => string
}

/** The way to the pod CIDR that has the address. */
export function flannelWayTo({ ways }: FlannelView, dst: Addr): FlannelWay | undefined {
  return ways().find(({ cidr }) => cidr.contains(dst))
}

export function flannelPlanned(prediction: Prediction, view: FlannelView, dst: Addr): PlannedWay | undefined {
  const { deps } = prediction
  const own = deps.podCIDRs().find((cidr) => cidr.contains(dst))
  if (own) return { kind: 'own', device: deps.podDevice(), cidr: own, others: [view.device(dst.family)] }
  const way = flannelWayTo(view, dst)
  if (way === undefined || way.kind === 'unknown') {
    const name = prediction.nodeWith(dst)
    return name === undefined || name === deps.nodeName ? undefined : { kind: 'node', name }
  }
  const { node, cidr, remote } = way
  // with DirectRouting flannel reaches some of VXLAN's nodes directly
  const direct = { gateway: remote }
  const hops = way.kind === 'direct' ? [direct] : [{ device: way.device, gateway: way.gateway }, direct]
  return { kind: 'via', node, cidr, hops }
}

const ipOf = ({ family }: { readonly family: 4 | 6 }): string => (family === 6 ? 'ip -6' : 'ip')

/** Flannel marks none of its routes: one to exactly the pod CIDR of a node is its own, and if it leads elsewhere it is out of date. */
export function inFlannelsWords(
  { deps, nameOf }: Prediction,
  way: PlannedWay,
  answer: LookupAnswer,
  { kind, obstacle }: Exclude<Judgement, { kind: 'planned' }>,
): Obstacle {
  if (way.kind !== 'via') return obstacle
  const route = answer.kind === 'route' ? answer.route : undefined
  const isItsOwn = obstacle.code === 'CW1302' && route?.type === 'unicast' && route.dst.equals(way.cidr)
  if (kind !== 'missing' && !isItsOwn) return obstacle
  const [hop] = way.hops
  const wanted = `${way.cidr} via ${hop?.gateway}${hop?.device === undefined ? '' : ` dev ${hop.device} onlink`}`
  const instead = route ? routeText(route, nameOf) : undefined
  const what = isItsOwn
    ? `flannel's route to pods of node ${way.node} is ${instead}, and should be ${wanted}:`
    : `flannel's route ${wanted}, to pods of node ${way.node}, is missing:${instead === undefined ? '' : ` ${instead}`}`
  return {
    code: 'CW6501',
    object: `route/${way.cidr}`,
    what,
    remedy: `${restartFlannel(deps.nodeName)}; until then: ${ipOf(way.cidr)} route replace ${wanted}`,
  }
}

/** What mends the tunnel's device. */
export function deviceMend({ deps }: Prediction): Mend {
  if (deps.flannel) return { code: 'CW6504', remedy: restartFlannel(deps.nodeName) }
  const remedy = 'the agent of this node makes it again within a moment; if not, see causeway status for why'
  return { code: 'CW2001', remedy }
}
