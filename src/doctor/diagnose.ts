// What nodes answered and what packets did, made into findings. Pure.
import { type ToldProblem } from '#/api/schemas/problem.ts'
import { namesOf } from '#/lib/causes.ts'
import { cutFromApi, ownProblems, silentAgents } from './agents.ts'
import { arrange } from './causes.ts'
import { deadNodes, withLostAtDead } from './dead.ts'
import { namesIn } from './extent.ts'
import { blamedCauses, blamedCode, lossyWays, lostPackets, packetNotes } from './losses.ts'
import { reachOf } from './ways.ts'
import { checksumSigns } from './checksums.ts'
import { clockSigns } from './clocks.ts'
import { leftoversIn, withLeftovers } from './leftovers.ts'
import { neighbourSigns } from './neighbours.ts'
import { podSigns } from './pods.ts'
import { programSigns, withOwnDrops } from './programs.ts'
import { withoutRefusals } from './refusals.ts'
import { settingSigns } from './settings.ts'
import { type Diagnosis, type FollowedPacket, type NodeAnswers, type Note } from './types.ts'

export type Besides = {
  /** What the objects of the API say. */
  readonly ofObjects?: readonly ToldProblem[]
  /** Packets between the addresses of nodes. */
  readonly ofNodes?: readonly FollowedPacket[]
}

export function diagnose(
  answers: readonly NodeAnswers[],
  followed: readonly FollowedPacket[],
  { ofObjects = [], ofNodes = [] }: Besides = {},
): Diagnosis {
  const names = namesIn(answers)
  const dead = deadNodes(answers, [...followed, ...ofNodes])
  const packets = withOwnDrops(withLostAtDead(followed, dead), answers)
  const own = withoutRefusals(ownProblems(answers, names, ofObjects), answers, packets)
  const told = [
    ...silentAgents(answers, dead),
    ...own.signs,
    ...cutFromApi(answers),
    ...podSigns(answers),
    ...neighbourSigns(answers),
    ...programSigns(answers),
    ...settingSigns(answers),
    ...clockSigns(answers),
    ...checksumSigns(answers, [...packets, ...ofNodes]),
  ]
  // a node may refuse what is for itself: of that only wrong checksums say something of the way
  const spoiled = ofNodes.filter((packet) => blamedCode(packet) === 'CW8103')
  const lost = [...packets, ...spoiled]
  const signs = [...told, ...blamedCauses(lost, told), ...lossyWays(packets, told), ...lostPackets(lost)]
  const { findings, notes } = withLeftovers(arrange(signs, reachOf(packets, answers)), leftoversIn(answers))
  return { findings, notes: [...packetNotes(packets), ...own.notes, ...partNotes(answers), ...notes] }
}

/** Parts of an answer that an agent did not give: what depends on them was not looked at. */
function partNotes(answers: readonly NodeAnswers[]): Note[] {
  const silences = answers.flatMap(({ node, status, silences: all }) =>
    status === undefined || all.length === 0
      ? []
      : [{ node, text: all.map(({ what, why }) => `${what}: ${why}`).join('; ') }],
  )
  return [...Map.groupBy(silences, ({ node, text }) => text.replaceAll(node, '')).values()].map((same) => {
    const nodes = same.map(({ node }) => node)
    return { nodes, text: `${namesOf(nodes, 'nodes')} did not answer everything: ${same[0]!.text}` }
  })
}
