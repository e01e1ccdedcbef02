// Follows the packets of a diagnosis, some at a time: each is a trace of its own.
import { type AgentOfNode } from '#/api/client.ts'
import { messageOf } from '#/lib/log.ts'
import { isDenied, worthAgain } from '#/doctor/losses.ts'
import { namesIn } from '#/doctor/extent.ts'
import { otherPods, ringOf } from '#/doctor/ring.ts'
import { suspectPackets } from '#/doctor/suspects.ts'
import { type FollowedPacket, type PlannedPacket } from '#/doctor/types.ts'
import { type AskedNode } from './doctor-ask.ts'
import { runSizes } from './trace-sizes.ts'

/** An agent lets four watch at a time: others may want to as well. */
const mostOnNode = 2
const mostAtOnce = 8

async function follow(agents: ReadonlyMap<string, AgentOfNode>, packet: PlannedPacket): Promise<FollowedPacket> {
  const { from, to, family, protocol } = packet
  // one whose agent does not answer would only be waited for
  const own = [...new Set([from.node, to.node])].flatMap((node) => agents.get(node) ?? [])
  try {
    const { verdict, fullBytes } = await runSizes(own, { from: from.name, to: to.name, family, protocol })
    return { ...packet, verdict, ...(fullBytes !== undefined && { fullBytes }) }
  } catch (error) {
    // such as a pod that was deleted meanwhile
    return { ...packet, verdict: { outcome: 'untold', text: messageOf(error) } }
  }
}

/** Follows all of them, in their order as far as nodes are free. `agents` are those that answer, by node. */
export async function followPackets(
  agents: ReadonlyMap<string, AgentOfNode>,
  packets: readonly PlannedPacket[],
): Promise<FollowedPacket[]> {
  const followed: FollowedPacket[] = []
  const left = new Map(packets.entries())
  const busy = new Map<string, number>()
  const running = new Set<Promise<void>>()
  const change = ({ from, to }: PlannedPacket, by: number): void => {
    for (const node of new Set([from.node, to.node])) busy.set(node, (busy.get(node) ?? 0) + by)
  }
  const isFree = ({ from, to }: PlannedPacket): boolean =>
    [from.node, to.node].every((node) => (busy.get(node) ?? 0) < mostOnNode)
  while (left.size > 0 || running.size > 0) {
    for (const [index, packet] of left) {
      if (running.size >= mostAtOnce) break
      if (!isFree(packet)) continue
      left.delete(index)
      change(packet, 1)
      const done = follow(agents, packet).then((each) => {
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

export type FollowedRing = { readonly packets: readonly FollowedPacket[]; readonly left: number }

/** Follows the ring; in place of packets that policies deny, others between the same nodes, some times. */
export async function followRing(asked: readonly AskedNode[], about: string | undefined): Promise<FollowedRing> {
  const answers = asked.map((each) => each.answers)
  const answering = asked.filter((each) => each.answers.status !== undefined)
  const agents = new Map(answering.map(({ agent }) => [agent.node, agent]))
  const { packets: ring, left } = ringOf(answers, about)
  const planned = [...ring, ...suspectPackets(answers, namesIn(answers), ring)]
  const packets = [...(await followPackets(agents, planned))]
  for (let round = 0; round < mostOthers; round++) {
    const isOpen = (packet: FollowedPacket): boolean =>
      isDenied(packet) && !packets.some((other) => isBetweenSame(packet, other) && !isDenied(other))
    const open = new Map(packets.filter(isOpen).map((packet) => [keyOf(packet), packet]))
    const others = [...open.values()].flatMap((packet) => otherPods(answers, packet, packets) ?? [])
    if (others.length === 0) break
    packets.push(...(await followPackets(agents, others)))
  }
  packets.push(...(await followPackets(agents, worthAgain(packets).slice(0, mostAgain))))
  return { packets, left }
}

const keyOf = ({ from, to, family, protocol }: PlannedPacket): string => `${from.node} ${to.node} ${family} ${protocol}`

const isBetweenSame = (one: PlannedPacket, other: PlannedPacket): boolean => keyOf(one) === keyOf(other)
