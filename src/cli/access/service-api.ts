// The API of the cluster whose agents are asked, and what it says of Services: agents know none.
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { describe } from '#/cluster/errors.ts'
import { UsageError } from '../args.ts'
import { pathsOfLab } from '../lab-options.ts'
import { complain } from '../output.ts'
import { chosenSource } from './open.ts'
import { type AgentChoice } from './source.ts'

type Api = { readonly kubeconfig?: string; readonly context?: string }

/** Undefined where that is not known: on a node. */
export function apiFor(choice: AgentChoice): Api | undefined {
  const source = chosenSource(choice)
  const { context } = choice
  if (source.kind === 'lab') return { kubeconfig: pathsOfLab(source.name).kubeconfig }
  if (source.kind === 'node') return undefined
  return {
    ...(source.kubeconfig !== undefined && { kubeconfig: source.kubeconfig }),
    ...(context !== undefined && { context }),
  }
}

/** What `ask` finds of the Service; undefined: it is none, or nobody can be asked, which is complained of. Rejects with UsageError. */
export async function askOfService<T>(
  choice: AgentChoice,
  name: string,
  ask: (client: ApiClient) => Promise<T | undefined>,
): Promise<T | undefined> {
  const api = apiFor(choice)
  if (api === undefined) return undefined
  try {
    await using client = await connect(api)
    return await ask(client)
  } catch (error) {
    if (error instanceof UsageError) throw error
    complain(`whether ${name} is a Service is not known: ${describe(error)}`)
    return undefined
  }
}
