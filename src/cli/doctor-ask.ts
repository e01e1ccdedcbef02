// Asks agents what doctor wants to know: who does not answer the first request is not asked for more.
import { type AgentOfNode, mostAtOnce, type Outcome } from '#/api/client.ts'
import { type NodeAnswers, type Silence } from '#/doctor/types.ts'
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { noScreen, Progress } from './progress.ts'
import { askSoon, isLate } from './trace-ask.ts'

/** A node with thousands of pods, asked through an API server, needs a while; one that hangs is not waited for longer. */
const answerMs = 6_000
/** Facts of a node with many pods and routes are read in turns. */
const factsMs = 10_000

function silenceOf(what: string, outcome: Exclude<Outcome<unknown>, { kind: 'answer' }>): Silence {
  const why = outcome.kind === 'refusal' ? `it answers ${outcome.status}: ${outcome.message}` : outcome.message
  const isStrange = outcome.kind === 'mismatch' || outcome.kind === 'refusal'
  return { what, why, ...(isLate(outcome) && { isLate: true as const }), ...(isStrange && { isStrange }) }
}

export type AskedNode = { readonly agent: AgentOfNode; readonly answers: NodeAnswers }

/** Without what no check looks at: facts of a thousand nodes are held at once. */
function slim(facts: NodeFacts): NodeFacts {
  const namespaces = facts.namespaces.map((each) => ({
    ...each,
    rules: [],
    bridgeEntries: [],
    sysctls: {},
    listeners: [],
    chains: each.chains.map(({ tool, family, table, chain }) => ({ tool, family, table, chain })),
  }))
  return { ...facts, namespaces }
}

async function askNode(agent: AgentOfNode, counted: AgentOfNode, isAlone: boolean): Promise<AskedNode> {
  const status = await askSoon(counted, 'status', {}, undefined, answerMs)
  if (status.kind !== 'answer') return { agent, answers: { node: agent.node, silences: [silenceOf('status', status)] } }
  // on a node alone its name is known only now
  const { node } = status.value
  if (!isAlone && node !== agent.node) {
    const why = `it answers in the name of node ${node}`
    return { agent, answers: { node: agent.node, silences: [{ what: 'status', why, isStrange: true }] } }
  }
  const askedMs = Date.now()
  // an observer has neither addresses of pods to compare nor probes of its own
  const isAgent = status.value.observes === undefined
  const [facts, ipam, peers] = await Promise.all([
    askSoon(agent, 'facts', {}, undefined, factsMs).then((outcome) => ({ outcome, answeredMs: Date.now() })),
    isAgent ? askSoon(agent, 'ipamCheck', {}, undefined, answerMs) : undefined,
    isAgent ? askSoon(agent, 'peers', {}, undefined, answerMs) : undefined,
  ])
  const silences = [
    ...(facts.outcome.kind === 'answer' ? [] : [silenceOf('facts of its kernel', facts.outcome)]),
    ...(ipam === undefined || ipam.kind === 'answer' ? [] : [silenceOf('ipam check', ipam)]),
    ...(peers === undefined || peers.kind === 'answer' ? [] : [silenceOf('probes of other nodes', peers)]),
  ]
  return {
    agent: { ...agent, node },
    answers: {
      node,
      silences,
      status: status.value,
      ...(facts.outcome.kind === 'answer' && {
        facts: slim(facts.outcome.value),
        askedMs,
        answeredMs: facts.answeredMs,
      }),
      ...(ipam?.kind === 'answer' && { ipam: ipam.value }),
      ...(peers?.kind === 'answer' && { peers: peers.value }),
    },
  }
}

/** The answers, with what kernels of these nodes have by now. */
export async function withFactsAfter(asked: readonly AskedNode[], nodes: ReadonlySet<string>): Promise<NodeAnswers[]> {
  return await Promise.all(
    asked.map(async ({ agent, answers }) => {
      if (!nodes.has(agent.node) || answers.status === undefined) return answers
      const outcome = await askSoon(agent, 'facts', {}, undefined, factsMs)
      return outcome.kind === 'answer' ? { ...answers, factsAfter: slim(outcome.value) } : answers
    }),
  )
}

/** Asks all of them, `mostAtOnce` at a time; the answers are in their order. `isQuiet`: no progress is shown. */
export async function askNodes(agents: readonly AgentOfNode[], isQuiet = false): Promise<AskedNode[]> {
  using progress = new Progress(agents.length, isQuiet ? noScreen : undefined)
  const answers: AskedNode[] = []
  const counted = progress.counting(agents)
  const isAlone = agents.length === 1
  const queue = agents.entries()
  const work = async (): Promise<void> => {
    for (const [index, agent] of queue) answers[index] = await askNode(agent, counted[index]!, isAlone)
  }
  await Promise.all(Array.from({ length: Math.min(mostAtOnce, agents.length) }, work))
  return answers
}
