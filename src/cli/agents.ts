// Finds the agents that a command is about: this node's, one node's of a lab, or all of a lab. src/api asks them.
import { type AgentOfNode, askAll, type NodeOutcome, type Outcome, type ParamsArgument } from '#/api/client.ts'
import { type AnswerOf, type OperationName } from '#/api/operations.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { existingLabs } from '#/lab/paths.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { labNodes } from '#/lab/spec.ts'
import { agentSocketIn } from '#/settings/agent-socket.ts'
import { type OptionTable, UsageError } from './args.ts'
import { pathsOfLab } from './lab-options.ts'

export const agentOptions = {
  node: { type: 'string', value: 'NAME', help: 'one node of the lab', shownDefault: 'all of them' },
  lab: { type: 'string', alias: 'name', value: 'NAME', help: 'which lab, when several are up' },
  json: { type: 'boolean', help: 'for programs' },
} as const satisfies OptionTable

/** The end of every text about a command with these options. */
export const agentOptionsNote = "On a node of a real cluster, where no lab is up, it asks this node's own agent."

/** The values of agentOptions. */
export type AgentChoice = { readonly lab?: string | undefined; readonly node?: string | undefined }

/** Finds the agents to ask. Throws UsageError when there is no such lab or node. */
export function findAgents({ lab, node }: AgentChoice): AgentOfNode[] {
  const labs = existingLabs()
  const name = lab ?? labs[0]
  if (name === undefined) {
    if (node !== undefined) throw new UsageError(`--node ${node}: no lab is up; bring one up: causeway lab up`)
    return [{ node: 'this node', transport: socketTransport(agentSocketIn(process.env)) }]
  }
  if (lab === undefined && labs.length > 1)
    throw new UsageError(`several labs are up (${labs.join(', ')}): say which, with --lab`)
  const paths = pathsOfLab(name)
  const spec = readSpec(paths)
  if (spec === undefined) throw new UsageError(`there is no lab "${name}"; bring it up: causeway lab up --name ${name}`)
  const names = labNodes(spec).map((each) => each.name)
  if (node !== undefined && !names.includes(node))
    throw new UsageError(`--node ${node}: lab "${name}" has ${names.join(', ')}`)
  return names
    .filter((each) => node === undefined || each === node)
    .map((each) => ({ node: each, transport: socketTransport(paths.agentSocket(each)) }))
}

/** An agent's answer as --json shows it. */
export type AgentAnswer<T> = { readonly node: string; readonly value?: T; readonly error?: string }

function answerOf<T>({ node, outcome }: NodeOutcome<T>): AgentAnswer<T> {
  return outcome.kind === 'answer' ? { node, value: outcome.value } : { node, error: errorOf(outcome) }
}

/** Says why there is no answer, in one line where the agent says no more. */
function errorOf(outcome: Exclude<Outcome<unknown>, { kind: 'answer' }>): string {
  return outcome.kind === 'refusal' ? `the agent answers ${outcome.status}: ${outcome.message}` : outcome.message
}

/** Asks the agents that the options choose; an agent that does not answer has `error`. */
export async function answersOf<Name extends OperationName>(
  choice: AgentChoice,
  name: Name,
  ...params: ParamsArgument<Name>
): Promise<AgentAnswer<AnswerOf<Name>>[]> {
  return (await askAll(findAgents(choice), name, ...params)).map(answerOf)
}
