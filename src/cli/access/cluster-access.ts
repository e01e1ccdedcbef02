// The agents of a cluster, asked through its API server.
import { type AgentOfNode } from '#/api/client.ts'
import { noTransport } from '#/api/transport.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { ApiError, describe, isApiError } from '#/cluster/errors.ts'
import { daemonSetPath, nodesPath, podsPath } from '#/cluster/paths.ts'
import { type KubeNode, type KubeObject, type Pod } from '#/model/kubernetes.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { UsageError } from '../args.ts'
import { agentPlaces, agentSelector, daemonSetNames } from './agent-pods.ts'
import { execTransport } from './exec-transport.ts'
import { type FoundAgents, type Unlisted } from './found-agents.ts'
import { apiRefusal } from './refusals.ts'

export type ClusterChoice = {
  /** Paths as in $KUBECONFIG; undefined: the service account of this pod. */
  readonly kubeconfig: string | undefined
  readonly context?: string | undefined
  /** Where the agents are. */
  readonly namespace?: string | undefined
  readonly node?: string | undefined
}

export type AgentAccess = AsyncDisposable & FoundAgents

/** Listing what is not needed has to be quick, or is done without. */
const extraMs = 5000

type Extra<T> = { readonly value?: T; readonly unlisted?: Unlisted }

/** What may be read. What is not there is no failure. */
async function ifAllowed<T>(what: string, reading: Promise<T>): Promise<Extra<T>> {
  try {
    return { value: await reading }
  } catch (error) {
    if (isApiError(error, 404)) return {}
    const isPassing = !isApiError(error, 401) && !isApiError(error, 403)
    return { unlisted: { why: `${what} cannot be read: ${describe(error)}`, isPassing } }
  }
}

async function podsIn(client: ApiClient, namespace: string | undefined): Promise<readonly Pod[]> {
  const { items } = await client.list<Pod>(podsPath(namespace), { labelSelector: agentSelector })
  return items
}

/** The error of a list that was refused, in words for who asks agents. */
function inWords(error: unknown): unknown {
  return error instanceof ApiError ? new Error(`the agents cannot be found: ${apiRefusal(error)}`) : error
}

/** The pods of agents; where no namespace was said and the usual one has none, those of any. */
async function agentPods(client: ApiClient, said: string | undefined): Promise<readonly Pod[]> {
  const namespace = said ?? nodeSettings.namespace.default
  try {
    const pods = await podsIn(client, namespace)
    if (pods.length > 0) return pods
    const others = said === undefined ? await podsIn(client, undefined) : []
    if (others.length > 0) return others
  } catch (error) {
    throw inWords(error)
  }
  const where = said === undefined ? 'in any namespace' : `in the namespace ${said}`
  throw new Error(
    `no pod ${where} has a label ${agentSelector}: is Causeway installed in the cluster of ${client.server}?`,
  )
}

async function agentsOf(client: ApiClient, { namespace: said, node }: ClusterChoice): Promise<FoundAgents> {
  const pods = await agentPods(client, said)
  const namespace = pods[0]!.metadata.namespace ?? ''
  const [nodes, ...daemonSets] = await Promise.all([
    ifAllowed('the list of nodes', client.list<KubeNode>(nodesPath(), { timeoutMs: extraMs })),
    ...daemonSetNames.map(async (name) =>
      ifAllowed(
        `daemonset ${namespace}/${name}`,
        client.get<KubeObject>(daemonSetPath(namespace, name), { timeoutMs: extraMs }),
      ),
    ),
  ])
  const found = daemonSets.flatMap(({ value }) => value ?? [])
  const places = agentPlaces({ pods, nodes: nodes.value?.items, daemonSets: found })
  const { unlisted } = [nodes, ...daemonSets].find((each) => each.unlisted !== undefined) ?? {}
  const chosen = places.filter((place) => node === undefined || place.node === node)
  if (chosen.length === 0)
    throw new UsageError(`--node ${node}: the cluster has agents on ${places.map((place) => place.node).join(', ')}`)
  const agents = chosen.map((place): AgentOfNode => {
    const { pod, why } = place
    if (pod === undefined) return { node: place.node, transport: noTransport(place.node, why ?? '') }
    const transport =
      why === undefined ? execTransport(client, place.node, pod) : noTransport(`${place.node} (pod ${pod.name})`, why)
    return { node: place.node, pod: `${pod.namespace}/${pod.name}`, transport }
  })
  // who asks one node misses no other
  return { agents, ...(unlisted !== undefined && node === undefined && { unlisted }) }
}

/** Finds the agents. Rejects when that is refused or there is none, with what to do. */
export async function clusterAccess(choice: ClusterChoice): Promise<AgentAccess> {
  const { kubeconfig, context } = choice
  const client = await connect({
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
  })
  try {
    return { ...(await agentsOf(client, choice)), [Symbol.asyncDispose]: async () => client[Symbol.asyncDispose]() }
  } catch (error) {
    await client[Symbol.asyncDispose]()
    throw error
  }
}
