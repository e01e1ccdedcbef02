// Ways of which something may be wrong, and of which no packet has said so: a packet is sent on each of them, so that what is found is found by
// packets. Pure.
import { blamedCode, isLost } from './losses.ts'
import { neighbourSigns } from './neighbours.ts'
import { natureOf } from './ranks.ts'
import { pairOf } from './pair.ts'
import { type Names } from './extent.ts'
import { ownProblems } from './agents.ts'
import { type FollowedPacket, type NodeAnswers, type PacketEnd, type PlannedPacket } from './types.ts'
import { wayPackets } from './ring.ts'

const mostSuspects = 16
/** Pairs of nodes of which packets are followed from address to address. */
const mostNodePairs = 4

type Way = { readonly from: string; readonly to: string }

/** What agents' probes get no answer from, before they call it a problem. */
function silentWays({ node, peers }: NodeAnswers): Way[] {
  const silent = (peers?.ways ?? []).filter(
    ({ state }) => state === 'broken' || state === 'one way' || state === 'lossy',
  )
  return [...new Set(silent.map((way) => way.node))].map((to) => ({ from: node, to }))
}

/** What agents say is broken, and what looks wrong in kernels. */
function suspectWays(answers: readonly NodeAnswers[], names: Names): Way[] {
  const signs = [
    ...ownProblems(answers, names).filter(({ code }) => natureOf(code).rank === 'seen'),
    ...neighbourSigns(answers),
  ]
  const told = signs.flatMap(({ extent: { at, peers = [] } }) =>
    at === undefined ? [] : peers.map((to) => ({ from: at, to })),
  )
  return [...told, ...answers.flatMap(silentWays)]
}

/** The packets that are still to be followed; `planned` are those that are followed already. */
export function suspectPackets(
  answers: readonly NodeAnswers[],
  names: Names,
  planned: readonly PlannedPacket[],
): PlannedPacket[] {
  const known = new Set(
    planned.map(({ from, to, protocol, family }) => `${from.node} ${to.node} ${protocol} ${family}`),
  )
  const packetsOf = wayPackets(answers)
  const packets = suspectWays(answers, names).flatMap(({ from, to }) => packetsOf(from, to))
  const wanted = packets.filter(({ from, to, protocol, family }) => {
    const key = `${from.node} ${to.node} ${protocol} ${family}`
    if (known.has(key)) return false
    known.add(key)
    return true
  })
  return wanted.slice(0, mostSuspects)
}

/**
 * Echoes between the addresses of nodes, where no way leads to their pods: what keeps the routers from telling one, such as wrong checksums, spoils
 * these too.
 */
export function nodeEchoes(packets: readonly FollowedPacket[]): PlannedPacket[] {
  const end = ({ node }: PacketEnd): PacketEnd => ({ name: node, node, isPod: false })
  const cut = packets.filter((packet) => isLost(packet) && blamedCode(packet) === 'CW1201')
  const pairs = Map.groupBy(cut, pairOf)
  return [...pairs.values()]
    .map(([first]) => first!)
    .filter(({ from, to }) => from.node !== to.node)
    .slice(0, mostNodePairs)
    .map(({ from, to, family }) => ({ from: end(from), to: end(to), family, protocol: 'icmp' }))
}
