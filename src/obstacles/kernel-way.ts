// Judges what the kernel answers when it is asked for a packet's way: whether it is the way of the plan, and if not, which rule, route,
// device or address of somebody else is in the way. Pure.
import { type Lookup, type LookupAnswer, lookupCommand } from '#/wire/netlink/route-lookup.ts'
import { routeText } from '#/wire/netlink/route-text.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { isOurLink, routeProtocol, vxlanName } from '#/model/names.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type NextHop, RT_TABLE_LOCAL, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type Rule } from '#/wire/netlink/rule.ts'
import { remedyForRoute } from './route-in-the-way.ts'

/** Where a packet should go by the plan. */
export type PlannedWay =
  /** To a pod of another node. */
  | { readonly kind: 'verdict'; readonly verdict: Verdict; readonly cidr: Prefix }
  /** To a pod of another node, by one of these next hops of another network; without a device: by any. */
  | { readonly kind: 'via'; readonly node: string; readonly hops: readonly ViaHop[]; readonly cidr: Prefix }
  /** To a pod of this node, through the device of pods. `others`: devices of another network with addresses of the CIDR. */
  | { readonly kind: 'own'; readonly device: string; readonly cidr: Prefix; readonly others?: readonly string[] }
  /** To another node itself: any way but the tunnel and the pods of this node. */
  | { readonly kind: 'node'; readonly name: string }

export type ViaHop = { readonly device?: string; readonly gateway: Addr }

/** What the kernel has, as far as it explains an answer. */
export type KernelState = {
  readonly nameOf: (index: number) => string
  /** The rules of both families, in their order. */
  readonly rules: readonly Rule[]
  /** Routes by others that drop packets for pod CIDRs. */
  readonly dropping: readonly Route[]
  /** Addresses by which nodes reach each other, and those of this node's devices. */
  readonly nodes: readonly Addr[]
  readonly own: readonly Addr[]
  readonly clusterCIDRs: readonly Prefix[]
}

/** What is in the way. All packets with the same code and object have the same cause. */
export type Obstacle = {
  readonly code: ProblemCode
  readonly object: string
  /** The thing itself. */
  readonly what: string
  readonly remedy: string
  /** It concerns a small part of the pod CIDR. */
  readonly isOfPart?: true
}

export type Judgement =
  | { readonly kind: 'planned' }
  /** Only a less specific route matches, or none: our own route is gone, and has to be made again. */
  | { readonly kind: 'missing'; readonly obstacle: Obstacle }
  | { readonly kind: 'obstructed'; readonly obstacle: Obstacle }

const planned: Judgement = { kind: 'planned' }

export function judge(way: PlannedWay, packet: Lookup, answer: LookupAnswer, state: KernelState): Judgement {
  if (answer.kind === 'refused') return refusal(way, packet, answer.code, state)
  const { route } = answer
  if (route === undefined || isPlanned(way, route, state)) return planned
  // a route of ours that is not (yet) as planned is for the reconciler to mend and to tell
  if (route.protocol === routeProtocol && route.table === RT_TABLE_MAIN) return planned
  // without rules of others the kernel has one tree for the tables local and main, and names the latter
  if (route.table === RT_TABLE_LOCAL || route.type === 'local')
    return { kind: 'obstructed', obstacle: { ...foreignAddress(route, packet, state), ...ofPart(way, route) } }
  if (route.table !== RT_TABLE_MAIN)
    return { kind: 'obstructed', obstacle: { ...ruleInTheWay(route, packet, state), ...ofPart(way, route) } }
  if (way.kind !== 'node' && route.dst.length < way.cidr.length)
    return { kind: 'missing', obstacle: unanswered(packet, `only ${textOf(route, state)} matches`) }
  return { kind: 'obstructed', obstacle: foreignRoute(way, route, state) }
}

