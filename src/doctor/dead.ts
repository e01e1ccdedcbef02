// Nodes that answer nobody. Nobody watches on them, so traces cannot tell where packets to them ended; that none was answered is known all the same. Pure.
import { isLost } from './losses.ts'
import { type FollowedPacket, type NodeAnswers } from './types.ts'

/** It left its sender, and no answer came. */
const isUnanswered = (packet: FollowedPacket): boolean =>
  isLost(packet) ||
  (packet.verdict.outcome === 'untold' && packet.verdict.direction === 'there' && packet.verdict.last !== undefined)

const isTo = (node: string, { from, to }: FollowedPacket): boolean => to.node === node && from.node !== node

/** A way that loses some packets may have gone silent just now. */
const reachedStates = new Set(['ok', 'small only', 'one way'])

/** What probes of other agents show: the node answers them, at whichever address, or its own probes come. */
function isReached(node: string, answers: readonly NodeAnswers[]): boolean {
  return answers.some(({ peers }) => peers?.ways.some((way) => way.node === node && reachedStates.has(way.state)))
}

/** The nodes whose agents do not answer, and that neither packets nor probes reach. */
export function deadNodes(answers: readonly NodeAnswers[], packets: readonly FollowedPacket[]): Set<string> {
  const silent = answers.filter(({ status }) => status === undefined).map(({ node }) => node)
  return new Set(
    silent.filter((node) => {
      const own = packets.filter((packet) => isTo(node, packet))
      return own.length > 0 && own.every(isUnanswered) && !isReached(node, answers)
    }),
  )
}

/** The packets, of which those to dead nodes are known to be lost. */
export function withLostAtDead(packets: readonly FollowedPacket[], dead: ReadonlySet<string>): FollowedPacket[] {
  return packets.map((packet) =>
    dead.has(packet.to.node) && isTo(packet.to.node, packet) && !isLost(packet)
      ? { ...packet, verdict: { ...packet.verdict, outcome: 'lost' as const } }
      : packet,
  )
}
