// What a page asks for when somebody looks closer: of one node, two nodes, policies, pods. Everything is asked of agents at that moment.
import { type AgentOfNode, mostAtOnce, type Outcome, type ParamsArgument } from '#/api/client.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { type AnswerOf, type OperationName } from '#/api/operations.ts'
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type Crossing, type NodeDetail, type PodsFound, type PoliciesReport } from '#/ui/contract.ts'
import { crossingOf, type SideAnswers, sideOf } from '#/ui/crossing.ts'
import { whyNot } from '#/ui/rows.ts'
import { policiesOf } from '../policy-list-text.ts'
import { askSoon } from '../trace-ask.ts'
import { type Hub } from './hub.ts'
import { Refusal } from './refusal.ts'

/** A node with thousands of pods, asked through an API server, needs a while. */
const answerMs = 6_000
/** Probes that are sent where a node does not probe the other one all the time. */
const probeCount = 3
/** So many agents are asked in turn for what all of them know. */
const mostTried = 3

type Agents = readonly AgentOfNode[]

async function ask<Name extends OperationName>(
  agent: AgentOfNode,
  name: Name,
  params: ParamsArgument<Name>[0],
  signal: AbortSignal,
): Promise<Outcome<AnswerOf<Name>>> {
  return askSoon(agent, name, params, signal, answerMs)
}

/** On a node alone its agent has no name here. */
function agentNamed(agents: Agents, name: string): AgentOfNode {
  const agent = agents.find(({ node }) => node === name) ?? (agents.length === 1 ? agents[0] : undefined)
  if (agent === undefined) throw new Refusal(404, `there is no node ${name}`)
  return agent
}

export class Questions {
  readonly #hub: Hub

  constructor(hub: Hub) {
    this.#hub = hub
  }

  async node(name: string, signal: AbortSignal): Promise<NodeDetail> {
    return this.#hub.pool.use(async (agents) => {
      const agent = agentNamed(agents, name)
      const silences: { what: string; why: string }[] = []
      const part = async <Name extends 'status' | 'bgpPeers' | 'datapath' | 'ipam' | 'peers'>(
        operation: Name,
      ): Promise<AnswerOf<Name> | undefined> => {
        const outcome = await ask(agent, operation, {} as ParamsArgument<Name>[0], signal)
        if (outcome.kind === 'answer') return outcome.value
        silences.push({ what: operation, why: whyNot(outcome) })
        return undefined
      }
      const status = await part('status')
      // who does not answer the first request is not asked for more
      if (status === undefined) return { node: name, silences }
      // an observer has none of these
      const [bgp, datapath, ipam, peers] =
        status.observes === undefined
          ? await Promise.all([part('bgpPeers'), part('datapath'), part('ipam'), part('peers')])
          : []
      return {
        node: name,
        status,
        ...(bgp && { bgp }),
        ...(datapath && { datapath }),
        ...(ipam && { ipam }),
        ...(peers && { peers }),
        silences,
      }
    })
  }

  async crossing(from: string, to: string, signal: AbortSignal): Promise<Crossing> {
    return this.#hub.pool.use(async (agents) => {
      const [sender, receiver] = [agentNamed(agents, from), agentNamed(agents, to)]
      const [there, back] = await Promise.all([
        this.#side(sender, to, signal).then((answers) => sideOf(from, to, answers)),
        this.#side(receiver, from, signal).then((answers) => sideOf(to, from, answers)),
      ])
      return crossingOf(there, back)
    })
  }

  async #side(agent: AgentOfNode, other: string, signal: AbortSignal): Promise<SideAnswers> {
    const status = await ask(agent, 'status', {}, signal)
    if (status.kind !== 'answer') return { probes: [], silence: whyNot(status) }
    if (status.value.observes !== undefined) return { status: status.value, probes: [] }
    return { status: status.value, probes: await this.#probes(agent, other, signal) }
  }

  /** Those that the node makes all the time, or else made now. */
  async #probes(agent: AgentOfNode, other: string, signal: AbortSignal): Promise<readonly PeerWay[]> {
    const known = await ask(agent, 'peers', {}, signal)
    if (known.kind !== 'answer') return []
    const ways = known.value.ways.filter(({ node }) => node === other)
    if (ways.length > 0 || !known.value.isOn) return ways
    const made = await ask(agent, 'peersProbe', { nodes: [other], count: probeCount }, signal)
    return made.kind === 'answer' ? made.value.ways : []
  }

  /** Any agent knows all pods. */
  async pods(q: string, signal: AbortSignal): Promise<PodsFound> {
    return this.#hub.pool.use(async (agents) => {
      let why = 'there is no agent'
      for (const agent of this.#answering(agents).slice(0, mostTried)) {
        const outcome = await ask(agent, 'pods', q === '' ? {} : { q }, signal)
        if (outcome.kind === 'answer') return { pods: outcome.value.pods, more: outcome.value.more }
        why = whyNot(outcome)
      }
      throw new Refusal(502, `no agent says which pods there are: ${why}`)
    })
  }

  async policies(signal: AbortSignal): Promise<PoliciesReport> {
    return this.#hub.pool.use(async (agents) => {
      const asked = this.#answering(agents).slice(0, mostAtOnce)
      const outcomes = await eachOf(asked, mostAtOnce, async (agent) => ({
        node: agent.node,
        outcome: await ask(agent, 'policyList', {}, signal),
      }))
      const reports = outcomes.flatMap(({ outcome }) => (outcome.kind === 'answer' ? [outcome.value] : []))
      return {
        policies: policiesOf(reports),
        failing: reports.flatMap(({ node, state: { kind, why = kind } }) =>
          kind === 'failing' || kind === 'waiting' ? [{ node, why }] : [],
        ),
        silences: outcomes.flatMap(({ node, outcome }) =>
          outcome.kind === 'answer' ? [] : [{ node, why: whyNot(outcome) }],
        ),
        asked: asked.length,
        notAsked: agents.length - asked.length,
      }
    })
  }

  /** Those that answered last, first. */
  #answering(agents: Agents): Agents {
    const isSilent = ({ node }: AgentOfNode): boolean => this.#hub.picture.row(node)?.state === 'silent'
    return agents.toSorted((a, b) => Number(isSilent(a)) - Number(isSilent(b)))
  }
}
