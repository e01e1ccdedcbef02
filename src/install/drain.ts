// Withdraws what nodes advertise by BGP before their agents go: routers would otherwise keep the routes for the restart time, and send
// packets to nodes that have no pods any more.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, sleep } from '#/cluster/clock.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { describe, isApiError } from '#/cluster/errors.ts'
import { bgpNodePath, bgpNodesPath } from '#/cluster/paths.ts'
import { someOf } from '#/lib/some-of.ts'
import { conditionOf, fieldsOf, type KubeObject } from '#/model/kubernetes.ts'

const pollMs = 500
/** How many nodes are changed at a time. */
const atOnce = 16

type BgpNodeObject = KubeObject & { readonly spec?: unknown; readonly status?: unknown }

/** An agent that speaks BGP says either True or False; without one the condition is absent. */
function drainedStatus(node: BgpNodeObject): 'True' | 'False' | 'Unknown' {
  return conditionOf(node, 'Drained').status
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

/** Sets `spec.drained` of the nodes, up to the first failure. Returns the names of those that have it, and the failure. */
async function setDrained(
  client: ApiClient,
  names: readonly string[],
  drained: boolean,
): Promise<{ readonly set: readonly string[]; readonly failure?: unknown }> {
  const set: string[] = []
  let failure: unknown
  await eachOf(names, atOnce, async (name) => {
    if (failure !== undefined) return
    try {
      await client.patch(bgpNodePath(name), { spec: { drained } }, 'merge')
      set.push(name)
    } catch (error) {
      // the node is gone meanwhile
      if (!isApiError(error, 404)) failure ??= error
    }
  })
  return { set, ...(failure !== undefined && { failure }) }
}

export type Drain = {
  /** How many nodes have withdrawn their routes. */
  readonly drained: number
  /** The names of those that have not said so in time, such as nodes that are down. */
  readonly late: readonly string[]
  /** The names of those that were not drained before. */
  readonly changed: readonly string[]
}

/** Has the nodes that `drainBgp` changed advertise again. Returns, in words, what became of that. Never throws. */
export async function undoDrain(client: ApiClient, changed: readonly string[]): Promise<string> {
  if (changed.length === 0) return 'no node was drained for it'
  const { set, failure } = await setDrained(client, changed, false)
  if (failure === undefined) return `the ${changed.length} nodes that were drained for it advertise their routes again`
  const left = changed.filter((name) => !set.includes(name))
  return `${someOf(left)} may stay drained (${describe(failure)}): routers are told of none of their pods until spec.drained of their BGPNodes is false again`
}

/**
 * Has every node that speaks BGP withdraw its routes, and waits until all say that they have, or `timeoutMs` are over. When the API refuses
 * anything of it, undoes what was done and throws.
 */
export async function drainBgp(
  client: ApiClient,
  options: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<Drain> {
  const speaking = (await listAll(client)).filter((node) => drainedStatus(node) !== 'Unknown')
  const due = speaking.filter(({ spec }) => fieldsOf(spec)['drained'] !== true).map(({ metadata }) => metadata.name)
  const { set: changed, failure } = await setDrained(client, due, true)
  try {
    if (failure !== undefined) throw failure
    const names = new Set(speaking.map(({ metadata }) => metadata.name))
    const late = await awaitDrained(client, names, options)
    return { drained: names.size - late.length, late, changed }
  } catch (error) {
    throw new Error(`BGP cannot be drained: ${describe(error)}; ${await undoDrain(client, changed)}`, { cause: error })
  }
}

/** Returns the names of those that have not withdrawn their routes in time. */
async function awaitDrained(
  client: ApiClient,
  names: ReadonlySet<string>,
  { timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<readonly string[]> {
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const { signal } = new AbortController()
  for (;;) {
    const late = (await listAll(client))
      .filter((node) => names.has(node.metadata.name) && drainedStatus(node) === 'False')
      .map(({ metadata }) => metadata.name)
    if (late.length === 0 || clock.monotonicMs() >= deadlineMs) return late
    await sleep(clock, pollMs, signal)
  }
}
