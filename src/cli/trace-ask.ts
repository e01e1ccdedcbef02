// Asks an agent, and waits no longer than a trace can: a node that hangs is told as one, and the others go on.
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentOfNode, askAgent, type Outcome, type ParamsArgument } from '#/api/client.ts'
import { type AnswerOf, type OperationName } from '#/api/operations.ts'
import { type AgentTransport } from '#/api/transport.ts'

/** A healthy agent answers in some milliseconds. */
const answerMs = 3_000

/** An agent does little at a time for traces: one that has enough of them is asked again, until others are done. */
export const busyPauseMs = 200
export const busyMs = 6_000

/** Whether the agent has enough to do. */
export function isBusy(outcome: Outcome<unknown>): boolean {
  return outcome.kind === 'refusal' && outcome.status === 429
}

/** The transport, whose requests end by `signal` too. */
export function endedBy(transport: AgentTransport, signal: AbortSignal): AgentTransport {
  return { ...transport, send: (request, limit) => transport.send(request, AbortSignal.any([limit, signal])) }
}

const lateWords = 'does not answer within'
/** As the transport says it, which limits the silence of a socket. */
const silentWords = 'no answer within'

/** Whether the agent was reached and did not answer in time. */
export function isLate(outcome: Outcome<unknown>): boolean {
  return outcome.kind === 'silence' && (outcome.message.includes(lateWords) || outcome.message.includes(silentWords))
}

async function askOnce<Name extends OperationName>(
  transport: AgentTransport,
  name: Name,
  params: ParamsArgument<Name>[0],
  { signal, limitMs }: { readonly signal: AbortSignal | undefined; readonly limitMs: number },
): Promise<Outcome<AnswerOf<Name>>> {
  const late = AbortSignal.timeout(limitMs)
  const until = signal === undefined ? late : AbortSignal.any([late, signal])
  const outcome = await askAgent(endedBy(transport, until), name, ...([params] as ParamsArgument<Name>))
  return late.aborted && outcome.kind === 'silence'
    ? { kind: 'silence', message: `its agent ${lateWords} ${limitMs / 1000} s` }
    : outcome
}

/** As askAgent; `signal` gives it up. Never rejects. */
export async function askSoon<Name extends OperationName>(
  { transport }: AgentOfNode,
  name: Name,
  params: ParamsArgument<Name>[0],
  signal?: AbortSignal,
  limitMs = answerMs,
): Promise<Outcome<AnswerOf<Name>>> {
  const startMs = performance.now()
  for (;;) {
    const outcome = await askOnce(transport, name, params, { signal, limitMs })
    if (!isBusy(outcome) || signal?.aborted === true || performance.now() - startMs > busyMs) return outcome
    await sleep(busyPauseMs)
  }
}