function isPlanned(way: PlannedWay, route: Route, { nameOf }: KernelState): boolean {
  const { nextHops } = route
  const isVia = ({ oif }: NextHop, device: string): boolean => oif !== undefined && nameOf(oif) === device
  switch (way.kind) {
    case 'node':
      return route.type === 'unicast' && !nextHops.some(({ oif }) => oif !== undefined && isOurLink(nameOf(oif)))
    case 'own':
      if (nextHops.length === 0) return false
      // the pods' gateway is an address of this node, on each of its own devices
      if (route.type === 'local') return nextHops.every(({ oif }) => oif !== undefined && isOfPods(way, nameOf(oif)))
      return route.type === 'unicast' && nextHops.every((hop) => isVia(hop, way.device))
    case 'via':
      if (route.type !== 'unicast' || nextHops.length === 0) return false
      return nextHops.every((hop) =>
        way.hops.some(
          ({ device, gateway }) =>
            hop.gateway?.equals(gateway) === true && (device === undefined || isVia(hop, device)),
        ),
      )
    case 'verdict': {
      const { verdict } = way
      if (route.type !== 'unicast' || nextHops.length === 0) return false
      if (verdict.way === 'native')
        return nextHops.every((hop) =>
          verdict.nextHops.some(({ device, gateway }) => isVia(hop, device) && hop.gateway?.equals(gateway) === true),
        )
      if (verdict.way === 'none') return true
      return nextHops.every((hop) => isVia(hop, vxlanName)) && route.encap?.dst.equals(verdict.tunnel.dst) === true
    }
    default:
      return way satisfies never
  }
}

/** Whether a device may have an address of the pods' CIDR. */
function isOfPods({ device, others }: Extract<PlannedWay, { kind: 'own' }>, name: string): boolean {
  return others === undefined ? isOurLink(name) : name === device || others.includes(name)
}

function textOf(route: Route, { nameOf }: KernelState): string {
  const table = route.table === RT_TABLE_MAIN ? '' : ` table ${route.table}`
  return routeText(route, nameOf) + table
}

const ipOf = ({ family }: { readonly family: 4 | 6 }): string => (family === 6 ? 'ip -6' : 'ip')

/** Whether the kernel would apply the rule to the packet, which has no mark. */
function isFor(rule: Rule, { dst, src, iif }: Lookup): boolean {
  if (rule.family !== dst.family || rule.isNarrow || rule.oif !== undefined) return false
  const matches =
    (rule.dst === undefined || rule.dst.contains(dst)) &&
    (rule.src === undefined || (src !== undefined && rule.src.contains(src))) &&
    (rule.iif === undefined || rule.iif === (iif?.name ?? 'lo')) &&
    (rule.mark === undefined || rule.mark === 0)
  return matches !== rule.isInverted
}

function isLookedIn(table: number, packet: Lookup, { rules }: KernelState): boolean {
  return table === RT_TABLE_MAIN || rules.some((rule) => rule.table === table && isFor(rule, packet))
}

/** Whether any rule treats packets of pods other than those of the node itself; without one, the kernel finds the same route for both. */
export function tellPacketsApart(rules: readonly Rule[]): boolean {
  return rules.some(
    ({ src, iif, isInverted, isNarrow }) => src !== undefined || iif !== undefined || isInverted || isNarrow,
  )
}

function ruleText({ priority, src, dst, iif, table, dead, isInverted }: Rule): string {
  const words = [
    isInverted && 'not',
    `from ${src ?? 'all'}`,
    dst && `to ${dst}`,
    iif !== undefined && `iif ${iif}`,
    table === undefined ? dead : `lookup ${table}`,
  ]
  return `${priority}: ${words.filter(Boolean).join(' ')}`
}

/** The rule by which a packet came to a route, as ip-rule(8) prints it; undefined: none that is known here leads to its table. */
export function ruleOf({ table }: Route, packet: Lookup, rules: readonly Rule[]): string | undefined {
  const rule = rules.find((each) => each.table === table && isFor(each, packet))
  return rule && ruleText(rule)
}

/** The remedy adds a rule before the one in the way and deletes nothing: whoever made that rule may need it for other packets. */
function ruleObstacle(rule: Rule, told: string, dst: Addr, { clusterCIDRs }: KernelState): Obstacle {
  const ip = ipOf(dst)
  const cidrs = clusterCIDRs.filter((cidr) => cidr.family === dst.family)
  const before = cidrs.map((cidr) => `${ip} rule add pref ${rule.priority - 1} to ${cidr} lookup main`)
  const sooner =
    rule.priority > 1 && before.length > 0
      ? `, or put a rule for pods before it: ${before.join('; ')} (and where rules are configured, or the next boot is without it)`
      : ''
  return {
    code: 'CW1301',
    object: `rule/${rule.priority}`,
    what: `rule ${ruleText(rule)}${told}`,
    remedy: `do not delete that rule while its maker (a VPN, policy routing of a cloud's network) needs it: have it leave out the pods' networks${sooner}; see it with: ${ip} rule show${rule.table === undefined ? '' : `; ${ip} route show table ${rule.table}`}`,
  }
}

