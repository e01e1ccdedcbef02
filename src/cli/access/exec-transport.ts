// The transport to an agent through the API server: the relay is executed in its container, and HTTP is spoken over that.
import { httpTransport } from '#/api/http-transport.ts'
import { type AgentTransport, NotReached } from '#/api/transport.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { execIn } from '#/cluster/exec.ts'
import { agentContainer } from '#/install/settings.ts'
import { type AgentPod } from './agent-pods.ts'
import { relay, whyNotReached } from './refusals.ts'

/** A runtime on a busy node takes a while to start a process. */
const silenceMs = 10_000

export function execTransport(client: ApiClient, node: string, { namespace, name }: AgentPod): AgentTransport {
  const place = `${node} (pod ${namespace}/${name})`
  const target = { namespace, pod: name, container: agentContainer, command: [relay] }
  const over = httpTransport(place, async (signal) => execIn(client, target, signal), silenceMs)
  const told = async <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
    try {
      return await work
    } catch (error) {
      // that it took too long, or is no longer wanted, is told by who gave the signal
      if (signal.aborted) throw error
      throw new NotReached(whyNotReached(error, { node, namespace, pod: name }))
    }
  }
  return {
    place,
    send: async (request, signal) => told(over.send(request, signal), signal),
    open: async (request, signal) => told(over.open(request, signal), signal),
  }
}
