// Nodes that answer no echo request while packets of pods come and are answered: a firewall refuses probes, which is no fault. Pure.
import { isWhole } from './losses.ts'
import { type FollowedPacket, type NodeAnswers, type Note, type Sign } from './types.ts'

const ofSilence = new Set(['CW1306', 'CW1307'])
const silentStates = new Set(['broken', 'one way', 'unknown'])

/** Whether probes of `node` get no answer from the other one, neither at its addresses nor through the tunnel. */
function isSilentFor({ peers }: NodeAnswers, other: string): boolean {
  const ways = peers?.ways.filter((way) => way.node === other) ?? []
  return ways.length > 0 && ways.every(({ state }) => silentStates.has(state))
}

/** The nodes of which the sign tells, where all packets that were followed between them and the node that tells it were answered. */
function refusing(
  { code, extent: { at, peers } }: Sign,
  answers: readonly NodeAnswers[],
  packets: readonly FollowedPacket[],
): readonly string[] | undefined {
  const teller = answers.find(({ node }) => node === at)
  if (!ofSilence.has(code) || teller === undefined || peers === undefined) return undefined
  const isProved = (other: string): boolean => {
    const own = packets.filter(
      ({ from, to }) => (from.node === at && to.node === other) || (from.node === other && to.node === at),
    )
    return isSilentFor(teller, other) && own.length > 0 && own.every(isWhole)
  }
  return peers.every(isProved) ? peers : undefined
}

/** The signs without those that packets prove wrong, and what is worth knowing of these. */
export function withoutRefusals(
  signs: readonly Sign[],
  answers: readonly NodeAnswers[],
  packets: readonly FollowedPacket[],
): { readonly signs: Sign[]; readonly notes: Note[] } {
  const tellers = new Map<string, string[]>()
  const left = signs.filter((sign) => {
    const { at } = sign.extent
    const others = refusing(sign, answers, packets)
    if (others === undefined || at === undefined) return true
    for (const other of others) tellers.set(other, [...(tellers.get(other) ?? []), at])
    return false
  })
  const notes = [...tellers].map(([node, from]): Note => {
    const asking = [...new Set(from)].toSorted()
    return {
      nodes: [node, ...asking].toSorted(),
      text: `${node} answers no echo request of ${asking.join(', ')}, and packets of pods between them come and are answered: a firewall refuses echo requests there`,
    }
  })
  return { signs: left, notes }
}
