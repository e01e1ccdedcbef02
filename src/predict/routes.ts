// Asks a namespace's kernel which way a packet takes, and what of others leads it elsewhere.
import { lookupCommand, type WayAnswer, type WayLookup } from '#/wire/netlink/route-lookup.ts'
import { routeText } from '#/wire/netlink/route-text.ts'
import { type Addr } from '#/lib/addr.ts'
import { isOurLink, routeProtocol } from '#/model/names.ts'
import { judge, type KernelState, type Obstacle, type PlannedWay, ruleOf } from '#/obstacles/kernel-way.ts'
import { type RouteFacts, routeStep } from '#/trace/predict-route.ts'
import { type At } from '#/trace/predict-steps.ts'
import { type EqualWays } from '#/trace/types.ts'
import { RT_TABLE_LOCAL, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { ipProtocol, type Packet, type Prediction } from './context.ts'
import { flannelPlanned, inFlannelsWords } from './flannel.ts'
import { type Device, type KernelView } from './kernel-view.ts'

/** A packet's lookup, as one that comes by `iif`, or as one of this namespace. */
export function lookupOf(packet: Packet, iif?: Device): WayLookup {
  const { src, dst, port, sourcePort } = packet
  return {
    dst,
    src,
    ...(iif && { iif }),
    ipProtocol: ipProtocol(packet),
    ...(port !== undefined && { destinationPort: port }),
    ...(sourcePort !== undefined && { sourcePort }),
  }
}

export type Hop = {
  readonly device: Device
  readonly gateway?: Addr
  readonly mtuBytes?: number
  /** The MTU is not of the route that matches: routers have told the kernel of it. */
  readonly isLearned?: true
  readonly route: Route
}

/** The next hop that an answer chooses; undefined for a local address, and where the answer is none. */
export function hopOf(answer: WayAnswer, nameOf: (index: number) => string): Hop | undefined {
  if (answer.kind !== 'way' || answer.chosen === undefined || answer.chosen.type !== 'unicast') return undefined
  const { chosen } = answer
  const [hop] = chosen.nextHops
  if (hop?.oif === undefined) return undefined
  return {
    device: { index: hop.oif, name: nameOf(hop.oif) },
    ...(hop.gateway && { gateway: hop.gateway }),
    ...(chosen.mtuBytes !== undefined && { mtuBytes: chosen.mtuBytes }),
    ...(hasLearned(answer) && { isLearned: true as const }),
    // what encapsulates is told of the route that matches
    route: { ...chosen, ...(answer.route?.encap && { encap: answer.route.encap }) },
  }
}

function hasLearned({ route, chosen }: Extract<WayAnswer, { kind: 'way' }>): boolean {
  return route !== undefined && chosen?.mtuBytes !== undefined && chosen.mtuBytes < (route.mtuBytes ?? Infinity)
}

export const isLocal = (answer: WayAnswer): boolean =>
  answer.kind === 'way' && (answer.chosen?.type === 'local' || answer.route?.type === 'local')

/** Rules that every namespace has. */
const usualTables = new Set([RT_TABLE_LOCAL, RT_TABLE_MAIN, 253])

function answerFacts(
  kernel: KernelView,
  answer: WayAnswer,
  lookup: WayLookup,
  nameOf: (index: number) => string,
): RouteFacts['answer'] {
  if (answer.kind === 'refused') return answer
  const { route } = answer
  const ways = equalWays(kernel, answer, nameOf)
  const rule = route && !usualTables.has(route.table) ? ruleOf(route, lookup, kernel.rules()) : undefined
  return {
    kind: 'way',
    ...(route && { route: routeText(route, nameOf) }),
    ...(rule !== undefined && { rule }),
    isOurs: route?.protocol === routeProtocol,
    ...(ways && { ways }),
  }
}

/** The hash over addresses alone is the kernel's default. With IPv6 it takes the flow label too, which each connection has of its own. */
const byAddresses = '0'

function equalWays(
  kernel: KernelView,
  answer: Extract<WayAnswer, { kind: 'way' }>,
  nameOf: (index: number) => string,
): EqualWays | undefined {
  const { route, chosen } = answer
  if (route === undefined || route.nextHops.length < 2) return undefined
  const [taken] = chosen?.nextHops ?? []
  const policy = kernel.sysctl(`net/ipv${route.dst.family}/fib_multipath_hash_policy`)
  return {
    hops: route.nextHops.map(({ oif = 0, gateway }) => ({
      device: nameOf(oif),
      ...(gateway && { gateway: String(gateway) }),
      isChosen: oif === taken?.oif && String(gateway) === String(taken.gateway),
    })),
    chosenBy: policy === byAddresses && route.dst.family === 4 ? 'addresses' : 'ports',
  }
}

/** In a pod's namespace, where no rules or tables of others are to be judged. */
export function podRouteStep(
  kernel: KernelView,
  answer: WayAnswer,
  lookup: WayLookup,
  { at, nameOf }: { readonly at: At; readonly nameOf: (index: number) => string },
  more: Pick<RouteFacts, 'incoming' | 'obstacle'> = {},
) {
  return routeStep({
    at,
    family: lookup.dst.family,
    command: `in the namespace of pod ${at.pod}: ${lookupCommand(lookup)}`,
    answer: answerFacts(kernel, answer, lookup, nameOf),
    ...more,
  })
}

/** What decides whether a packet from `src` that comes by a device is forwarded. */
export function incomingFacts(kernel: KernelView, src: Addr, iif: Device): NonNullable<RouteFacts['incoming']> {
  const { name: device } = iif
  const isOurs = isOurLink(device)
  if (src.family === 6) {
    const all = kernel.sysctl('net/ipv6/conf/all/forwarding')
    // since Linux 6.17 a single device can be made to forward
    const isForced = kernel.sysctl(`net/ipv6/conf/${device}/force_forwarding`) === '1'
    const forwarding = isForced ? '1' : all
    const isOff = kernel.sysctl(`net/ipv6/conf/${device}/disable_ipv6`) === '1'
    return {
      device,
      isOurs,
      ...(forwarding !== undefined && { forwarding }),
      ...(isOff && { isIpv6Off: true as const }),
    }
  }
  const forwarding = kernel.sysctl(`net/ipv4/conf/${device}/forwarding`)
  const filters = ['all', device].map((name) => Number(kernel.sysctl(`net/ipv4/conf/${name}/rp_filter`) ?? 0))
  const back = kernel.lookUp({ dst: src })
  const oif = back.kind === 'way' ? back.chosen?.nextHops[0]?.oif : undefined
  return {
    device,
    isOurs,
    ...(forwarding !== undefined && { forwarding }),
    ...(kernel.sysctl('net/ipv4/ip_forward') === '0' && { isNodeStopped: true as const }),
    rpFilter: Math.max(...filters),
    ...(oif !== undefined && { wayBack: oif === iif.index ? device : deviceName(kernel, oif) }),
  }
}

function deviceName(kernel: KernelView, index: number): string {
  return kernel.links.find((link) => link.index === index)?.name ?? `if${index}`
}

/** Where a packet to the address should go by the plan; undefined for addresses outside of the cluster. */
export function plannedWay(prediction: Prediction, dst: Addr): PlannedWay | undefined {
  const { deps } = prediction
  if (deps.flannel) return flannelPlanned(prediction, deps.flannel, dst)
  const own = deps.podCIDRs().find((cidr) => cidr.contains(dst))
  if (own) return { kind: 'own', device: deps.podDevice(), cidr: own }
  const verdict = prediction.verdictOf(dst)
  if (verdict) return { kind: 'verdict', verdict, cidr: verdict.dst }
  const name = prediction.nodeWith(dst)
  return name === undefined || name === deps.nodeName ? undefined : { kind: 'node', name }
}

/** What is in the way of the plan, as the reconciler judges it. */
async function obstacleOf(prediction: Prediction, lookup: WayLookup, answer: WayAnswer): Promise<Obstacle | undefined> {
  const way = plannedWay(prediction, lookup.dst)
  if (way === undefined) return undefined
  const { deps, kernel } = prediction
  const { nodeAddrs, clusterCIDRs, policy } = deps
  const dropping: readonly Route[] = answer.kind === 'refused' ? await kernel.droppingRoutes() : []
  const state: KernelState = {
    nameOf: prediction.nameOf,
    rules: kernel.rules(),
    dropping,
    // their gateways are in the network of pods: no node is reached by those
    nodes: [...policy.nodes().values()].flat().filter((addr) => !clusterCIDRs.some((cidr) => cidr.contains(addr))),
    own: [
      ...nodeAddrs(),
      ...kernel.addresses().flatMap(({ index, addr }) => (isOurLink(prediction.nameOf(index)) ? [] : [addr])),
    ],
    clusterCIDRs,
  }
  const told = answer.kind === 'refused' ? answer : ({ kind: 'route', route: answer.route } as const)
  const judgement = judge(way, lookup, told, state)
  if (judgement.kind === 'planned') return undefined
  return deps.flannel ? inFlannelsWords(prediction, way, told, judgement) : judgement.obstacle
}

export type Asked = { readonly answer: WayAnswer; readonly hop: Hop | undefined; readonly isPassed: boolean }

/** Asks the node's kernel, and tells the step. */
export async function ask(prediction: Prediction, lookup: WayLookup): Promise<Asked> {
  const { kernel } = prediction
  const { iif, src, dst } = lookup
  const answer = kernel.lookUp(lookup)
  const hop = hopOf(answer, prediction.nameOf)
  const obstacle = await obstacleOf(prediction, lookup, answer)
  const step = routeStep({
    at: { ...(iif && { device: iif.name }), ...(hop && { next: hop.device.name }) },
    family: dst.family,
    command: lookupCommand(lookup),
    answer: answerFacts(kernel, answer, lookup, prediction.nameOf),
    ...(obstacle && { obstacle }),
    ...(iif && src && { incoming: incomingFacts(kernel, src, iif) }),
  })
  return { answer, hop, isPassed: prediction.add(step) }
}
