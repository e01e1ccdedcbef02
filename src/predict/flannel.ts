// What is planned for a packet where the network of pods is flannel's, and what is said where the kernel has something else.
import { type Addr, type Family } from '#/lib/addr.ts'
import { problemCatalogue } from '#/model/problem-catalogue.ts'
import { type FlannelWay } from '#/plan/flannel-ways.ts'
import { restartFlannel } from '#/model/flannel.ts'
import { type Judgement, type Obstacle, type PlannedWay } from '#/obstacles/kernel-way.ts'
import { type Mend } from '#/trace/predict-steps.ts'
import { type LookupAnswer } from '#/wire/netlink/route-lookup.ts'
import { routeText } from '#/wire/netlink/route-text.ts'
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
  prediction: Prediction,
  way: PlannedWay,
  answer: LookupAnswer,
  { kind, obstacle }: Exclude<Judgement, { kind: 'planned' }>,
): Obstacle {
  const { deps, nameOf } = prediction
  if (way.kind !== 'via' && way.kind !== 'own') return obstacle
  // its routes went with the device
  const device = kind === 'missing' ? downOf(prediction, way) : undefined
  if (device !== undefined) return device
  if (way.kind === 'own') return obstacle
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

/** The device that a way of flannel's needs, where it is gone or down. */
function downOf(prediction: Prediction, way: Extract<PlannedWay, { kind: 'via' | 'own' }>): Obstacle | undefined {
  const [hop] = way.kind === 'via' ? way.hops : [{ device: way.device }]
  if (hop?.device === undefined) return undefined
  const link = prediction.link(hop.device)
  if (link?.isUp) return undefined
  const what = link === undefined ? `there is no device ${hop.device}:` : `${hop.device} is down:`
  const object = `device/${hop.device}`
  return way.kind === 'own'
    ? { code: 'CW6505', object, what, remedy: problemCatalogue.CW6505.remedy }
    : { code: 'CW6504', object, what, remedy: restartFlannel(prediction.deps.nodeName) }
}

/** What mends the tunnel's device. */
export function deviceMend({ deps }: Prediction): Mend {
  if (deps.flannel) return { code: 'CW6504', remedy: restartFlannel(deps.nodeName) }
  const remedy = 'the agent of this node makes it again within a moment; if not, see causeway status for why'
  return { code: 'CW2001', remedy }
}
