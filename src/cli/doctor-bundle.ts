// The diagnosis of a support bundle: what agents told when it was made, and no packets.
import { type AgentOfNode } from '#/api/client.ts'
import { aboutNode } from '#/doctor/about-node.ts'
import { diagnose } from '#/doctor/diagnose.ts'
import { type NodeAnswers } from '#/doctor/types.ts'
import { UsageError } from './args.ts'
import { bundleAgents } from './bundle/agents.ts'
import { type Bundle } from './bundle/read.ts'
import { askNodes } from './doctor-ask.ts'
import { type Told } from './doctor-text.ts'

/** Clocks of nodes are compared with that of who asked for the bundle. */
function asThen(answers: NodeAnswers, { node }: AgentOfNode, bundle: Bundle): NodeAnswers {
  const then = bundle.answers.get(node)?.get('facts')
  return then === undefined ? answers : { ...answers, askedMs: then.askedMs, answeredMs: then.answeredMs }
}

/** Rejects with UsageError for a file that is no bundle, or a node that is not in it. */
export async function examineBundle(path: string, about: string | undefined): Promise<Told> {
  const { agents, bundle } = await bundleAgents(path)
  const asked = await askNodes(agents)
  const answers = asked.map((each, index) => asThen(each.answers, agents[index]!, bundle))
  if (about !== undefined && !answers.some(({ node }) => node === about))
    throw new UsageError(`--node ${about}: the bundle has ${answers.map(({ node }) => node).join(', ')}`)
  const found = diagnose(answers, [])
  const made = { nodes: [], text: `this is how it was at ${new Date(bundle.head.madeAtMs).toISOString()}` }
  const diagnosis = { ...found, notes: [...found.notes, made] }
  return { diagnosis: about === undefined ? diagnosis : aboutNode(diagnosis, about), answers, packets: [], left: 0 }
}
