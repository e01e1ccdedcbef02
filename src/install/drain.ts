// Withdraws what nodes advertise by BGP before their agents go: routers would otherwise keep the routes for the restart time, and send
// packets to nodes that have no pods any more.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, sleep } from '#/cluster/clock.ts'
import { isApiError } from '#/cluster/errors.ts'
import { bgpNodePath, bgpNodesPath } from '#/cluster/paths.ts'
import { fieldsOf, type KubeObject } from '#/model/kubernetes.ts'

const pollMs = 500

type BgpNodeObject = KubeObject & { readonly spec?: unknown; readonly status?: unknown }

/** Whether an agent that speaks BGP has told of itself. */
function speaks({ status }: BgpNodeObject): boolean {
  return conditionsOf(status).length > 0
}

function isDrained({ status }: BgpNodeObject): boolean {
  return conditionsOf(status).some(({ type, status: value }) => type === 'Drained' && value === 'True')
}

function conditionsOf(status: unknown): Readonly<Record<string, unknown>>[] {
  const { conditions } = fieldsOf(status)
  return Array.isArray(conditions) ? conditions.map(fieldsOf) : []
}

async function listAll(client: ApiClient): Promise<readonly BgpNodeObject[]> {
  try {
    return (await client.list<BgpNodeObject>(bgpNodesPath())).items
  } catch (error) {
    // the definition is not installed
    if (isApiError(error, 404)) return []
    throw error
  }
}

/**
 * Has every node that speaks BGP withdraw its routes, and waits until all say that they have. Returns how many did, and the names of
 * those that have not said so after `timeoutMs`, such as nodes that are down.
 */
export async function drainBgp(
  client: ApiClient,
  { timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<{ readonly drained: number; readonly late: readonly string[] }> {
  const names = (await listAll(client)).filter(speaks).map(({ metadata }) => metadata.name)
  for (const name of names) {
    try {
      await client.patch(bgpNodePath(name), { spec: { drained: true } }, 'merge')
    } catch (error) {
      // the node is gone meanwhile
      if (!isApiError(error, 404)) throw error
    }
  }
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const { signal } = new AbortController()
  for (;;) {
    const late = (await listAll(client)).filter((node) => speaks(node) && !isDrained(node))
    if (late.length === 0 || clock.monotonicMs() >= deadlineMs)
      return { drained: names.length - late.length, late: late.map(({ metadata }) => metadata.name) }
    await sleep(clock, pollMs, signal)
  }
}
