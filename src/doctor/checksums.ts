// Checksums that arrive wrong, where kernels do not say why they drop packets: their counts grow while packets of TCP are lost and echoes are not. Pure.
import { problem } from '#/model/problems.ts'
import { blamedCode, isLost, isWhole } from './losses.ts'
import { type FollowedPacket, type NodeAnswers, type Sign } from './types.ts'

const wayOf = ({ from, to, family }: FollowedPacket): string => `${from.node} ${to.node} ${family}`

/** Packets of TCP that were lost without a known reason, on ways on which an echo came and was answered. */
export function suspectChecksums(packets: readonly FollowedPacket[]): FollowedPacket[] {
  const echoes = new Set(packets.filter((packet) => packet.protocol === 'icmp' && isWhole(packet)).map(wayOf))
  return packets.filter(
    (packet) =>
      packet.protocol === 'tcp' && isLost(packet) && blamedCode(packet) === undefined && echoes.has(wayOf(packet)),
  )
}

/** How many wrong checksums a node has counted between its two answers. */
function growthAt({ facts, factsAfter }: NodeAnswers): number {
  const before = new Map(facts?.namespaces.map((each) => [each.pod, each.checksumErrors]))
  return (factsAfter?.namespaces ?? []).reduce((sum, { pod, checksumErrors: { tcp, udp } }) => {
    const was = before.get(pod)
    return was === undefined ? sum : sum + Math.max(0, tcp - was.tcp) + Math.max(0, udp - was.udp)
  }, 0)
}

/** A sign at the node whose packets arrive so. */
export function checksumSigns(answers: readonly NodeAnswers[], packets: readonly FollowedPacket[]): Sign[] {
  const growth = new Map(answers.map((each) => [each.node, growthAt(each)]))
  const signs = suspectChecksums(packets).flatMap(({ from, to }): Sign[] => {
    const pairs = [
      [from.node, to.node],
      [to.node, from.node],
    ] as const
    return pairs
      .filter(([, receiver]) => (growth.get(receiver) ?? 0) > 0)
      .map(([sender, receiver]) => ({
        ...problem(
          'CW8103',
          `node/${sender}`,
          `packets of TCP from it to ${receiver} are lost, echoes are not, and ${receiver} counts ${growth.get(receiver)} more wrong checksums since`,
        ),
        nodes: [sender],
        extent: { at: sender, peers: [receiver] },
      }))
  })
  return [...new Map(signs.map((sign) => [`${sign.object} ${sign.message}`, sign])).values()]
}
