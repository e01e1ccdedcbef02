// Follows the packets of a diagnosis, some at a time: each is a trace of its own.
import { type AgentOfNode } from '#/api/client.ts'
import { messageOf } from '#/lib/log.ts'
import { isDenied, isLost, isWhole, worthAgain } from '#/doctor/losses.ts'
import { namesIn } from '#/doctor/extent.ts'
import { pairOf, pairText } from '#/doctor/pair.ts'
import { otherPods, ringOf } from '#/doctor/ring.ts'
import { nodeEchoes, suspectPackets } from '#/doctor/suspects.ts'
import { type FollowedPacket, type NodeAnswers, type PlannedPacket } from '#/doctor/types.ts'
import { type AskedNode } from './doctor-ask.ts'
import { runSizes } from './trace-sizes.ts'

/** An agent lets four watch at a time: others may want to as well. */
const mostOnNode = 3
const mostAtOnce = 8

async function followOne(agents: ReadonlyMap<string, AgentOfNode>, packet: PlannedPacket): Promise<FollowedPacket> {
  const { from, to, family, protocol } = packet
  // one whose agent does not answer would only be waited for
  const own = [...new Set([from.node, to.node])].flatMap((node) => agents.get(node) ?? [])
  try {
    const { verdict, fullBytes } = await runSizes(own, {
      from: from.name,
      to: to.name,
      family,
      protocol,
      isForetoldIfLost: true,
    })
    return { ...packet, verdict, ...(fullBytes !== undefined && { fullBytes }) }
  } catch (error) {
    // such as a pod that was deleted meanwhile
    return { ...packet, verdict: { outcome: 'untold', text: messageOf(error) } }
  }
}

type Ends = { readonly from: { readonly node: string }; readonly to: { readonly node: string } }

const endNodes = ({ from, to }: Ends): readonly string[] => [from.node, to.node]

export type Turns<Packet> = {
  /** Whose agents watch; by default those of the two ends. */
  readonly nodesOf?: (packet: Packet) => readonly string[]
  /** So many at a time in all. */
  readonly atOnce?: number
}

/** Follows all of them, in their order as far as nodes are free; the outcomes are in that order. */
export async function followPackets<Packet extends Ends, Followed>(
  packets: readonly Packet[],
  follow: (packet: Packet) => Promise<Followed>,
  { nodesOf = endNodes, atOnce = mostAtOnce }: Turns<Packet> = {},
): Promise<Followed[]> {
  const followed: Followed[] = []
  const left = new Map(packets.entries())
  const busy = new Map<string, number>()
  const running = new Set<Promise<void>>()
  const change = (packet: Packet, by: number): void => {
    for (const node of new Set(nodesOf(packet))) busy.set(node, (busy.get(node) ?? 0) + by)
  }
  const isFree = (packet: Packet): boolean => nodesOf(packet).every((node) => (busy.get(node) ?? 0) < mostOnNode)
  while (left.size > 0 || running.size > 0) {
    for (const [index, packet] of left) {
      if (running.size >= atOnce) break
      if (!isFree(packet)) continue
      left.delete(index)
      change(packet, 1)
      const done = follow(packet).then((each) => {
        followed[index] = each
        change(packet, -1)
        running.delete(done)
      })
      running.add(done)
    }
    await Promise.race(running)
  }
  return followed
}

/** Pairs of pods that are tried at most where policies deny what was sent. */
const mostOthers = 3
/** Packets that are sent once more. */
const mostAgain = 8

export type FollowedRing = {
  readonly packets: readonly FollowedPacket[]
  readonly left: number
  /** Packets between the addresses of nodes, which say why no way leads to pods, and nothing of pods. */
  readonly ofNodes: readonly FollowedPacket[]
}

/**
 * Follows the ring: echoes first, then TCP where an echo was answered, since each packet that is lost is waited for. In place of packets that policies
 * deny, others between the same nodes are sent, some times; what is lost without a reason is sent once more, where agents have not told it.
 */
export async function followRing(asked: readonly AskedNode[], about: string | undefined): Promise<FollowedRing> {
  const answers = asked.map((each) => each.answers)
  const answering = asked.filter((each) => each.answers.status !== undefined)
  const agents = new Map(answering.map(({ agent }) => [agent.node, agent]))
  const { packets: ring, left } = ringOf(answers, about)
  const packets: FollowedPacket[] = []
  const follow = async (some: readonly PlannedPacket[]): Promise<void> => {
    packets.push(...(await followPackets(some, async (packet) => followOne(agents, packet))))
  }
  await follow(ring.filter(({ protocol }) => protocol === 'icmp'))
  const lost = new Set(packets.filter(isLost).map(wayOf))
  await follow(ring.filter((packet) => packet.protocol === 'tcp' && !lost.has(wayOf(packet))))
  const lostBetween = new Set(packets.filter(isLost).map(pairOf))
  const suspects = suspectPackets(answers, namesIn(answers), ring)
  await follow(suspects.filter((packet) => !lostBetween.has(pairOf(packet))))
  for (let round = 0; round < mostOthers; round++) {
    const isOpen = (packet: FollowedPacket): boolean =>
      isDenied(packet) && !packets.some((other) => isBetweenSame(packet, other) && !isDenied(other))
    const open = new Map(packets.filter(isOpen).map((packet) => [keyOf(packet), packet]))
    const others = [...open.values()].flatMap((packet) => otherPods(answers, packet, packets) ?? [])
    if (others.length === 0) break
    await follow(others)
  }
  const told = new Set(brokenPairs(answers))
  const again = worthAgain(packets).filter((packet) => !told.has(pairOf(packet)))
  await follow(again.slice(0, mostAgain))
  const followOfNodes = async (some: readonly PlannedPacket[]): Promise<FollowedPacket[]> =>
    followPackets(some, async (packet) => followOne(agents, packet))
  const echoes = await followOfNodes(nodeEchoes(packets))
  const syns = echoes.filter(isWhole).map(({ from, to, family }) => ({ from, to, family, protocol: 'tcp' }) as const)
  return { packets, left, ofNodes: [...echoes, ...(await followOfNodes(syns))] }
}

/** A way in one family, whichever protocol. */
const wayOf = ({ from, to, family }: PlannedPacket): string => `${from.node} ${to.node} ${family}`

/** The ways of which agents' own probes say that all is lost. */
function brokenPairs(answers: readonly NodeAnswers[]): string[] {
  return answers.flatMap(({ node, peers }) =>
    (peers?.ways ?? [])
      .filter(({ state }) => state === 'broken' || state === 'one way')
      .map((way) => pairText(node, way.node)),
  )
}

const keyOf = ({ from, to, family, protocol }: PlannedPacket): string => `${from.node} ${to.node} ${family} ${protocol}`

const isBetweenSame = (one: PlannedPacket, other: PlannedPacket): boolean => keyOf(one) === keyOf(other)
