// Answers of nodes for tests: a cluster of which all is well, and what is to be other in it.
import { type NamespaceFacts, type NodeFacts } from '#/api/schemas/facts.ts'
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { type PeersReport } from '#/api/schemas/peers.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { problem } from '#/model/problems.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type Sighting } from '#/trace/types.ts'
import { type Verdict } from '#/trace/verdict.ts'
import { type FollowedPacket, type NodeAnswers } from '../types.ts'

const cidrOf = (index: number): string => `10.244.${index - 1}.0/24`
const addrOf = (index: number): string => `172.30.1.${10 + index}`
const indexOf = (node: string): number => Number(node.slice(node.lastIndexOf('-') + 1))

/** The status of node-N of a cluster of `count` nodes, each with two pods: pod web-N-1 and pod web-N-2. */
export function statusOf(index: number, count: number, problems: readonly ToldProblem[] = []): AgentStatus {
  const others = Array.from({ length: count }, (_, at) => at + 1).filter((at) => at !== index)
  return {
    node: `node-${index}`,
    pid: 1,
    podCIDRs: [cidrOf(index)],
    readiness: { state: 'ready', reasons: [] },
    api: { phase: 'watching', restarts: 0, inSync: true, nodes: count },
    objects: [],
    verdicts: others.map((other) => ({
      podCIDR: cidrOf(other),
      node: `node-${other}`,
      way: 'vxlan',
      reason: '',
      tunnel: { src: addrOf(index), dst: addrOf(other), gateway: '' },
    })),
    endpoints: [1, 2].map((pod) => ({
      pod: `default/web-${index}-${pod}`,
      containerId: '',
      ifName: 'eth0',
      hostDevice: `cwv${pod}`,
      addrs: [`10.244.${index - 1}.${pod + 1}`],
      state: 'ready',
      datapath: 'bridge',
    })),
    problems: [...problems],
  }
}

export type Told = readonly (readonly [node: string, ...ToldProblem[]])[]

/** `silent` are nodes whose agents do not answer. */
export function clusterOf(count: number, told: Told = [], silent: readonly string[] = []): NodeAnswers[] {
  return Array.from({ length: count }, (_, at): NodeAnswers => {
    const node = `node-${at + 1}`
    if (silent.includes(node)) return { node, silences: [{ what: 'status', why: 'connect ECONNREFUSED' }] }
    const problems = told.filter(([name]) => name === node).flatMap(([, ...all]) => all)
    return { node, silences: [], status: statusOf(at + 1, count, problems) }
  })
}

export const told = (code: ProblemCode, object: string, message = 'so it is'): ToldProblem =>
  problem(code, object, message)

/** A packet from the first pod of one node to that of another; lost unless it is said otherwise. */
export function packetOf(from: string, to: string, verdict: Partial<Verdict> = {}): FollowedPacket {
  const end = (node: string) => ({ name: `default/web-${indexOf(node)}-1`, node, isPod: true })
  return {
    from: end(from),
    to: end(to),
    family: 4,
    protocol: 'icmp',
    verdict: { outcome: 'lost', text: `it left ${from} and never came`, ...verdict },
  }
}

export const wholePacket = (from: string, to: string): FollowedPacket => ({
  ...packetOf(from, to, { outcome: 'answered', text: 'answered' }),
  fullBytes: 1450,
})

export function namespaceOf(more: Partial<NamespaceFacts> = {}): NamespaceFacts {
  return {
    links: [],
    addresses: [],
    routes: [],
    rules: [],
    neighbours: [],
    bridgeEntries: [],
    sysctls: {},
    listeners: [],
    chains: [],
    checksumErrors: { tcp: 0, udp: 0 },
    ...more,
  }
}

export const linkOf = (name: string, mac = '02:00:00:00:00:01', mtuBytes = 1500): NamespaceFacts['links'][number] => ({
  index: 1,
  name,
  kind: '',
  mac,
  mtuBytes,
  isUp: true,
  hasCarrier: true,
  isEthernet: true,
})

export const routeOf = (dst: string, gateway?: string): NamespaceFacts['routes'][number] => ({
  dst,
  table: 254,
  type: 'unicast',
  metric: 0,
  protocol: 3,
  nextHops: [{ device: 'eth0', ...(gateway !== undefined && { gateway }) }],
  isOurs: false,
})

/** The facts of node-N, whose own namespace has eth0 with the node's address. */
export function factsOf(node: string, own: Partial<NamespaceFacts> = {}, more: Partial<NodeFacts> = {}): NodeFacts {
  const index = indexOf(node)
  return {
    node,
    nowMs: 0,
    tookMs: 1,
    kernel: { release: '6.1.0', lacks: [] },
    settings: {},
    namespaces: [
      namespaceOf({
        links: [linkOf('eth0', macOf(node))],
        addresses: [{ device: 'eth0', addr: addrOf(index), prefixLength: 24 }],
        ...own,
      }),
    ],
    programs: [],
    conflists: [],
    isCut: false,
    cut: [],
    ...more,
  }
}

export const macOf = (node: string): string => `02:00:00:00:00:1${indexOf(node)}`

/** The same cluster, with facts of all nodes. */
export function withFacts(
  answers: readonly NodeAnswers[],
  facts: (node: string) => NodeFacts = (node) => factsOf(node),
): NodeAnswers[] {
  return answers.map((each) => (each.status === undefined ? each : { ...each, facts: facts(each.node) }))
}

type PeerWay = PeersReport['ways'][number]

/** A way of pods from one node to another as its probes show it. */
export function wayOf(from: string, to: string, more: Partial<PeerWay> = {}): PeerWay {
  const counts = { sizeBytes: 84, sent: 60, answered: 60 }
  const known = { node: to, path: 'pod', family: 4, src: addrOf(indexOf(from)), dst: addrOf(indexOf(to)) } as const
  return { ...known, way: 'vxlan', state: 'ok', sinceMs: 0, windowMs: 60_000, small: counts, ...more }
}

/** The same cluster, each node with what its probes show of all others; `of` says what is other of a way. */
export function withPeers(
  answers: readonly NodeAnswers[],
  of: (from: string, to: string) => Partial<PeerWay> = () => ({}),
): NodeAnswers[] {
  const names = answers.map(({ node }) => node)
  return answers.map((each) => {
    const others = names.filter((name) => name !== each.node)
    const ways = others.map((to) => wayOf(each.node, to, of(each.node, to)))
    return { ...each, peers: { node: each.node, isOn: true, others: others.length, ways } }
  })
}

type DropPlace = { readonly node: string; readonly device?: string; readonly pod?: string }

/** What a kernel tells of a packet that it dropped: where, and why in its own words, where it has some. */
export function dropAt(place: DropPlace, reason?: string, name = 'f'): Sighting {
  return {
    ...place,
    place: 'drop',
    role: 'probe',
    timeMs: 1,
    lengthBytes: 1,
    skb: '',
    bytes: '',
    startsAt: 'link',
    ...(reason !== undefined && { drop: { reason, function: name } }),
  }
}

/** A packet that left its node, and came to no other. */
export const onWire = (from: string, to: string, more: Partial<FollowedPacket['verdict']> = {}): FollowedPacket =>
  packetOf(from, to, { last: { node: from, device: 'eth0', place: 'transmit', isExpected: true }, ...more })
