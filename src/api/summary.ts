// Makes the short answer about a node out of what its agent knows, or told at length. Pure.
import { byText } from '#/lib/by-text.ts'
import { type CidrRow } from './schemas/ipam.ts'
import { type PeerWay } from './schemas/peers.ts'
import { type ToldProblem } from './schemas/problem.ts'
import { type AgentStatus, type VerdictStatus } from './schemas/status.ts'
import { type NodeSummary, type SummaryPair } from './schemas/summary.ts'

const mostProblems = 20
/** Packets of a way with less loss are taken for whole: probes of one window are some tens. */
const leastLossShare = 0.005

const worstFirst: readonly PeerWay['state'][] = ['broken', 'one way', 'small only', 'lossy', 'unknown', 'ok']
const badness = ({ state }: PeerWay): number => worstFirst.indexOf(state)

/** Whether a pair is well is decided by the ways of pods: firewalls may refuse what nodes ask each other. */
function pairOf(to: string, all: readonly PeerWay[]): SummaryPair {
  const ofPods = all.filter(({ path }) => path === 'pod')
  const ways = (ofPods.length > 0 ? ofPods : all).toSorted((a, b) => badness(a) - badness(b))
  const worst = ways[0]!
  const { state, path, family, sinceMs, way, rttMs, small } = worst
  const lossShare = small.sent === 0 ? 0 : (small.sent - small.answered) / small.sent
  return {
    to,
    state,
    ...(ways.at(-1)!.state !== state && { worst: { path, family } }),
    sinceMs,
    way,
    ...(rttMs && { rttMs: rttMs.median }),
    ...(lossShare > leastLossShare && state !== 'unknown' && { lossShare: Math.round(lossShare * 100) / 100 }),
  }
}

/** The nodes that are probed, sorted. */
export function pairsOf(ways: readonly PeerWay[]): SummaryPair[] {
  const byNode = Map.groupBy(ways, ({ node }) => node)
  return [...byNode].map(([node, all]) => pairOf(node, all)).toSorted((a, b) => byText(a.to, b.to))
}

/** The pod CIDR in which the fewest addresses are free. */
export function scarcest(cidrs: readonly CidrRow[]): NodeSummary['addresses'] {
  const [row] = cidrs.toSorted((a, b) => Number(a.free) - Number(b.free))
  return row && { cidr: row.cidr, used: Number(row.total) - Number(row.free), total: Number(row.total) }
}

export function crossingsOf(verdicts: Iterable<Pick<VerdictStatus, 'way'>>): NodeSummary['crossings'] {
  const counts = { vxlan: 0, native: 0, none: 0 }
  for (const { way } of verdicts) counts[way]++
  return counts
}

/** The field `problems` and how many are left out. */
export function firstProblems(problems: readonly ToldProblem[]): Pick<NodeSummary, 'problems' | 'moreProblems'> {
  const more = problems.length - mostProblems
  const told = problems.slice(0, mostProblems).map(({ code, object, message, how, remedy }) => ({
    code,
    object,
    message,
    how,
    remedy,
  }))
  return { problems: told, ...(more > 0 && { moreProblems: more }) }
}

/** Of an agent of a release that has no short answer: what its status tells. */
export function summaryOfStatus(status: AgentStatus, version = 'of an earlier release'): NodeSummary {
  const { node, podCIDRs, readiness, observes, datapath, api, policy, ways, verdicts, endpoints, problems } = status
  return {
    node,
    version,
    addrs: [],
    podCIDRs,
    readiness: readiness.state,
    ...(observes && { observes: observes.network }),
    ...(datapath?.name !== undefined && { datapath: datapath.name }),
    pods: endpoints.length,
    crossings: crossingsOf(verdicts),
    ...(policy && { policies: { state: policy.state, selecting: policy.selecting } }),
    ...(api.phase === 'backoff' && { isApiLost: true }),
    pairs: pairsOf(ways?.others ?? []),
    ...firstProblems(problems),
  }
}
