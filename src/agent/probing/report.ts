// What the agent's API answers about ways. Pure.
import { type PeersReport, type PeerWay, type WaysStatus } from '#/api/schemas/peers.ts'
import { type Judged } from './judge.ts'
import { type Size, type WayState } from './way-state.ts'

type Counts = PeerWay['small']

/** Converts a time of the monotonic clock to ms since 1970. */
export type ToWall = (monotonicMs: number) => number

function countsOf(way: WayState, size: Size): Counts | undefined {
  const sizeBytes = way.bytesOf(size)
  if (sizeBytes === undefined) return undefined
  const { refused } = way.sizes[size]
  const { sent, answered } = way.window(size)
  return { sizeBytes, sent, answered, ...(refused && { refused }) }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

/** `sinceMs`: since when it is in its state. */
export function wayReport({ way, state }: Judged, sinceMs: number, nowMs: number, toWall: ToWall): PeerWay {
  const { target, answeredMs } = way
  const [small, full] = [countsOf(way, 'small')!, countsOf(way, 'full')]
  const rtts = way.rttsMs
  return {
    node: target.node,
    path: target.path,
    family: target.family,
    src: String(target.src),
    dst: String(target.dst),
    way: target.way,
    state,
    sinceMs: Math.round(toWall(sinceMs)),
    windowMs: Math.round(nowMs - way.window('small').sinceMs),
    small,
    ...(full && { full }),
    ...(rtts.length > 0 && {
      rttMs: {
        least: rounded(rtts[0]!),
        median: rounded(rtts[rtts.length >> 1]!),
        most: rounded(rtts.at(-1)!),
      },
    }),
    ...(answeredMs !== undefined && { lastAnswerMs: Math.round(toWall(answeredMs)) }),
  }
}

const byKey = (a: PeerWay, b: PeerWay): number =>
  a.node !== b.node ? (a.node < b.node ? -1 : 1) : a.path !== b.path ? (a.path < b.path ? -1 : 1) : a.family - b.family

export function peersReport(node: string, isOn: boolean, others: number, ways: readonly PeerWay[]): PeersReport {
  return { node, isOn, others, ways: ways.toSorted(byKey) }
}

/** The ways in short; of those that are well only how many there are. */
export function waysStatus(isOn: boolean, ways: readonly PeerWay[]): WaysStatus {
  const medians = ways.flatMap(({ rttMs }) => rttMs?.median ?? []).toSorted((a, b) => a - b)
  const others = ways.filter(({ state }) => state !== 'ok')
  return {
    isOn,
    nodes: new Set(ways.map(({ node }) => node)).size,
    ways: ways.length,
    ok: ways.length - others.length,
    ...(medians.length > 0 && { rttMs: medians[medians.length >> 1]! }),
    others: others.toSorted(byKey),
  }
}
