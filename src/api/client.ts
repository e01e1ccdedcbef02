// Asks agents, and takes nothing for an answer that the table of operations does not say is one.
import { messageOf } from '#/lib/log.ts'
import { version } from '#/model/version.ts'
import { readAnswer, requestOf, unknownOperation } from './message.ts'
import { type AnswerOf, operationOf, type OperationName, type ParamsOf } from './operations.ts'
import { type AgentReply, type AgentTransport } from './transport.ts'

/** An answer takes no longer; a long one is many pieces, each of which may take the transport's time. */
const answerMs = 10_000
const longAnswerMs = 120_000

export type Outcome<T> =
  | { readonly kind: 'answer'; readonly value: T }
  /** The agent understood, and says no with an HTTP status: 404, 409, 503 … */
  | { readonly kind: 'refusal'; readonly status: number; readonly message: string }
  /** Nobody answers. */
  | { readonly kind: 'silence'; readonly message: string }
  /** Somebody does, and not as this version of the API has it. */
  | { readonly kind: 'mismatch'; readonly message: string }

/** The parameters as an argument, which may be absent where all of them may be. */
export type ParamsArgument<Name extends OperationName> =
  {} extends ParamsOf<Name> ? [params?: ParamsOf<Name>] : [ParamsOf<Name>]

/** Where the agent is of another version, both. */
function versionsOf(reply: AgentReply): string {
  if (reply.version === version) return ''
  const theirs = reply.version === undefined ? 'of a version that it does not tell' : `version ${reply.version}`
  return `; that agent is ${theirs}, this command is version ${version}`
}

/** Whether an agent has no such operation: those before the API had versions say nothing of their own. */
function isUnknown({ status, text, version: theirs }: AgentReply): boolean {
  return status === 404 && (theirs === undefined || text.startsWith(unknownOperation))
}

/** Asks one agent; never rejects. */
export async function askAgent<Name extends OperationName>(
  transport: AgentTransport,
  name: Name,
  ...[params]: ParamsArgument<Name>
): Promise<Outcome<AnswerOf<Name>>> {
  const { place } = transport
  const request = requestOf(name, params ?? ({} as ParamsOf<Name>))
  const limitMs = operationOf(name).isLong === true ? longAnswerMs : answerMs
  let reply: AgentReply
  try {
    reply = await transport.send(request, AbortSignal.timeout(limitMs))
  } catch (error) {
    return { kind: 'silence', message: `no agent answers on ${place}: ${messageOf(error)}; is it running?` }
  }
  const { status, text } = reply
  if (isUnknown(reply)) {
    const why = text.trim().replace(unknownOperation, '')
    return { kind: 'mismatch', message: `the agent on ${place} has no ${request.path}: ${why}${versionsOf(reply)}` }
  }
  if (status !== 200) return { kind: 'refusal', status, message: text.trim() }
  const read = readAnswer(name, text)
  if ('value' in read) return { kind: 'answer', value: read.value }
  const what = `the agent on ${place} answers ${request.path} with what this command does not understand`
  return { kind: 'mismatch', message: `${what}: ${read.mismatch}${versionsOf(reply)}` }
}

/** A node and the way to its agent. */
export type AgentOfNode = { readonly node: string; readonly transport: AgentTransport }

export type NodeOutcome<T> = { readonly node: string; readonly outcome: Outcome<T> }

/** Asks all of them at once, in their order; each has its own time. */
export async function askAll<Name extends OperationName>(
  agents: readonly AgentOfNode[],
  name: Name,
  ...params: ParamsArgument<Name>
): Promise<NodeOutcome<AnswerOf<Name>>[]> {
  return Promise.all(
    agents.map(async ({ node, transport }) => ({ node, outcome: await askAgent(transport, name, ...params) })),
  )
}
