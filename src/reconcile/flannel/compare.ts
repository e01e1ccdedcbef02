// Compares the kernel's state with the ways that flannel has told: which way packets really take, and what of flannel's is missing or wrong. Pure.
import { routeText } from '#/wire/netlink/route-text.ts'
import { restartFlannel, type FlannelNode } from '#/model/flannel.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type FlannelWay } from '#/plan/flannel-ways.ts'
import { neighbourState } from '#/wire/netlink/neigh.ts'
import { type Route } from '#/wire/netlink/route.ts'
import { ownProblems } from './own-state.ts'
import { type FlannelState } from './kernel-state.ts'

/** An object of flannel's in the kernel, and whether it is as it should be. */
export type FlannelObject = {
  readonly kind: 'route' | 'neighbour' | 'fdb'
  readonly key: string
  /** Absent: it is. */
  readonly problem?: Problem
}

export type Compared = {
  readonly verdicts: readonly Verdict[]
  readonly objects: readonly FlannelObject[]
  readonly problems: readonly Problem[]
}

type Vxlan = Extract<FlannelWay, { kind: 'vxlan' }>

const ipOf = ({ family }: { readonly family: 4 | 6 }): string => (family === 6 ? 'ip -6' : 'ip')

/** The state of one node, with the look-ups that a comparison makes thousands of. */
class Kernel {
  readonly self: string
  readonly #state: FlannelState
  readonly #routes: ReadonlyMap<string, Route>
  readonly #names: ReadonlyMap<number, string>

  constructor(self: string, state: FlannelState) {
    this.self = self
    this.#state = state
    this.#names = new Map(state.links.map(({ index, name }) => [index, name]))
    // of several to one prefix the kernel takes that of the lowest metric
    const byMetric = state.routes.toSorted((a, b) => b.metric - a.metric)
    this.#routes = new Map(byMetric.map((route) => [String(route.dst), route]))
  }

  readonly nameOf = (index: number): string => this.#names.get(index) ?? `if${index}`

  link(name: string) {
    return this.#state.links.find((link) => link.name === name)
  }

  route({ cidr }: FlannelWay): Route | undefined {
    return this.#routes.get(String(cidr))
  }

  neighbour({ device, gateway }: Vxlan) {
    const index = this.link(device)?.index
    return this.#state.neighbours.find((each) => each.index === index && each.addr.equals(gateway))
  }

  /** The tunnel ends to which frames for the MAC go. */
  ends({ device, mac }: Vxlan): string[] {
    const index = this.link(device)?.index
    return this.#state.fdb.flatMap((each) =>
      each.index === index && each.mac === mac && each.dst ? [String(each.dst)] : [],
    )
  }
}

function routeProblem(kernel: Kernel, way: Exclude<FlannelWay, { kind: 'unknown' }>): Problem | undefined {
  const { node, cidr } = way
  const gateway = way.kind === 'vxlan' ? way.gateway : way.remote
  const wanted = `${cidr} via ${gateway}${way.kind === 'vxlan' ? ` dev ${way.device} onlink` : ''}`
  const route = kernel.route(way)
  const meanwhile = `until then: ${ipOf(cidr)} route replace ${wanted}`
  const remedy = `${restartFlannel(kernel.self)}; ${meanwhile}`
  if (route === undefined)
    return problem('CW6501', `route/${cidr}`, `there is no route ${wanted}, to pods of node ${node}`, { remedy })
  if (verdictOf(kernel, way) !== undefined) return undefined
  return problem(
    'CW6501',
    `route/${cidr}`,
    `the route to pods of node ${node} is ${routeText(route, kernel.nameOf)}, and should be ${wanted}`,
    { remedy },
  )
}

function neighbourProblem(kernel: Kernel, way: Vxlan): Problem | undefined {
  const { node, device, gateway, mac } = way
  const found = kernel.neighbour(way)
  if (found?.mac === mac) return undefined
  const remedy = `${restartFlannel(kernel.self)}; until then: ip neigh replace ${gateway} lladdr ${mac} dev ${device} nud permanent`
  const what =
    found?.mac === undefined
      ? `${gateway} has no MAC on ${device}${found ? ` (${neighbourState(found.state)})` : ''}, and nobody answers there when the kernel asks: that of node ${node} is ${mac}`
      : `${gateway} has the MAC ${found.mac} on ${device}, and that of node ${node} is ${mac}`
  return problem('CW6502', `neighbour/${gateway}`, what, { remedy })
}

