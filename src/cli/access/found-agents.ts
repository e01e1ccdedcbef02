// The agents that were found, and what could not be looked for. Pure.
import { type AgentOfNode } from '#/api/client.ts'
import { noTransport } from '#/api/transport.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'

/** Why it is not known which nodes should have an agent and have none. `isPassing`: no right is missing, the next time it may be known. */
export type Unlisted = { readonly why: string; readonly isPassing: boolean }

export type FoundAgents = {
  readonly agents: readonly AgentOfNode[]
  /** Absent: each node that should have an agent is among them. */
  readonly unlisted?: Unlisted
}

/** For who looks at the agents, and would take them for all. */
export function unlistedText({ why }: Unlisted): string {
  return `nodes that should have an agent and have none are not seen: ${why}`
}

/** What was found now, with the nodes that were known before where it could not be seen whether they are still there. */
export function withKept(now: FoundAgents, before: FoundAgents | undefined): FoundAgents {
  if (now.unlisted?.isPassing !== true || before === undefined) return now
  const found = new Set(now.agents.map(({ node }) => node))
  const kept = before.agents
    .filter(({ node }) => !found.has(node))
    .map(({ node }): AgentOfNode => {
      const why = 'no pod of an agent is on the node; whether the node is still there cannot be seen now'
      return { node, transport: noTransport(node, why) }
    })
  const agents = [...now.agents, ...kept].toSorted((one, other) => byNumberedName(one.node, other.node))
  return { ...now, agents }
}
