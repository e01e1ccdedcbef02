// Asks agents, and accepts only answers that match the table of operations.
import { messageOf } from '#/lib/log.ts'
import { version } from '#/model/version.ts'
import { readAnswer, requestOf, unknownOperation } from './message.ts'
import { type AnswerOf, operationOf, type OperationName, type ParamsOf } from './operations.ts'
import { type AgentReply, type AgentTransport, NotReached } from './transport.ts'

/** Time limits of a call, the second for an operation with isLong; the transport also limits the silence between two pieces. */
const answerMs = 10_000
const longAnswerMs = 120_000

export type Outcome<T> =
  | { readonly kind: 'answer'; readonly value: T }
  /** The agent understood the request and refuses it with an HTTP status: 404, 409, 429, 503 … */
  | { readonly kind: 'refusal'; readonly status: number; readonly message: string }
  /** No agent answers. */
  | { readonly kind: 'silence'; readonly message: string }
  /** The answer does not match this program's version of the API. */
  | { readonly kind: 'mismatch'; readonly message: string }

/** The parameters as an argument, which is optional where every parameter is. */
export type ParamsArgument<Name extends OperationName> =
  {} extends ParamsOf<Name> ? [params?: ParamsOf<Name>] : [ParamsOf<Name>]

/** Names the versions of agent and command when they differ; '' when they are the same. */
function versionsOf(reply: Pick<AgentReply, 'version'>): string {
  if (reply.version === version) return ''
  const theirs = reply.version === undefined ? 'of a version that it does not tell' : `version ${reply.version}`
  return `; that agent is ${theirs}, this command is version ${version}`
}

/** Whether the agent lacks the operation. Agents from before the API had versions send no version, so any 404 of theirs says so. */
function isUnknown({ status, text, version: theirs }: AgentReply): boolean {
  return status === 404 && (theirs === undefined || text.startsWith(unknownOperation))
}

/** Why a reply is none that can be read on; undefined when it can. */
function refusalOf(
  place: string,
  path: string,
  reply: AgentReply,
): Exclude<Outcome<never>, { kind: 'answer' }> | undefined {
  const { status, text } = reply
  if (isUnknown(reply)) {
    const why = text.trim().replace(unknownOperation, '')
    return { kind: 'mismatch', message: `the agent on ${place} has no ${path}: ${why}${versionsOf(reply)}` }
  }
  return status === 200 ? undefined : { kind: 'refusal', status, message: text.trim() }
}

function mismatched(place: string, path: string, what: string, reply: Pick<AgentReply, 'version'>): Outcome<never> {
  const text = `the agent on ${place} answers ${path} with what this command does not understand`
  return { kind: 'mismatch', message: `${text}: ${what}${versionsOf(reply)}` }
}

function silent(place: string, error: unknown): Outcome<never> {
  if (error instanceof NotReached) return { kind: 'silence', message: error.message }
  return { kind: 'silence', message: `no agent answers on ${place}: ${messageOf(error)}; is it running?` }
}

/** What went wrong, or that it took too long. */
function causeOf(error: unknown, signal: AbortSignal, limitMs: number): unknown {
  const { reason } = signal as { readonly reason: unknown }
  const isLate = signal.aborted && reason instanceof DOMException && reason.name === 'TimeoutError'
  return isLate ? new Error(`no answer within ${limitMs / 1000} s`) : error
}

/** Calls an operation of one agent; never rejects. */
export async function askAgent<Name extends OperationName>(
  transport: AgentTransport,
  name: Name,
  ...[params]: ParamsArgument<Name>
): Promise<Outcome<AnswerOf<Name>>> {
  const { place } = transport
  const request = requestOf(name, params ?? ({} as ParamsOf<Name>))
  const limitMs = operationOf(name).isLong === true ? longAnswerMs : answerMs
  const signal = AbortSignal.timeout(limitMs)
  let reply: AgentReply
  try {
    reply = await transport.send(request, signal)
  } catch (error) {
    return silent(place, causeOf(error, signal, limitMs))
  }
  const refusal = refusalOf(place, request.path, reply)
  if (refusal) return refusal
  const read = readAnswer(name, reply.text)
  return 'value' in read ? { kind: 'answer', value: read.value } : mismatched(place, request.path, read.mismatch, reply)
}

/**
 * Calls an operation whose answer goes on, and `onLine` with each line of it. Resolves when the agent has ended it, or `signal` aborts: the
 * value is how many lines came. Never rejects.
 */
export async function followAgent<Name extends OperationName>(
  transport: AgentTransport,
  name: Name,
  params: ParamsOf<Name>,
  onLine: (line: AnswerOf<Name>) => void,
  { signal, onOpen }: { readonly signal: AbortSignal; /** The answer has begun. */ readonly onOpen?: () => void },
): Promise<Outcome<number>> {
  const { place } = transport
  const request = requestOf(name, params)
  let lines = 0
  let isOpen = false
  try {
    const stream = await transport.open(request, signal)
    if (stream.status !== 200) {
      const text = (await Array.fromAsync(stream.lines)).join('\n')
      return refusalOf(place, request.path, { ...stream, text }) ?? { kind: 'answer', value: 0 }
    }
    isOpen = true
    onOpen?.()
    for await (const line of stream.lines) {
      const read = readAnswer(name, line)
      if ('mismatch' in read) return mismatched(place, request.path, read.mismatch, stream)
      lines++
      onLine(read.value)
      // what came in the same piece is no longer wanted either
      if (signal.aborted) break
    }
    return { kind: 'answer', value: lines }
  } catch (error) {
    if (signal.aborted) return { kind: 'answer', value: lines }
    if (!isOpen) return silent(place, error)
    return { kind: 'silence', message: `the agent on ${place} has ended, or does not go on: ${messageOf(error)}` }
  }
}

/** A node and the transport to its agent. */
export type AgentOfNode = {
  readonly node: string
  readonly transport: AgentTransport
  /** NAMESPACE/NAME of the agent's pod, where it is asked through that. */
  readonly pod?: string
}

export type NodeOutcome<T> = {
  readonly node: string
  readonly outcome: Outcome<T>
  /** As in AgentOfNode. */
  readonly pod?: string
}

/** So many agents are asked at the same time: each is a connection, which through an API server is one of TLS. */
export const mostAtOnce = 64

/** Asks all agents, `mostAtOnce` at a time, each with its own time limit; the outcomes are in the order of `agents`. */
export async function askAll<Name extends OperationName>(
  agents: readonly AgentOfNode[],
  name: Name,
  ...params: ParamsArgument<Name>
): Promise<NodeOutcome<AnswerOf<Name>>[]> {
  const outcomes: NodeOutcome<AnswerOf<Name>>[] = []
  const queue = agents.entries()
  const work = async (): Promise<void> => {
    for (const [index, { node, transport, pod }] of queue)
      outcomes[index] = {
        node,
        ...(pod !== undefined && { pod }),
        outcome: await askAgent(transport, name, ...params),
      }
  }
  await Promise.all(Array.from({ length: Math.min(mostAtOnce, agents.length) }, work))
  return outcomes
}
