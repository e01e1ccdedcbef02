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
function endedBy(transport: AgentTransport, signal: AbortSignal): AgentTransport {
  return { ...transport, send: (request, limit) => transport.send(request, AbortSignal.any([limit, signal])) }
}

async function askOnce<Name extends OperationName>(
  transport: AgentTransport,
  name: Name,
  params: ParamsArgument<Name>[0],
  signal: AbortSignal | undefined,
): Promise<Outcome<AnswerOf<Name>>> {
  const late = AbortSignal.timeout(answerMs)
  const until = signal === undefined ? late : AbortSignal.any([late, signal])
  const outcome = await askAgent(endedBy(transport, until), name, ...([params] as ParamsArgument<Name>))
  return late.aborted && outcome.kind === 'silence'
    ? { kind: 'silence', message: `its agent does not answer within ${answerMs / 1000} s` }
    : outcome
}

/** As askAgent; `signal` gives it up. Never rejects. */
export async function askSoon<Name extends OperationName>(
  { transport }: AgentOfNode,
  name: Name,
  params: ParamsArgument<Name>[0],
  signal?: AbortSignal,
): Promise<Outcome<AnswerOf<Name>>> {
  const startMs = performance.now()
  for (;;) {
    const outcome = await askOnce(transport, name, params, signal)
    if (!isBusy(outcome) || signal?.aborted === true || performance.now() - startMs > busyMs) return outcome
    await sleep(busyPauseMs)
  }
}
