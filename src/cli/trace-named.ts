// A trace whose target may also be the name of a Service, which agents do not know.
import { type AgentOfNode } from '#/api/client.ts'
import { askOfService } from './access/service-api.ts'
import { type AgentChoice } from './access/source.ts'
import { UsageError } from './args.ts'
import { type TraceOptions } from './trace-run.ts'
import { serviceAddr } from './trace-service.ts'
import { type runSizes, type SizedRun } from './trace-sizes.ts'

/** `choice` says where the cluster's API is, which knows Services. */
export async function runNamed(
  agents: readonly AgentOfNode[],
  choice: AgentChoice,
  asked: TraceOptions,
  run: typeof runSizes,
): Promise<SizedRun> {
  try {
    return await run(agents, asked)
  } catch (error) {
    if (!(error instanceof UsageError) || !error.message.startsWith(`"${asked.to}" is no `)) throw error
    const addr = await askOfService(choice, asked.to, (client) => serviceAddr(client, asked.to, asked.family))
    if (addr === undefined) throw error
    return await run(agents, { ...asked, to: addr })
  }
}