function fdbProblem(kernel: Kernel, way: Vxlan): Problem | undefined {
  const { node, device, mac, remote } = way
  const ends = kernel.ends(way)
  if (ends.includes(String(remote))) return undefined
  const add = `bridge fdb append ${mac} dev ${device} dst ${remote} self permanent`
  const stale = ends.map((end) => `bridge fdb del ${mac} dev ${device} dst ${end} self; `).join('')
  const what =
    ends.length === 0
      ? `${device} does not know where ${mac} of node ${node} is: it drops what goes there`
      : `${device} sends frames for ${mac} of node ${node} to ${ends.join(', ')}, and the node is at ${remote}`
  return problem('CW6503', `fdb/${mac}`, what, { remedy: `${restartFlannel(kernel.self)}; until then: ${stale}${add}` })
}

/** The way that the kernel's own route takes, where that is one of flannel's: with DirectRouting some of VXLAN's nodes are reached directly. */
function verdictOf(kernel: Kernel, way: FlannelWay): Verdict | undefined {
  if (way.kind === 'unknown') return undefined
  const { node, cidr: dst, remote } = way
  const [hop, ...others] = kernel.route(way)?.nextHops ?? []
  if (hop?.oif === undefined || others.length > 0) return undefined
  const device = kernel.nameOf(hop.oif)
  const mtuBytes = kernel.link(device)?.mtuBytes
  if (way.kind === 'vxlan' && device === way.device && hop.gateway?.equals(way.gateway)) {
    const { local, gateway, mac } = way
    const tunnel = { outer: remote.family, src: local ?? remote, dst: remote, gateway, vtepMac: mac }
    return { dst, node, way: 'vxlan', tunnel, mtuBytes: mtuBytes ?? 0, reason: "flannel's backend vxlan" }
  }
  if (hop.gateway?.equals(remote) !== true) return undefined
  const reason = way.kind === 'vxlan' ? "flannel's backend vxlan with DirectRouting" : "flannel's backend host-gw"
  const nextHops = [{ device, gateway: hop.gateway }]
  return { dst, node, way: 'native', origin: 'direct', nextHops, reason, ...(mtuBytes !== undefined && { mtuBytes }) }
}

/** What flannel wants, where the kernel has another route or none. */
function plannedVerdict(kernel: Kernel, way: FlannelWay): Verdict {
  const { node, cidr: dst } = way
  if (way.kind === 'unknown') return { dst, node, way: 'none', reason: way.why }
  if (way.kind === 'vxlan') {
    const { device, local, remote, gateway, mac } = way
    const tunnel = { outer: remote.family, src: local ?? remote, dst: remote, gateway, vtepMac: mac }
    const mtuBytes = kernel.link(device)?.mtuBytes ?? 0
    return { dst, node, way: 'vxlan', tunnel, mtuBytes, reason: "flannel's backend vxlan" }
  }
  const nextHops = [{ device: '', gateway: way.remote }]
  return { dst, node, way: 'native', origin: 'direct', nextHops, reason: "flannel's backend host-gw" }
}

function objectsOf(kernel: Kernel, way: FlannelWay, taken: Verdict | undefined): FlannelObject[] {
  if (way.kind === 'unknown') return []
  // all of it goes with the device, which is told by itself
  if (way.kind === 'vxlan' && taken?.way !== 'native' && kernel.link(way.device)?.isUp !== true) return []
  const object = (kind: FlannelObject['kind'], key: string, found: Problem | undefined): FlannelObject => ({
    kind,
    key,
    ...(found && { problem: found }),
  })
  const route = object('route', String(way.cidr), routeProblem(kernel, way))
  if (way.kind === 'direct' || taken?.way === 'native') return [route]
  return [
    route,
    object('neighbour', `${way.gateway} dev ${way.device}`, neighbourProblem(kernel, way)),
    object('fdb', `${way.mac} dev ${way.device}`, fdbProblem(kernel, way)),
  ]
}

/** `hasPods`: pods of this node have a network, so that their bridge is there. */
export function compareFlannel(
  self: FlannelNode,
  ways: readonly FlannelWay[],
  state: FlannelState,
  hasPods: boolean,
): Compared {
  const kernel = new Kernel(self.name, state)
  const verdicts: Verdict[] = []
  const objects: FlannelObject[] = []
  const problems: Problem[] = [...ownProblems(self, state, hasPods)]
  for (const way of ways) {
    const taken = verdictOf(kernel, way)
    verdicts.push(taken ?? plannedVerdict(kernel, way))
    objects.push(...objectsOf(kernel, way, taken))
    if (way.kind === 'unknown')
      problems.push(problem('CW6507', `node/${way.node}`, `${way.why}: no way to ${way.cidr} is known`))
  }
  problems.push(...objects.flatMap((each) => each.problem ?? []))
  return { verdicts, objects, problems }
}
