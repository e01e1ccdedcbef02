// Asks an agent in tests, where anything but its answer is a failure.
import { askAgent, type ParamsArgument } from '#/api/client.ts'
import { type AnswerOf, type OperationName } from '#/api/operations.ts'
import { socketTransport } from '#/api/socket-transport.ts'

/** Rejects with what came instead of an answer. */
export async function mustAnswer<Name extends OperationName>(
  socketPath: string,
  name: Name,
  ...params: ParamsArgument<Name>
): Promise<AnswerOf<Name>> {
  const outcome = await askAgent(socketTransport(socketPath), name, ...params)
  if (outcome.kind === 'answer') return outcome.value
  throw new Error(`${name}: ${outcome.kind === 'refusal' ? `${outcome.status} ` : ''}${outcome.message}`)
}

export async function isReady(socketPath: string): Promise<boolean> {
  return (await askAgent(socketTransport(socketPath), 'readyz')).kind === 'answer'
}
