// One diagnosis: asks every agent, follows packets, and finds the causes of what is wrong.
import { type AgentOfNode } from '#/api/client.ts'
import { aboutNode } from '#/doctor/about-node.ts'
import { suspectChecksums } from '#/doctor/checksums.ts'
import { diagnose } from '#/doctor/diagnose.ts'
import { type FollowedPacket, type NodeAnswers } from '#/doctor/types.ts'
import { type AgentChoice } from './access/source.ts'
import { UsageError } from './args.ts'
import { askNodes, withFactsAfter } from './doctor-ask.ts'
import { problemsOfObjects, readObjects } from './doctor-objects.ts'
import { followRing } from './doctor-packets.ts'
import { type Told } from './doctor-text.ts'

function refuseUnknown(answers: readonly NodeAnswers[], about: string | undefined): void {
  if (about !== undefined && !answers.some(({ node }) => node === about))
    throw new UsageError(`--node ${about}: there are ${answers.map(({ node }) => node).join(', ')}`)
}

export type Examination = {
  /** The node of which is told, where one was chosen. */
  readonly about?: string | undefined
  /** No progress is shown on a terminal. */
  readonly isQuiet?: boolean
  /** Packets that somebody else has followed just now. */
  readonly besides?: readonly FollowedPacket[]
  /** Why nodes that should have an agent and have none may be missing. */
  readonly unlisted?: string | undefined
}

/** All nodes are asked, since what is wrong at one may be known from others; `about` chooses what is told. */
export async function examine(
  agents: readonly AgentOfNode[],
  choice: AgentChoice,
  { about, isQuiet = false, besides = [], unlisted }: Examination = {},
): Promise<Told> {
  const [asked, objects] = await Promise.all([askNodes(agents, isQuiet), readObjects(choice)])
  const answers = asked.map((each) => each.answers)
  refuseUnknown(answers, about)
  const ring = await followRing(asked, about)
  const packets = [...ring.packets, ...besides]
  const suspects = suspectChecksums([...packets, ...ring.ofNodes]).flatMap(({ from, to }) => [from.node, to.node])
  const all = await withFactsAfter(asked, new Set(suspects))
  const found = diagnose(all, packets, { ofObjects: problemsOfObjects(objects, answers), ofNodes: ring.ofNodes })
  const unread = [objects.why && `Node objects were not looked at: ${objects.why}`, unlisted]
    .filter((text) => text !== undefined)
    .map((text) => ({ nodes: [], text }))
  const diagnosis = { ...found, notes: [...found.notes, ...unread] }
  return { diagnosis: about === undefined ? diagnosis : aboutNode(diagnosis, about), answers, ...ring }
}