function ruleInTheWay(route: Route, packet: Lookup, state: KernelState): Obstacle {
  const rule = state.rules.find((each) => each.table === route.table && isFor(each, packet))
  const text = textOf(route, state)
  if (rule) return ruleObstacle(rule, `, by its route ${text}`, packet.dst, state)
  return {
    code: 'CW1301',
    object: `table/${route.table}`,
    what: `routing table ${route.table}, by its route ${text}`,
    remedy: `have the maker of the rule that leads to that table leave out the pods' networks; see them with: ${ipOf(packet.dst)} rule show`,
  }
}

function foreignAddress(route: Route, { dst }: Lookup, { nameOf }: KernelState): Obstacle {
  const [hop] = route.nextHops
  const device = hop?.oif === undefined ? 'lo' : nameOf(hop.oif)
  return {
    code: 'CW1303',
    object: `device/${device}`,
    what: `address ${route.dst.length === dst.bits ? dst : route.dst} on device ${device} of this node`,
    remedy: `see where that address is configured ("ip addr show dev ${device}") and take it away there, unless this node is reached by it: then the other node or pod CIDR needs another one`,
  }
}

function foreignRoute(way: PlannedWay, route: Route, state: KernelState): Obstacle {
  const [hop] = route.nextHops
  const text = routeText(route, state.nameOf)
  return {
    ...ofPart(way, route),
    code: 'CW1302',
    object: hop?.oif === undefined ? `route/${route.dst}` : `device/${state.nameOf(hop.oif)}`,
    what: `another's route: ${text}`,
    remedy: remedyForRoute(route, insteadOf(way), { text, nodes: state.nodes, own: state.own }),
  }
}

/** What is for some destinations of a pod CIDR alone. */
const ofRule = (way: PlannedWay, { dst }: Rule): { readonly isOfPart?: true } =>
  dst === undefined ? {} : ofPart(way, { dst })

/** Several routes to halves of a pod CIDR may concern all of it; routes to less than that are for single pods, or blocks of another network's. */
function ofPart(way: PlannedWay, { dst }: Pick<Route, 'dst'>): { readonly isOfPart?: true } {
  return way.kind !== 'node' && dst.length > way.cidr.length + 1 ? { isOfPart: true } : {}
}

function insteadOf(way: PlannedWay): string {
  switch (way.kind) {
    case 'node':
      return `give node ${way.name} another address`
    case 'own':
      return 'give this node another pod CIDR'
    case 'via':
      return `give node ${way.node} another pod CIDR`
    case 'verdict':
      return `give node ${way.verdict.node} another pod CIDR`
    default:
      return way satisfies never
  }
}

/** What by others drops the packet; of rules the first. */
function droppersOf(packet: Lookup, state: KernelState) {
  return {
    rule: state.rules.find((each) => each.dead !== undefined && isFor(each, packet)),
    routes: state.dropping.filter(({ dst, table }) => dst.contains(packet.dst) && isLookedIn(table, packet, state)),
  }
}

/** Whether a route or rule by others drops packets to the source: rp_filter then refuses those from there. */
function isDropped({ src, dst }: Lookup, state: KernelState): boolean {
  if (src === undefined) return false
  const { rule, routes } = droppersOf({ dst: src, src: dst }, state)
  return rule !== undefined || routes.length > 0
}

function refusal(way: PlannedWay, packet: Lookup, code: string, state: KernelState): Judgement {
  const { src, iif } = packet
  // nobody else's packets come from an address of this node: that it is here, packets to it tell
  if (src !== undefined && iif !== undefined && state.own.some((addr) => addr.equals(src))) return planned
  // what drops packets to the source is found by a packet to that; other senders' packets to this node's pods come
  if (way.kind === 'own' && iif !== undefined && isDropped(packet, state)) return planned
  const { rule, routes } = droppersOf(packet, state)
  const [route] = routes.toSorted((a, b) => b.dst.length - a.dst.length)
  if (route !== undefined) {
    const obstacle =
      route.table === RT_TABLE_MAIN
        ? foreignRoute(way, route, state)
        : { ...ruleInTheWay(route, packet, state), ...ofPart(way, route) }
    return { kind: 'obstructed', obstacle }
  }
  if (rule)
    return { kind: 'obstructed', obstacle: { ...ruleObstacle(rule, '', packet.dst, state), ...ofRule(way, rule) } }
  return { kind: 'missing', obstacle: unanswered(packet, `the kernel answers ${code}`) }
}

function unanswered(packet: Lookup, why: string): Obstacle {
  return {
    code: 'CW1304',
    object: 'node/routes',
    what: `${why}, though all routes are made`,
    remedy: `ask the kernel yourself with "${lookupCommand(packet)}", and look at forwarding and rp_filter of the devices named there, and at "ip rule show"`,
  }
}
