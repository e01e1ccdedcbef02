// Asks the agents that a command is about, wherever they are: src/cli/access finds them, src/api asks them.
import { type AgentOfNode, askAll, type NodeOutcome, type Outcome, type ParamsArgument } from '#/api/client.ts'
import { type AnswerOf, type OperationName } from '#/api/operations.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { unlistedText } from './access/found-agents.ts'
import { openAccess } from './access/open.ts'
import { type AgentChoice } from './access/source.ts'
import { type OptionDeclaration, type OptionTable } from './args.ts'
import { Progress } from './progress.ts'

export { type AgentChoice } from './access/source.ts'

const namespaceOption = {
  type: 'string',
  value: 'NAME',
  help: 'where the agents run',
  shownDefault: nodeSettings.namespace.default,
} as const satisfies OptionDeclaration

const common = {
  node: { type: 'string', value: 'NAME', help: 'one node', shownDefault: 'all of them' },
  kubeconfig: { type: 'string', value: 'FILE', help: 'which cluster', shownDefault: '$KUBECONFIG' },
  context: { type: 'string', value: 'NAME', help: 'which one of the kubeconfig', shownDefault: 'current-context' },
} as const satisfies OptionTable

const rest = {
  lab: { type: 'string', alias: 'name', value: 'NAME', help: 'which lab, when several are up' },
  json: { type: 'boolean', help: 'for programs' },
} as const satisfies OptionTable

export const agentOptions = {
  ...common,
  'agents-namespace': { ...namespaceOption, alias: 'namespace', short: 'n' },
  ...rest,
} as const satisfies OptionTable

/** Those of a command that has a --namespace of its own. */
export const agentOptionsBesidesNamespace = {
  ...common,
  'agents-namespace': namespaceOption,
  ...rest,
} as const satisfies OptionTable

/** The end of every text about a command with these options. */
export const agentOptionsNote =
  'It asks all nodes of the cluster of the kubeconfig, or of the lab that is up. On a node of a cluster, where neither is, it asks the agent of that node.'

/** Calls `use` with the agents that the options choose; `unlisted` says which others there may be. Rejects with UsageError when there is no such cluster, lab or node. */
export async function withAgents<T>(
  choice: AgentChoice,
  use: (agents: readonly AgentOfNode[], unlisted: string | undefined) => Promise<T>,
): Promise<T> {
  await using access = await openAccess(choice)
  const { agents, unlisted } = access
  return await use(agents, unlisted && unlistedText(unlisted))
}

/** An agent's answer as --json shows it. */
export type AgentAnswer<T> = {
  readonly node: string
  /** NAMESPACE/NAME of the agent's pod, where it was asked through that. */
  readonly pod?: string
  readonly value?: T
  readonly error?: string
}

function answerOf<T>({ node, pod, outcome }: NodeOutcome<T>): AgentAnswer<T> {
  const who = { node, ...(pod !== undefined && { pod }) }
  return outcome.kind === 'answer' ? { ...who, value: outcome.value } : { ...who, error: errorOf(outcome) }
}

/** Says why there is no answer, in one line where the agent says no more. */
function errorOf(outcome: Exclude<Outcome<unknown>, { kind: 'answer' }>): string {
  return outcome.kind === 'refusal' ? `the agent answers ${outcome.status}: ${outcome.message}` : outcome.message
}

/** Asks these agents, and shows on a terminal how many have answered; the outcomes are in the order of `agents`. */
export async function outcomesFrom<Name extends OperationName>(
  agents: readonly AgentOfNode[],
  name: Name,
  ...params: ParamsArgument<Name>
): Promise<NodeOutcome<AnswerOf<Name>>[]> {
  using progress = new Progress(agents.length)
  return await askAll(progress.counting(agents), name, ...params)
}

/** As `outcomesFrom`; an agent that does not answer has `error`. */
export async function answersFrom<Name extends OperationName>(
  agents: readonly AgentOfNode[],
  name: Name,
  ...params: ParamsArgument<Name>
): Promise<AgentAnswer<AnswerOf<Name>>[]> {
  return (await outcomesFrom(agents, name, ...params)).map(answerOf)
}

/** Asks the agents that the options choose. */
export async function answersOf<Name extends OperationName>(
  choice: AgentChoice,
  name: Name,
  ...params: ParamsArgument<Name>
): Promise<AgentAnswer<AnswerOf<Name>>[]> {
  return withAgents(choice, async (agents) => answersFrom(agents, name, ...params))
}
